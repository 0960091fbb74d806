-- changes: what people did to these, from a time on, among the newest rows; a ping changes nothing
SELECT at, actor, action, subject FROM audit
WHERE number > (SELECT coalesce(max(number), 0) FROM audit) - :looks AND at >= :since
  AND subject IN (SELECT json_array_elements_text(:subjects::json)) AND action <> 'endpoint.ping'
ORDER BY number DESC LIMIT :limit;

-- replays: those that named it
SELECT DISTINCT number, created_at FROM replay CROSS JOIN listed_pairs(chosen) AS its
WHERE chosen IS NOT NULL AND its.event = :key AND (its.endpoint = :endpoint OR :endpoint IS NULL) ORDER BY number;

-- bearing: events by their provider's id, payment or object; the sources there are, one step of the index each
WITH RECURSIVE its(source) AS (
  SELECT min(source) FROM identity UNION ALL
  SELECT (SELECT min(source) FROM identity WHERE source > its.source) FROM its WHERE its.source IS NOT NULL
), named AS (
  SELECT key FROM its JOIN identity USING (source) WHERE provider_event_id = :name
), found AS (
  SELECT key FROM named
  UNION (SELECT key FROM event WHERE payment_id = :name ORDER BY key DESC LIMIT :limit)
  UNION (SELECT key FROM event WHERE object_id = :name AND kind <> 'payment' ORDER BY key DESC LIMIT :limit)
)
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       headers
FROM found JOIN event USING (key)
UNION ALL
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       '[]'
FROM named JOIN past USING (key)
ORDER BY key DESC LIMIT :limit;
