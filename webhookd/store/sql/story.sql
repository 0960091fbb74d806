-- event: one as it is in the log, with what it says of money
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       headers, CASE state WHEN 'quarantined' THEN body END, body IS NOT NULL, CAST(NULL AS bigint), kind, object_id, status
FROM event WHERE key = :key AND (salt = :salt OR :salt IS NULL)
UNION ALL
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       '[]', NULL, 1 = 0, taken_at, kind, object_id, status
FROM past WHERE key = :key AND (salt = :salt OR :salt IS NULL);

-- owed: its deliveries, and how their endpoints stand
SELECT d.endpoint, n.name, d.state, d.due_at, d.attempts, d.replay, d.last_status, d.last_error, d.created_at,
       d.settled_at, d.held,
       CASE d.held WHEN 1 THEN (SELECT min(event) FROM delivery AS e
                                WHERE e.endpoint = d.endpoint AND e.chain = d.chain AND e.state = 'pending') END,
       n.state, n.why, n.breaker, n.retry_at, n.trips, n.failing_since
FROM delivery AS d JOIN endpoint AS n ON n.number = d.endpoint
WHERE d.event = :key AND (d.endpoint = :endpoint OR :endpoint IS NULL) ORDER BY d.endpoint LIMIT :limit;

-- owed_count: how many those are
SELECT count(*) FROM delivery WHERE event = :key AND (endpoint = :endpoint OR :endpoint IS NULL);

-- salt: the other half of an event's id
SELECT salt FROM event WHERE key = ?;

-- tried: its attempts, the newest first
SELECT endpoint, number, started_at, duration_ms, status, error, replay, state FROM attempt
WHERE event = :key AND (endpoint = :endpoint OR :endpoint IS NULL)
ORDER BY started_at DESC, number DESC LIMIT :limit;

-- tried_count: how many those are
SELECT count(*) FROM attempt WHERE event = :key AND (endpoint = :endpoint OR :endpoint IS NULL);

-- conflicts: other bodies that came under its id
SELECT first_at, last_at, times FROM conflict WHERE event = ? ORDER BY first_at;

-- routes: who asks for events of its source, or of its type
SELECT name, source, pattern, added_at, is_its_source, is_its_type FROM (
  SELECT n.name, r.source, r.pattern, r.added_at,
         r.source = :source OR (r.source = '*' AND :source <> 'webhookd') AS is_its_source,
         CASE r.is_glob WHEN 1 THEN glob(r.pattern, :type) ELSE :type = r.pattern END AS is_its_type
  FROM route AS r JOIN endpoint AS n ON n.number = r.endpoint)
AS asked
WHERE is_its_source OR is_its_type ORDER BY (is_its_source AND is_its_type) DESC, is_its_type DESC, added_at LIMIT :limit;

-- stands: whether the ledger has an object as an event says
SELECT tie = ? FROM ledger WHERE provider = ? AND kind = ? AND id = ?;

-- payment_status: as it stands with its refunds
SELECT status FROM payment WHERE provider = ? AND id = ?;

-- bearing: events by their provider's id, payment or object; the sources there are, one step of the index each
WITH RECURSIVE its(source) AS (
  SELECT min(source) FROM event UNION ALL
  SELECT (SELECT min(source) FROM event WHERE source > its.source) FROM its WHERE its.source IS NOT NULL
), gone(source) AS (
  SELECT min(source) FROM past UNION ALL
  SELECT (SELECT min(source) FROM past WHERE source > gone.source) FROM gone WHERE gone.source IS NOT NULL
), found AS (
  SELECT key FROM its CROSS JOIN event USING (source) WHERE provider_event_id = :name
  UNION SELECT key FROM (SELECT key FROM event WHERE payment_id = :name ORDER BY key DESC LIMIT :limit) AS part
  UNION SELECT key FROM (SELECT key FROM event WHERE object_id = :name AND kind <> 'payment' ORDER BY key DESC LIMIT :limit) AS part
)
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       headers
FROM found CROSS JOIN event USING (key)
UNION ALL
SELECT key, salt, past.source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size,
       sha256, '[]'
FROM gone CROSS JOIN past ON past.source = gone.source AND provider_event_id = :name
ORDER BY key DESC LIMIT :limit;
