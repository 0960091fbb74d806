-- event: one as it is in the log, with what it says of money
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       headers, iif(state = 'quarantined', body, NULL), body IS NOT NULL, NULL, kind, object_id, status
FROM event WHERE key = :key AND (:salt IS NULL OR salt = :salt)
UNION ALL
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       '[]', NULL, 0, taken_at, kind, object_id, status
FROM past WHERE key = :key AND (:salt IS NULL OR salt = :salt);

-- owed: its deliveries, and how their endpoints stand
SELECT d.endpoint, n.name, d.state, d.due_at, d.attempts, d.replay, d.last_status, d.last_error, d.created_at,
       d.settled_at, d.held,
       iif(d.held, (SELECT min(event) FROM delivery AS e
                    WHERE e.endpoint = d.endpoint AND e.chain = d.chain AND e.state = 'pending'), NULL),
       n.state, n.why, n.breaker, n.retry_at, n.trips, n.failing_since
FROM delivery AS d JOIN endpoint AS n ON n.number = d.endpoint
WHERE d.event = :key AND (:endpoint IS NULL OR d.endpoint = :endpoint) ORDER BY d.endpoint LIMIT :limit;

-- owed_count: how many those are
SELECT count(*) FROM delivery WHERE event = :key AND (:endpoint IS NULL OR endpoint = :endpoint);

-- salt: the other half of an event's id
SELECT salt FROM event WHERE key = ?;

-- tried: its attempts, the newest first
SELECT endpoint, number, started_at, duration_ms, status, error, replay, state FROM attempt
WHERE event = :key AND (:endpoint IS NULL OR endpoint = :endpoint)
ORDER BY started_at DESC, number DESC LIMIT :limit;

-- tried_count: how many those are
SELECT count(*) FROM attempt WHERE event = :key AND (:endpoint IS NULL OR endpoint = :endpoint);

-- conflicts: other bodies that came under its id
SELECT first_at, last_at, times FROM conflict WHERE event = ? ORDER BY first_at;

-- changes: what people did to these, from a time on, among the newest rows; a ping changes nothing
SELECT at, actor, action, subject FROM audit
WHERE number > (SELECT coalesce(max(number), 0) FROM audit) - :looks AND at >= :since
  AND subject IN (SELECT value FROM json_each(:subjects)) AND action <> 'endpoint.ping'
ORDER BY number DESC LIMIT :limit;

-- replays: those that named it
SELECT DISTINCT number, created_at FROM replay, json_each(chosen)
WHERE chosen IS NOT NULL AND value ->> 0 = :key AND (:endpoint IS NULL OR value ->> 1 = :endpoint) ORDER BY number;

-- routes: who asks for events of its source, or of its type
SELECT name, source, pattern, added_at, is_its_source, is_its_type FROM (
  SELECT n.name, r.source, r.pattern, r.added_at,
         r.source = :source OR (r.source = '*' AND :source <> 'webhookd') AS is_its_source,
         iif(r.is_glob, :type GLOB r.pattern, :type = r.pattern) AS is_its_type
  FROM route AS r JOIN endpoint AS n ON n.number = r.endpoint)
WHERE is_its_source OR is_its_type ORDER BY is_its_source AND is_its_type DESC, is_its_type DESC, added_at LIMIT :limit;

-- stands: whether the ledger has an object as an event says
SELECT tie = ? || char(31) || ? FROM ledger WHERE provider = ? AND kind = ? AND id = ?;

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
  UNION SELECT key FROM (SELECT key FROM event WHERE payment_id = :name ORDER BY key DESC LIMIT :limit)
  UNION SELECT key FROM (SELECT key FROM event WHERE object_id = :name AND kind <> 'payment' ORDER BY key DESC LIMIT :limit)
)
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       headers
FROM found CROSS JOIN event USING (key)
UNION ALL
SELECT key, salt, past.source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size,
       sha256, '[]'
FROM gone CROSS JOIN past ON past.source = gone.source AND provider_event_id = :name
ORDER BY key DESC LIMIT :limit;
