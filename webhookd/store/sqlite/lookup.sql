-- events: those of these that match, newest first
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       headers
FROM (SELECT value AS found FROM json_each(:keys)) CROSS JOIN event ON key = found
WHERE key < :before AND key >= :since AND (source = :source OR :source IS NULL)
  AND (provider = :provider OR :provider IS NULL) AND (glob(:type, type) OR :type IS NULL)
  AND (state = :state OR :state IS NULL) AND (key > :after OR :after IS NULL)
ORDER BY iif(:after IS NULL, -key, key) LIMIT :limit;

-- deliveries: those of these events that match, newest event first
SELECT d.event, e.salt, d.endpoint, n.name, d.state, d.attempts, d.due_at, d.last_status, d.last_error, d.created_at,
       d.settled_at
FROM (SELECT value AS found FROM json_each(:keys)) CROSS JOIN delivery AS d ON d.event = found
  CROSS JOIN event AS e ON e.key = d.event CROSS JOIN endpoint AS n ON n.number = d.endpoint
WHERE (d.event, d.endpoint) < (:before, :before_endpoint) AND d.event >= :since
  AND (d.state = :state OR :state IS NULL) AND (n.name = :endpoint OR :endpoint IS NULL)
  AND (d.last_error = :error OR :error IS NULL) AND (d.last_status = :status OR :status IS NULL)
  AND (e.source = :source OR :source IS NULL) AND (e.provider = :provider OR :provider IS NULL)
  AND (glob(:type, e.type) OR :type IS NULL)
ORDER BY d.event DESC, d.endpoint DESC LIMIT :limit;

-- delivery_states: how many deliveries of these events there are in each state
SELECT event, state, count(*)
FROM (SELECT value AS found FROM json_each(:keys)) CROSS JOIN delivery ON event = found GROUP BY event, state;

-- pending: a page of what is owed, newest event first, from the indexes of it; what only the event knows is looked at
-- only where it is asked for
WITH its(number) AS (SELECT number FROM endpoint WHERE name = :endpoint OR :endpoint IS NULL), owed AS (
  SELECT event, endpoint FROM its CROSS JOIN delivery INDEXED BY delivery_due ON endpoint = number
  WHERE state = 'pending' AND held = 0
  UNION ALL
  SELECT event, endpoint FROM its CROSS JOIN delivery INDEXED BY delivery_chain ON endpoint = number
  WHERE state = 'pending' AND chain IS NOT NULL AND held = 1
), found AS MATERIALIZED (
  SELECT event, endpoint FROM owed WHERE (event, endpoint) < (:before, :before_endpoint) AND event >= :since
  ORDER BY event DESC, endpoint DESC
  LIMIT iif(coalesce(:source, :provider, :type, :error, :status) IS NULL, :limit, -1)
)
SELECT d.event, e.salt, d.endpoint, n.name, d.state, d.attempts, d.due_at, d.last_status, d.last_error, d.created_at,
       d.settled_at
FROM found CROSS JOIN delivery AS d ON d.event = found.event AND d.endpoint = found.endpoint
  CROSS JOIN event AS e ON e.key = d.event CROSS JOIN endpoint AS n ON n.number = d.endpoint
WHERE (d.last_error = :error OR :error IS NULL) AND (d.last_status = :status OR :status IS NULL)
  AND (e.source = :source OR :source IS NULL) AND (e.provider = :provider OR :provider IS NULL)
  AND (glob(:type, e.type) OR :type IS NULL)
ORDER BY d.event DESC, d.endpoint DESC LIMIT :limit;
