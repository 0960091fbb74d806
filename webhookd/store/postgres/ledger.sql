-- payment: one, with what was refunded of it
SELECT provider, id, status, detail, amount, currency, exponent, refunded, reference, occurred_at, first_event,
       events_of_payment(provider, id)
FROM payment WHERE provider = ? AND id = ?;

-- payments: a page, those heard of last first
SELECT provider, id, status, detail, amount, currency, exponent, refunded, reference, occurred_at, first_event,
       events_of_payment(provider, id)
FROM payment
WHERE first_event < :before AND first_event >= :since AND (provider = :provider OR :provider IS NULL)
  AND (status = :status OR :status IS NULL)
ORDER BY first_event DESC LIMIT :limit;

-- payments_by_reference: those that bear the reference, or are it, each looked up
SELECT provider, id, status, detail, amount, currency, exponent, refunded, reference, occurred_at, first_event,
       events_of_payment(provider, id)
FROM (SELECT provider, payment_id AS id FROM reference WHERE name = :reference
      UNION SELECT provider, id FROM ledger WHERE kind = 'payment' AND id = :reference
        AND provider IN (SELECT json_array_elements_text(:providers::json))) AS its
  JOIN payment USING (provider, id)
WHERE first_event < :before AND first_event >= :since AND (provider = :provider OR :provider IS NULL)
  AND (status = :status OR :status IS NULL)
ORDER BY first_event DESC LIMIT :limit;

-- payments_by_shared_reference: the same for a name that very many bear: from the newest on until there are enough
SELECT provider, id, status, detail, amount, currency, exponent, refunded, reference, occurred_at, first_event,
       events_of_payment(provider, id)
FROM payment
WHERE EXISTS (SELECT 1 FROM reference AS r
              WHERE r.name = :reference AND r.provider = payment.provider AND r.payment_id = payment.id)
  AND first_event < :before AND first_event >= :since AND (provider = :provider OR :provider IS NULL)
  AND (status = :status OR :status IS NULL)
ORDER BY first_event DESC LIMIT :limit;

-- objects: a page of one kind, those heard of last first
SELECT provider, kind, id, status, detail, amount, currency, exponent, payment_id, reference, occurred_at, first_event,
       events_of_object(provider, kind, id)
FROM ledger
WHERE kind = :kind AND first_event < :before AND first_event >= :since AND (provider = :provider OR :provider IS NULL)
  AND (status = :status OR :status IS NULL) AND (:reference IN (reference, id) OR :reference IS NULL)
ORDER BY first_event DESC LIMIT :limit;

-- objects_looked_up: the same for one payment or one reference, from their indexes
SELECT provider, kind, id, status, detail, amount, currency, exponent, payment_id, reference, occurred_at, first_event,
       events_of_object(provider, kind, id)
FROM (SELECT provider, id FROM ledger
      WHERE provider IN (SELECT json_array_elements_text(:providers::json)) AND payment_id = :payment AND kind = :kind
      UNION SELECT provider, id FROM ledger
      WHERE :payment IS NULL AND reference = :reference AND kind = :kind AND kind <> 'payment'
      UNION SELECT provider, id FROM ledger
      WHERE :payment IS NULL AND provider IN (SELECT json_array_elements_text(:providers::json)) AND kind = :kind
        AND id = :reference) AS its
  JOIN ledger USING (provider, id)
WHERE kind = :kind AND first_event < :before AND first_event >= :since
  AND (provider = :provider OR :provider IS NULL) AND (status = :status OR :status IS NULL)
  AND (:reference IN (reference, id) OR :reference IS NULL)
ORDER BY first_event DESC LIMIT :limit;
