-- with_id: the key of an event, by both halves of its id
SELECT key FROM event WHERE key = ? AND salt = ?;

-- with_delivery: the same, by one of its deliveries
SELECT event FROM delivery WHERE event = ? AND endpoint = ?;

-- bearing: events by their source's id, payment, object, or a reference of either; the sources there are, one step of the
-- index each
WITH RECURSIVE its(source) AS (
  SELECT min(source) FROM event UNION ALL
  SELECT (SELECT min(source) FROM event WHERE source > its.source) FROM its WHERE its.source IS NOT NULL
), paid(provider, id) AS (
  SELECT provider, payment_id FROM reference WHERE name = :text LIMIT :limit
), object(provider, kind, id) AS (
  SELECT provider, kind, id FROM ledger INDEXED BY ledger_by_reference
  WHERE reference = :text AND kind <> 'payment' LIMIT :limit
)
SELECT key FROM its CROSS JOIN event USING (source) WHERE provider_event_id = :text
UNION SELECT key FROM (SELECT key FROM event INDEXED BY event_of_payment WHERE payment_id = :text LIMIT :limit)
UNION SELECT key FROM (
  SELECT key FROM event INDEXED BY event_of_object WHERE object_id = :text AND kind <> 'payment' LIMIT :limit)
UNION SELECT key FROM (
  SELECT key FROM paid CROSS JOIN event INDEXED BY event_of_payment
    ON payment_id = paid.id AND event.provider = paid.provider LIMIT :limit)
UNION SELECT key FROM (
  SELECT key FROM object CROSS JOIN event INDEXED BY event_of_object
    ON object_id = object.id AND event.kind <> 'payment' AND event.kind = object.kind AND event.provider = object.provider
  LIMIT :limit)
LIMIT :limit;

-- events: those of these that match, newest first
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       headers
FROM (SELECT value AS found FROM json_each(:keys)) CROSS JOIN event ON key = found
WHERE key < :before AND key >= :since AND (:source IS NULL OR source = :source)
  AND (:provider IS NULL OR provider = :provider) AND (:type IS NULL OR type GLOB :type)
  AND (:state IS NULL OR state = :state) AND (:after IS NULL OR key > :after)
ORDER BY iif(:after IS NULL, -key, key) LIMIT :limit;

-- deliveries: those of these events that match, newest event first
SELECT d.event, e.salt, d.endpoint, n.name, d.state, d.attempts, d.due_at, d.last_status, d.last_error, d.created_at,
       d.settled_at
FROM (SELECT value AS found FROM json_each(:keys)) CROSS JOIN delivery AS d ON d.event = found
  CROSS JOIN event AS e ON e.key = d.event CROSS JOIN endpoint AS n ON n.number = d.endpoint
WHERE (d.event, d.endpoint) < (:before, :before_endpoint) AND d.event >= :since
  AND (:state IS NULL OR d.state = :state) AND (:endpoint IS NULL OR n.name = :endpoint)
  AND (:error IS NULL OR d.last_error = :error) AND (:status IS NULL OR d.last_status = :status)
  AND (:source IS NULL OR e.source = :source) AND (:provider IS NULL OR e.provider = :provider)
  AND (:type IS NULL OR e.type GLOB :type)
ORDER BY d.event DESC, d.endpoint DESC LIMIT :limit;

-- delivery_states: how many deliveries of these events there are in each state
SELECT event, state, count(*)
FROM (SELECT value AS found FROM json_each(:keys)) CROSS JOIN delivery ON event = found GROUP BY event, state;

-- pending: a page of what is owed, newest event first, from the indexes of it; what only the event knows is looked at
-- only where it is asked for
WITH its(number) AS (SELECT number FROM endpoint WHERE :endpoint IS NULL OR name = :endpoint), owed AS (
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
WHERE (:error IS NULL OR d.last_error = :error) AND (:status IS NULL OR d.last_status = :status)
  AND (:source IS NULL OR e.source = :source) AND (:provider IS NULL OR e.provider = :provider)
  AND (:type IS NULL OR e.type GLOB :type)
ORDER BY d.event DESC, d.endpoint DESC LIMIT :limit;

-- count_pending: how much is owed, counted no further than the limit
WITH its(number) AS (SELECT number FROM endpoint WHERE :endpoint IS NULL OR name = :endpoint)
SELECT count(*) FROM (
  SELECT 1 FROM its CROSS JOIN delivery INDEXED BY delivery_due ON endpoint = number
  WHERE state = 'pending' AND held = 0
  UNION ALL
  SELECT 1 FROM its CROSS JOIN delivery INDEXED BY delivery_chain ON endpoint = number
  WHERE state = 'pending' AND chain IS NOT NULL AND held = 1
  LIMIT :limit);

-- pending_back_to: where a look at so many of what is owed ends, newest event first; no row where that is all there is
WITH its(number) AS (SELECT number FROM endpoint WHERE :endpoint IS NULL OR name = :endpoint)
SELECT event FROM (
  SELECT event, endpoint FROM its CROSS JOIN delivery INDEXED BY delivery_due ON endpoint = number
  WHERE state = 'pending' AND held = 0
  UNION ALL
  SELECT event, endpoint FROM its CROSS JOIN delivery INDEXED BY delivery_chain ON endpoint = number
  WHERE state = 'pending' AND chain IS NOT NULL AND held = 1)
WHERE (event, endpoint) < (:before, :before_endpoint) AND event >= :since
ORDER BY event DESC, endpoint DESC LIMIT 1 OFFSET :looks - 1;

-- last_events: of the newest so many, the last of each source
SELECT source, max(received_at) FROM (SELECT source, received_at FROM event ORDER BY key DESC LIMIT ?) GROUP BY source;
