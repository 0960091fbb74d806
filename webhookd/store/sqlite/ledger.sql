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
WHERE first_event < :before AND first_event >= :since AND (:provider IS NULL OR provider = :provider)
  AND (:status IS NULL OR status = :status)
ORDER BY first_event DESC LIMIT :limit;

-- first_heard_back_to: where a look at so many of a kind ends, those heard of last first; no row where that is all
SELECT first_event FROM ledger INDEXED BY ledger_recent
WHERE kind = :kind AND first_event < :before AND first_event >= :since
ORDER BY first_event DESC LIMIT 1 OFFSET :looks - 1;

-- bearers: how many payments bear the reference, counted no further than the limit
SELECT count(*) FROM (SELECT 1 FROM reference WHERE name = ? LIMIT ?);

-- payments_by_reference: those that bear the reference, or are it, each looked up
SELECT provider, id, status, detail, amount, currency, exponent, refunded, reference, occurred_at, first_event,
       (SELECT json_group_array(json_array(key, salt)) FROM (
          SELECT key, salt FROM event WHERE event.payment_id = payment.id AND event.provider = payment.provider
          ORDER BY key LIMIT 100))
FROM (SELECT provider AS its_provider, payment_id FROM reference WHERE name = :reference
      UNION SELECT provider, id FROM ledger WHERE kind = 'payment' AND id = :reference
        AND provider IN (SELECT value FROM json_each(:providers)))
  CROSS JOIN payment ON provider = its_provider AND id = payment_id
WHERE first_event < :before AND first_event >= :since AND (:provider IS NULL OR provider = :provider)
  AND (:status IS NULL OR status = :status)
ORDER BY first_event DESC LIMIT :limit;

-- payments_by_shared_reference: the same for a name that very many bear: from the newest on until there are enough
SELECT provider, id, status, detail, amount, currency, exponent, refunded, reference, occurred_at, first_event,
       (SELECT json_group_array(json_array(key, salt)) FROM (
          SELECT key, salt FROM event WHERE event.payment_id = payment.id AND event.provider = payment.provider
          ORDER BY key LIMIT 100))
FROM payment
WHERE EXISTS (SELECT 1 FROM reference WHERE name = :reference AND provider = +payment.provider AND payment_id = +id)
  AND first_event < :before AND first_event >= :since AND (:provider IS NULL OR provider = :provider)
  AND (:status IS NULL OR status = :status)
ORDER BY first_event DESC LIMIT :limit;

-- object_bearers: the same of objects of one kind
SELECT count(*) FROM (
  SELECT 1 FROM ledger INDEXED BY ledger_by_reference WHERE reference = ? AND kind = ? AND kind <> 'payment' LIMIT ?);

-- objects: a page of one kind, those heard of last first
SELECT provider, kind, id, status, detail, amount, currency, exponent, payment_id, reference, occurred_at, first_event,
       (SELECT json_group_array(json_array(key, salt)) FROM (
          SELECT key, salt FROM event WHERE event.object_id = ledger.id AND event.kind <> 'payment'
            AND event.kind = ledger.kind AND event.provider = ledger.provider
          ORDER BY key LIMIT 100))
FROM ledger
WHERE kind = :kind AND first_event < :before AND first_event >= :since AND (:provider IS NULL OR provider = :provider)
  AND (:status IS NULL OR status = :status) AND (:reference IS NULL OR :reference IN (reference, id))
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
WHERE first_event < :before AND first_event >= :since AND (:provider IS NULL OR provider = :provider)
  AND (:status IS NULL OR status = :status)
  AND (:reference IS NULL OR :reference IN (reference, id))
ORDER BY first_event DESC LIMIT :limit;

-- counted_until: how far the next so many counting objects reach
SELECT counted_at FROM ledger WHERE counted_at >= ? AND counted_at < ? ORDER BY counted_at LIMIT 1 OFFSET ?;

-- gross: captured payments by day, provider and currency; sums in two parts, for each alone fits 64 bits
SELECT counted_at / 86400000, provider, currency, exponent, sum(amount / 1000000000), sum(amount % 1000000000),
       sum(amount IS NULL)
FROM ledger INDEXED BY ledger_counted WHERE counted_at >= ? AND counted_at < ? AND kind = 'payment'
GROUP BY 1, 2, 3, 4;

-- disputed: disputes by the day they came up
SELECT counted_at / 86400000, provider, currency, exponent, sum(amount / 1000000000), sum(amount % 1000000000),
       sum(amount IS NULL)
FROM ledger INDEXED BY ledger_counted WHERE counted_at >= ? AND counted_at < ? AND kind = 'dispute'
GROUP BY 1, 2, 3, 4;

-- refunded: refunds that stand, of payments that were captured, by the day they succeeded
SELECT r.counted_at / 86400000, r.provider, r.currency, r.exponent, sum(r.amount / 1000000000),
       sum(r.amount % 1000000000), sum(r.amount IS NULL)
FROM ledger AS r INDEXED BY ledger_given_back
  CROSS JOIN ledger AS p ON p.provider = r.provider AND p.kind = 'payment' AND p.id = r.payment_id
WHERE r.counted_at >= ? AND r.counted_at < ? AND r.kind = 'refund' AND r.status = 'succeeded'
  AND p.counted_at IS NOT NULL
GROUP BY 1, 2, 3, 4;

-- refunded_until: how far the next so many payments with a reported refund reach
SELECT refunded_at FROM ledger WHERE refunded_at >= ? AND refunded_at < ? ORDER BY refunded_at LIMIT 1 OFFSET ?;

-- unitemised: what payments report as refunded beyond the refunds that are known one by one
SELECT refunded_at / 86400000, provider, currency, exponent, sum(unitemised / 1000000000),
       sum(unitemised % 1000000000), 0
FROM (SELECT provider AS its_provider, id AS its_id FROM ledger INDEXED BY ledger_refunded
      WHERE refunded_at >= ? AND refunded_at < ? AND kind = 'payment')
  CROSS JOIN payment ON provider = its_provider AND id = its_id
WHERE counted_at IS NOT NULL AND unitemised > 0
GROUP BY 1, 2, 3, 4;
