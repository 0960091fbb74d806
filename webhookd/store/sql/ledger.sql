-- first_heard_back_to: where a look at so many of a kind ends, those heard of last first; no row where that is all
SELECT first_event FROM ledger INDEXED BY ledger_recent
WHERE kind = :kind AND first_event < :before AND first_event >= :since
ORDER BY first_event DESC LIMIT 1 OFFSET :looks - 1;

-- bearers: how many payments bear the reference, counted no further than the limit
SELECT count(*) FROM (SELECT 1 FROM reference WHERE name = ? LIMIT ?) AS part;

-- object_bearers: the same of objects of one kind
SELECT count(*) FROM (
  SELECT 1 FROM ledger INDEXED BY ledger_by_reference WHERE reference = ? AND kind = ? AND kind <> 'payment' LIMIT ?) AS part;

-- counted_until: how far the next so many counting objects reach
SELECT counted_at FROM ledger WHERE counted_at >= ? AND counted_at < ? ORDER BY counted_at LIMIT 1 OFFSET ?;

-- gross: captured payments by day, provider and currency; sums in two parts, for each alone fits 64 bits
SELECT counted_at / 86400000, provider, currency, exponent, sum(amount / 1000000000), sum(amount % 1000000000),
       sum(CASE WHEN amount IS NULL THEN 1 ELSE 0 END)
FROM ledger INDEXED BY ledger_counted WHERE counted_at >= ? AND counted_at < ? AND kind = 'payment'
GROUP BY 1, 2, 3, 4;

-- disputed: disputes by the day they came up
SELECT counted_at / 86400000, provider, currency, exponent, sum(amount / 1000000000), sum(amount % 1000000000),
       sum(CASE WHEN amount IS NULL THEN 1 ELSE 0 END)
FROM ledger INDEXED BY ledger_counted WHERE counted_at >= ? AND counted_at < ? AND kind = 'dispute'
GROUP BY 1, 2, 3, 4;

-- refunded: refunds that stand, of payments that were captured, by the day they succeeded
SELECT r.counted_at / 86400000, r.provider, r.currency, r.exponent, sum(r.amount / 1000000000),
       sum(r.amount % 1000000000), sum(CASE WHEN r.amount IS NULL THEN 1 ELSE 0 END)
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
      WHERE refunded_at >= ? AND refunded_at < ? AND kind = 'payment') AS its
  CROSS JOIN payment ON provider = its_provider AND id = its_id
WHERE counted_at IS NOT NULL AND unitemised > 0
GROUP BY 1, 2, 3, 4;
