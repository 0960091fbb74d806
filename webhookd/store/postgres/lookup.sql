-- bearing: events by their source's id, payment, object, or a reference of either; the sources there are, one step of the
-- index each
WITH RECURSIVE its(source) AS (
  SELECT min(source) FROM identity UNION ALL
  SELECT (SELECT min(source) FROM identity WHERE source > its.source) FROM its WHERE its.source IS NOT NULL
), paid(provider, id) AS (
  SELECT provider, payment_id FROM reference WHERE name = :text LIMIT :limit
), object(provider, kind, id) AS (
  SELECT provider, kind, id FROM ledger
  WHERE reference = :text AND kind <> 'payment' LIMIT :limit
)
SELECT key FROM its JOIN identity USING (source) JOIN event USING (key) WHERE identity.provider_event_id = :text
UNION SELECT key FROM (SELECT key FROM event WHERE payment_id = :text LIMIT :limit) AS part
UNION SELECT key FROM (
  SELECT key FROM event WHERE object_id = :text AND kind <> 'payment' LIMIT :limit) AS part
UNION SELECT key FROM (
  SELECT key FROM paid JOIN event
    ON payment_id = paid.id AND event.provider = paid.provider LIMIT :limit) AS part
UNION SELECT key FROM (
  SELECT key FROM object JOIN event
    ON object_id = object.id AND event.kind <> 'payment' AND event.kind = object.kind AND event.provider = object.provider
  LIMIT :limit) AS part
LIMIT :limit;

-- events: those of these that match, newest first
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       headers
FROM listed(:keys) AS found JOIN event ON key = found
WHERE key < :before AND key >= :since AND (source = :source OR :source IS NULL)
  AND (provider = :provider OR :provider IS NULL) AND (glob(:type, type) OR :type IS NULL)
  AND (state = :state OR :state IS NULL) AND (key > :after OR :after IS NULL)
ORDER BY CASE WHEN :after IS NULL THEN -key ELSE key END LIMIT :limit;

-- deliveries: those of these events that match, newest event first
SELECT d.event, e.salt, d.endpoint, n.name, d.state, d.attempts, d.due_at, d.last_status, d.last_error, d.created_at,
       d.settled_at
FROM listed(:keys) AS found JOIN delivery AS d ON d.event = found
  JOIN event AS e ON e.key = d.event JOIN endpoint AS n ON n.number = d.endpoint
WHERE (d.event, d.endpoint) < (:before, :before_endpoint) AND d.event >= :since
  AND (d.state = :state OR :state IS NULL) AND (n.name = :endpoint OR :endpoint IS NULL)
  AND (d.last_error = :error OR :error IS NULL) AND (d.last_status = :status OR :status IS NULL)
  AND (e.source = :source OR :source IS NULL) AND (e.provider = :provider OR :provider IS NULL)
  AND (glob(:type, e.type) OR :type IS NULL)
ORDER BY d.event DESC, d.endpoint DESC LIMIT :limit;

-- delivery_states: how many deliveries of these events there are in each state
SELECT event, state, count(*) FROM listed(:keys) AS found JOIN delivery ON event = found GROUP BY event, state;

-- pending: a page of what is owed, newest event first, from the indexes of it; what only the event knows is looked at
-- only where it is asked for
WITH its(number) AS (SELECT number FROM endpoint WHERE name = :endpoint OR :endpoint IS NULL), owed AS (
  SELECT event, endpoint FROM its JOIN delivery ON endpoint = number WHERE state = 'pending' AND held = 0
  UNION ALL
  SELECT event, endpoint FROM its JOIN delivery ON endpoint = number
  WHERE state = 'pending' AND chain IS NOT NULL AND held = 1
), found AS MATERIALIZED (
  SELECT event, endpoint FROM owed WHERE (event, endpoint) < (:before, :before_endpoint) AND event >= :since
  ORDER BY event DESC, endpoint DESC
  LIMIT CASE WHEN coalesce(:source, :provider, :type, :error, :status::bigint::text) IS NULL THEN :limit::bigint END
)
SELECT d.event, e.salt, d.endpoint, n.name, d.state, d.attempts, d.due_at, d.last_status, d.last_error, d.created_at,
       d.settled_at
FROM found JOIN delivery AS d ON d.event = found.event AND d.endpoint = found.endpoint
  JOIN event AS e ON e.key = d.event JOIN endpoint AS n ON n.number = d.endpoint
WHERE (d.last_error = :error OR :error IS NULL) AND (d.last_status = :status OR :status IS NULL)
  AND (e.source = :source OR :source IS NULL) AND (e.provider = :provider OR :provider IS NULL)
  AND (glob(:type, e.type) OR :type IS NULL)
ORDER BY d.event DESC, d.endpoint DESC LIMIT :limit;
