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
UNION SELECT key FROM (SELECT key FROM event INDEXED BY event_of_payment WHERE payment_id = :text LIMIT :limit) AS part
UNION SELECT key FROM (
  SELECT key FROM event INDEXED BY event_of_object WHERE object_id = :text AND kind <> 'payment' LIMIT :limit) AS part
UNION SELECT key FROM (
  SELECT key FROM paid CROSS JOIN event INDEXED BY event_of_payment
    ON payment_id = paid.id AND event.provider = paid.provider LIMIT :limit) AS part
UNION SELECT key FROM (
  SELECT key FROM object CROSS JOIN event INDEXED BY event_of_object
    ON object_id = object.id AND event.kind <> 'payment' AND event.kind = object.kind AND event.provider = object.provider
  LIMIT :limit) AS part
LIMIT :limit;

-- count_pending: how much is owed, counted no further than the limit
WITH its(number) AS (SELECT number FROM endpoint WHERE name = :endpoint OR :endpoint IS NULL)
SELECT count(*) FROM (
  SELECT 1 FROM its CROSS JOIN delivery INDEXED BY delivery_due ON endpoint = number
  WHERE state = 'pending' AND held = 0
  UNION ALL
  SELECT 1 FROM its CROSS JOIN delivery INDEXED BY delivery_chain ON endpoint = number
  WHERE state = 'pending' AND chain IS NOT NULL AND held = 1
  LIMIT :limit) AS part;

-- pending_back_to: where a look at so many of what is owed ends, newest event first; no row where that is all there is
WITH its(number) AS (SELECT number FROM endpoint WHERE name = :endpoint OR :endpoint IS NULL)
SELECT event FROM (
  SELECT event, endpoint FROM its CROSS JOIN delivery INDEXED BY delivery_due ON endpoint = number
  WHERE state = 'pending' AND held = 0
  UNION ALL
  SELECT event, endpoint FROM its CROSS JOIN delivery INDEXED BY delivery_chain ON endpoint = number
  WHERE state = 'pending' AND chain IS NOT NULL AND held = 1) AS owed
WHERE (event, endpoint) < (:before, :before_endpoint) AND event >= :since
ORDER BY event DESC, endpoint DESC LIMIT 1 OFFSET :looks - 1;

-- last_events: of the newest so many, the last of each source
SELECT source, max(received_at) FROM (SELECT source, received_at FROM event ORDER BY key DESC LIMIT ?) AS newest GROUP BY source;
