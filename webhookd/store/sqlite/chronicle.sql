-- said: the first events that spoke of a payment or of a refund of it, in log order, be they in the log or past
WITH its_refund(refund) AS MATERIALIZED (
  SELECT id FROM (SELECT id FROM ledger INDEXED BY ledger_of_payment
                  WHERE provider = :provider AND payment_id = :payment AND kind = 'refund' LIMIT :counted)
  UNION SELECT object_id FROM (SELECT object_id FROM event
                               WHERE payment_id = :payment AND provider = :provider AND kind = 'refund' LIMIT :counted)
  UNION SELECT object_id FROM (SELECT object_id FROM past
                               WHERE payment_id = :payment AND provider = :provider AND kind = 'refund' LIMIT :counted)
), spoke(key) AS MATERIALIZED (
  SELECT key FROM (SELECT key FROM event
                   WHERE payment_id = :payment AND provider = :provider ORDER BY key LIMIT :counted)
  UNION SELECT key FROM (SELECT key FROM past
                         WHERE payment_id = :payment AND provider = :provider ORDER BY key LIMIT :counted)
  UNION SELECT key FROM (SELECT key FROM its_refund CROSS JOIN event
                         WHERE object_id = refund AND kind = 'refund' AND kind <> 'payment' AND provider = :provider
                         LIMIT :counted)
  UNION SELECT key FROM (SELECT key FROM its_refund CROSS JOIN past
                         WHERE object_id = refund AND kind = 'refund' AND provider = :provider LIMIT :counted)
), first(key) AS MATERIALIZED (
  SELECT key FROM spoke ORDER BY key LIMIT :limit
), told AS (
  SELECT key, salt, source, provider, provider_event_id, type, received_at, occurred_at, payment_id, kind, object_id,
         status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, NULL AS taken_at
  FROM first CROSS JOIN event USING (key)
  UNION ALL
  SELECT key, salt, source, provider, provider_event_id, type, received_at, occurred_at, payment_id, kind, object_id,
         status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, taken_at
  FROM first CROSS JOIN past USING (key)
)
SELECT *,
       (SELECT tie FROM ledger AS l WHERE l.provider = t.provider AND l.kind = t.kind AND l.id = t.object_id)
         IS provider_event_id || char(31) || source,
       (SELECT json_group_array(json_array(number, name, state)) FROM (
          SELECT n.number, n.name, d.state FROM delivery AS d JOIN endpoint AS n ON n.number = d.endpoint
          WHERE d.event = t.key ORDER BY d.endpoint LIMIT :deliveries)),
       (SELECT count(*) FROM delivery AS d WHERE d.event = t.key),
       (SELECT min(count(*), :counted) FROM spoke)
FROM told AS t ORDER BY key;

-- put: one of them into an empty database with the same triggers
INSERT INTO event (key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind,
                   object_id, status, detail, major, minor, counts, amount, currency, exponent, refunded, reference,
                   headers, sha256, size)
VALUES (:key, :salt, :source, :provider, :provider_event_id, :type, 'accepted', :received_at, :occurred_at, :payment_id,
        :kind, :object_id, :status, :detail, :major, :minor, :counts, :amount, :currency, :exponent, :refunded, :reference,
        '[]', zeroblob(32), 0);

-- stood: how an object stands there
SELECT major, minor, tie, status FROM ledger WHERE provider = :provider AND kind = :kind AND id = :object_id;

-- payment_stood: and the payment, with its refunds
SELECT status, amount, currency, exponent, refunded FROM payment WHERE provider = ? AND id = ?;
