-- payment: one, with what was refunded of it
SELECT provider, id, status, detail, amount, currency, exponent, refunded, reference, occurred_at, first_event
FROM payment WHERE provider = ? AND id = ?;

-- payments: a page, those heard of last first
SELECT provider, id, status, detail, amount, currency, exponent, refunded, reference, occurred_at, first_event
FROM payment
WHERE first_event < :before AND first_event >= :since AND (:provider IS NULL OR provider = :provider)
  AND (:status IS NULL OR status = :status)
ORDER BY first_event DESC LIMIT :limit;

-- payments_by_reference: those that bear the reference, or are it
SELECT provider, id, status, detail, amount, currency, exponent, refunded, reference, occurred_at, first_event
FROM payment
WHERE (provider, id) IN (SELECT provider, payment_id FROM reference WHERE name = :reference
                         UNION SELECT provider, id FROM ledger WHERE kind = 'payment' AND id = :reference
                           AND provider IN (SELECT value FROM json_each(:providers)))
  AND first_event < :before AND first_event >= :since AND (:provider IS NULL OR provider = :provider)
  AND (:status IS NULL OR status = :status)
ORDER BY first_event DESC LIMIT :limit;

-- events_of_payment: what spoke of it, in log order
SELECT key, salt FROM event WHERE payment_id = ? AND provider = ? ORDER BY key LIMIT ?;

-- events_of_object: what spoke of an object that is no payment, in log order
SELECT key, salt FROM event WHERE object_id = ? AND kind <> 'payment' AND kind = ? AND provider = ? ORDER BY key LIMIT ?;

-- objects: a page of one kind, those heard of last first
SELECT provider, kind, id, status, detail, amount, currency, exponent, payment_id, reference, occurred_at, first_event
FROM ledger
WHERE kind = :kind AND first_event < :before AND first_event >= :since AND (:provider IS NULL OR provider = :provider)
  AND (:status IS NULL OR status = :status) AND (:reference IS NULL OR reference = :reference)
  AND (:payment IS NULL OR payment_id = :payment)
ORDER BY first_event DESC LIMIT :limit;

-- objects_of_payment: the same for one payment, from its index
SELECT provider, kind, id, status, detail, amount, currency, exponent, payment_id, reference, occurred_at, first_event
FROM ledger
WHERE provider IN (SELECT value FROM json_each(:providers)) AND payment_id = :payment
  AND kind = :kind AND first_event < :before AND first_event >= :since AND (:provider IS NULL OR provider = :provider)
  AND (:status IS NULL OR status = :status) AND (:reference IS NULL OR reference = :reference)
ORDER BY first_event DESC LIMIT :limit;

-- counted_until: how far the next so many counting objects reach
SELECT counted_at FROM ledger WHERE counted_at >= ? AND counted_at < ? ORDER BY counted_at LIMIT 1 OFFSET ?;

-- gross: captured payments by day, provider and currency; sums in two parts, for each alone fits 64 bits
SELECT counted_at / 86400000, provider, currency, exponent, sum(amount / 1000000000), sum(amount % 1000000000),
       sum(amount IS NULL)
FROM ledger WHERE counted_at >= ? AND counted_at < ? AND kind = 'payment'
GROUP BY 1, 2, 3, 4;

-- disputed: disputes by the day they came up
SELECT counted_at / 86400000, provider, currency, exponent, sum(amount / 1000000000), sum(amount % 1000000000),
       sum(amount IS NULL)
FROM ledger WHERE counted_at >= ? AND counted_at < ? AND kind = 'dispute'
GROUP BY 1, 2, 3, 4;

-- refunded: refunds that stand, of payments that were captured, by the day they succeeded
SELECT r.counted_at / 86400000, r.provider, r.currency, r.exponent, sum(r.amount / 1000000000),
       sum(r.amount % 1000000000), sum(r.amount IS NULL)
FROM ledger AS r JOIN ledger AS p ON p.provider = r.provider AND p.kind = 'payment' AND p.id = r.payment_id
WHERE r.counted_at >= ? AND r.counted_at < ? AND r.kind = 'refund' AND r.status = 'succeeded'
  AND p.counted_at IS NOT NULL
GROUP BY 1, 2, 3, 4;

-- refunded_until: how far the next so many payments with a reported refund reach
SELECT refunded_at FROM ledger WHERE refunded_at >= ? AND refunded_at < ? ORDER BY refunded_at LIMIT 1 OFFSET ?;

-- unitemised: what payments report as refunded beyond the refunds that are known one by one
SELECT refunded_at / 86400000, provider, currency, exponent, sum(unitemised / 1000000000),
       sum(unitemised % 1000000000), 0
FROM payment WHERE refunded_at >= ? AND refunded_at < ? AND counted_at IS NOT NULL AND unitemised > 0
GROUP BY 1, 2, 3, 4;
