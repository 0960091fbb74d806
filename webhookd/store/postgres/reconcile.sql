-- known: an event by its provider's id or by an alias, or what retention has left of it
WITH its(key, by) AS (
  SELECT key, 1 FROM identity WHERE source = :source AND provider_event_id = :name
  UNION ALL SELECT event, 2 FROM alias WHERE source = :source AND name = :alias
), found AS (
  SELECT by, key, salt, provider_event_id, type, sha256, occurred_at, payment_id, kind, object_id, status, amount, currency,
         0 AS is_past
  FROM its JOIN event USING (key)
  UNION ALL
  SELECT by, key, salt, provider_event_id, type, sha256, occurred_at, payment_id, kind, object_id, status, amount, currency, 1
  FROM its JOIN past USING (key)
)
SELECT key, salt, provider_event_id, type, sha256, occurred_at, payment_id, kind, object_id, status, amount, currency,
       is_past
FROM found ORDER BY by, is_past LIMIT 1;
