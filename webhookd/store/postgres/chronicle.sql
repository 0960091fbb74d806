-- said: the first events that spoke of a payment or of a refund of it, in log order, be they in the log or past
WITH its_refund(refund) AS MATERIALIZED (
  (SELECT id FROM ledger WHERE provider = :provider AND payment_id = :payment AND kind = 'refund' LIMIT :counted)
  UNION (SELECT object_id FROM event
         WHERE payment_id = :payment AND provider = :provider AND kind = 'refund' LIMIT :counted)
  UNION (SELECT object_id FROM past
         WHERE payment_id = :payment AND provider = :provider AND kind = 'refund' LIMIT :counted)
), spoke(key) AS MATERIALIZED (
  (SELECT key FROM event WHERE payment_id = :payment AND provider = :provider ORDER BY key LIMIT :counted)
  UNION (SELECT key FROM past WHERE payment_id = :payment AND provider = :provider ORDER BY key LIMIT :counted)
  UNION (SELECT key FROM its_refund JOIN event ON object_id = refund AND kind = 'refund' AND kind <> 'payment'
         WHERE provider = :provider LIMIT :counted)
  UNION (SELECT key FROM its_refund JOIN past ON object_id = refund AND kind = 'refund'
         WHERE provider = :provider LIMIT :counted)
), first(key) AS MATERIALIZED (
  SELECT key FROM spoke ORDER BY key LIMIT :limit
), told AS (
  SELECT key, salt, source, provider, provider_event_id, type, received_at, occurred_at, payment_id, kind, object_id,
         status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, NULL::bigint AS taken_at
  FROM first JOIN event USING (key)
  UNION ALL
  SELECT key, salt, source, provider, provider_event_id, type, received_at, occurred_at, payment_id, kind, object_id,
         status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, taken_at
  FROM first JOIN past USING (key)
)
SELECT t.*,
       (SELECT tie FROM ledger AS l WHERE l.provider = t.provider AND l.kind = t.kind AND l.id = t.object_id)
         IS NOT DISTINCT FROM provider_event_id || chr(31) || source,
       (SELECT coalesce(json_agg(json_build_array(number, name, state)), '[]') FROM (
          SELECT n.number, n.name, d.state FROM delivery AS d JOIN endpoint AS n ON n.number = d.endpoint
          WHERE d.event = t.key AND t.taken_at IS NULL ORDER BY d.endpoint LIMIT :deliveries) AS its),
       (SELECT count(*) FROM delivery AS d WHERE d.event = t.key AND t.taken_at IS NULL),
       (SELECT least(count(*), :counted) FROM spoke)
FROM told AS t ORDER BY key;
