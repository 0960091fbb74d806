-- payment: one, with what was refunded of it
SELECT provider, id, status, detail, amount, currency, exponent, refunded, reference, occurred_at, first_event,
       (SELECT json_group_array(json_array(key, salt)) FROM (
          SELECT key, salt FROM event WHERE event.payment_id = payment.id AND event.provider = payment.provider
          ORDER BY key LIMIT 100))
FROM payment WHERE provider = ? AND id = ?;

-- payments: a page, those heard of last first
SELECT provider, id, status, detail, amount, currency, exponent, refunded, reference, occurred_at, first_event,
       (SELECT json_group_array(json_array(key, salt)) FROM (
          SELECT key, salt FROM event WHERE event.payment_id = payment.id AND event.provider = payment.provider
          ORDER BY key LIMIT 100))
FROM payment
WHERE first_event < :before AND first_event >= :since AND (provider = :provider OR :provider IS NULL)
  AND (status = :status OR :status IS NULL)
ORDER BY first_event DESC LIMIT :limit;

-- payments_by_reference: those that bear the reference, or are it, each looked up
SELECT provider, id, status, detail, amount, currency, exponent, refunded, reference, occurred_at, first_event,
       (SELECT json_group_array(json_array(key, salt)) FROM (
          SELECT key, salt FROM event WHERE event.payment_id = payment.id AND event.provider = payment.provider
          ORDER BY key LIMIT 100))
FROM (SELECT provider AS its_provider, payment_id FROM reference WHERE name = :reference
      UNION SELECT provider, id FROM ledger WHERE kind = 'payment' AND id = :reference
        AND provider IN (SELECT value FROM json_each(:providers)))
  CROSS JOIN payment ON provider = its_provider AND id = payment_id
WHERE first_event < :before AND first_event >= :since AND (provider = :provider OR :provider IS NULL)
  AND (status = :status OR :status IS NULL)
ORDER BY first_event DESC LIMIT :limit;

-- payments_by_shared_reference: the same for a name that very many bear: from the newest on until there are enough
SELECT provider, id, status, detail, amount, currency, exponent, refunded, reference, occurred_at, first_event,
       (SELECT json_group_array(json_array(key, salt)) FROM (
          SELECT key, salt FROM event WHERE event.payment_id = payment.id AND event.provider = payment.provider
          ORDER BY key LIMIT 100))
FROM payment
WHERE EXISTS (SELECT 1 FROM reference WHERE name = :reference AND provider = +payment.provider AND payment_id = +id)
  AND first_event < :before AND first_event >= :since AND (provider = :provider OR :provider IS NULL)
  AND (status = :status OR :status IS NULL)
ORDER BY first_event DESC LIMIT :limit;

-- objects: a page of one kind, those heard of last first
SELECT provider, kind, id, status, detail, amount, currency, exponent, payment_id, reference, occurred_at, first_event,
       (SELECT json_group_array(json_array(key, salt)) FROM (
          SELECT key, salt FROM event WHERE event.object_id = ledger.id AND event.kind <> 'payment'
            AND event.kind = ledger.kind AND event.provider = ledger.provider
          ORDER BY key LIMIT 100))
FROM ledger
WHERE kind = :kind AND first_event < :before AND first_event >= :since AND (provider = :provider OR :provider IS NULL)
  AND (status = :status OR :status IS NULL) AND (:reference IN (reference, id) OR :reference IS NULL)
ORDER BY first_event DESC LIMIT :limit;

-- objects_looked_up: the same for one payment or one reference, from their indexes
SELECT provider, kind, id, status, detail, amount, currency, exponent, payment_id, reference, occurred_at, first_event,
       (SELECT json_group_array(json_array(key, salt)) FROM (
          SELECT key, salt FROM event WHERE event.object_id = ledger.id AND event.kind <> 'payment'
            AND event.kind = ledger.kind AND event.provider = ledger.provider
          ORDER BY key LIMIT 100))
FROM (SELECT provider AS its_provider, id AS its_id FROM ledger INDEXED BY ledger_of_payment
      WHERE provider IN (SELECT value FROM json_each(:providers)) AND payment_id = :payment AND kind = :kind
      UNION SELECT provider, id FROM ledger INDEXED BY ledger_by_reference
      WHERE :payment IS NULL AND reference = :reference AND kind = :kind AND kind <> 'payment'
      UNION SELECT provider, id FROM ledger
      WHERE :payment IS NULL AND provider IN (SELECT value FROM json_each(:providers)) AND kind = :kind
        AND id = :reference)
  CROSS JOIN ledger ON provider = its_provider AND kind = :kind AND id = its_id
WHERE first_event < :before AND first_event >= :since AND (provider = :provider OR :provider IS NULL)
  AND (status = :status OR :status IS NULL)
  AND (:reference IN (reference, id) OR :reference IS NULL)
ORDER BY first_event DESC LIMIT :limit;
