-- ledger_differences: rows that the two ledgers do not agree on, and in what
SELECT m.provider, m.kind, m.id, iif(l.id IS NULL, 'missing', NULL),
       m.status IS NOT l.status, m.detail IS NOT l.detail, m.major IS NOT l.major, m.minor IS NOT l.minor,
       m.tie IS NOT l.tie, m.occurred_at IS NOT l.occurred_at, m.amount IS NOT l.amount, m.currency IS NOT l.currency,
       m.exponent IS NOT l.exponent, m.payment_id IS NOT l.payment_id, m.reference IS NOT l.reference, m.refunded IS NOT l.refunded,
       m.refunded_at IS NOT l.refunded_at, m.counted_at IS NOT l.counted_at, 0
FROM main.ledger AS m LEFT JOIN log.ledger AS l ON l.provider = m.provider AND l.kind = m.kind AND l.id = m.id
WHERE l.id IS NULL OR
       m.status IS NOT l.status OR m.detail IS NOT l.detail OR m.major IS NOT l.major OR m.minor IS NOT l.minor OR
       m.tie IS NOT l.tie OR m.occurred_at IS NOT l.occurred_at OR m.amount IS NOT l.amount OR m.currency IS NOT l.currency OR
       m.exponent IS NOT l.exponent OR m.payment_id IS NOT l.payment_id OR m.reference IS NOT l.reference OR m.refunded IS NOT l.refunded OR
       m.refunded_at IS NOT l.refunded_at OR m.counted_at IS NOT l.counted_at
UNION ALL
SELECT l.provider, l.kind, l.id, 'extra', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0
FROM log.ledger AS l
WHERE NOT EXISTS (SELECT 1 FROM main.ledger AS m WHERE m.provider = l.provider AND m.kind = l.kind AND m.id = l.id);

-- reference_differences: names that payments have in one of the two only
SELECT m.name, m.provider, m.payment_id, 'missing' FROM main.reference AS m
WHERE NOT EXISTS (SELECT 1 FROM log.reference AS l
                  WHERE l.name = m.name AND l.provider = m.provider AND l.payment_id = m.payment_id)
UNION ALL
SELECT l.name, l.provider, l.payment_id, 'extra' FROM log.reference AS l
WHERE NOT EXISTS (SELECT 1 FROM main.reference AS m
                  WHERE m.name = l.name AND m.provider = l.provider AND m.payment_id = l.payment_id);

-- not_owed: events that an endpoint asked for by then and that were never owed to it
SELECT DISTINCT e.key, e.salt, n.name FROM log.event AS e JOIN log.route AS r JOIN log.endpoint AS n ON n.number = r.endpoint
WHERE e.state <> 'quarantined' AND e.received_at > r.added_at
  AND r.source IN (e.source, iif(e.source = 'webhookd', NULL, '*'))
  AND CASE r.is_glob WHEN 1 THEN e.type GLOB r.pattern ELSE e.type = r.pattern END
  AND NOT EXISTS (SELECT 1 FROM log.delivery AS d WHERE d.event = e.key AND d.endpoint = r.endpoint);

-- owed_to_nobody: events that pass for routed and are owed to nobody
SELECT key, salt FROM log.event
WHERE state = 'accepted' AND NOT EXISTS (SELECT 1 FROM log.delivery AS d WHERE d.event = key);

-- owed_twice: more than one delivery of an event to an endpoint; only a damaged index lets that be
SELECT event, endpoint FROM log.delivery NOT INDEXED GROUP BY event, endpoint HAVING count(*) > 1;

-- held_for_nothing: deliveries that wait for an earlier one of their payment, when none is pending that may go
SELECT d.event, d.endpoint FROM log.delivery AS d
WHERE d.state = 'pending' AND d.held = 1
  AND NOT EXISTS (SELECT 1 FROM log.delivery AS e WHERE e.endpoint = d.endpoint AND e.chain = d.chain
                  AND e.state = 'pending' AND e.held = 0);

-- attempts_unlike: deliveries whose attempts on record are not those they count
SELECT d.event, d.endpoint, d.attempts, (SELECT count(*) FROM log.attempt AS a WHERE a.event = d.event AND a.endpoint = d.endpoint)
FROM log.delivery AS d
WHERE d.attempts <> (SELECT count(*) FROM log.attempt AS a WHERE a.event = d.event AND a.endpoint = d.endpoint);

-- captured_untold: captured payments, and an endpoint that is owed their capture and that none of it has reached or may
-- yet reach; no endpoint when nobody was ever owed it. Of a capture that retention has taken it is only known whether it
-- was routed: then it was settled. (One text for provider and id: of two that are not in the list, SQLite would go through
-- all of it for each payment, because one of them might be NULL.)
WITH told AS MATERIALIZED (SELECT provider || ' ' || payment_id AS payment FROM log.past
                           WHERE kind = 'payment' AND counts = 1 AND payment_id IS NOT NULL AND state = 'accepted')
SELECT p.provider, p.id, n.name, group_concat(DISTINCT d.state)
FROM log.delivery AS d INDEXED BY delivery_given_up
CROSS JOIN log.event AS e ON e.key = d.event AND e.kind = 'payment' AND e.counts = 1
CROSS JOIN log.ledger AS p ON p.provider = e.provider AND p.kind = 'payment' AND p.id = e.payment_id
JOIN log.endpoint AS n ON n.number = d.endpoint
WHERE d.state IN ('dead', 'cancelled') AND p.counted_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM log.event AS o JOIN log.delivery AS t ON t.event = o.key AND t.endpoint = d.endpoint
                  WHERE o.payment_id = p.id AND o.provider = p.provider AND o.kind = 'payment' AND o.counts = 1
                    AND t.state IN ('delivered', 'pending'))
  AND p.provider || ' ' || p.id NOT IN (SELECT payment FROM told)
GROUP BY p.provider, p.id, d.endpoint
UNION ALL
SELECT p.provider, p.id, NULL, NULL
FROM log.ledger AS p INDEXED BY ledger_counted
WHERE p.kind = 'payment' AND p.counted_at IS NOT NULL
  AND p.provider || ' ' || p.id NOT IN (SELECT payment FROM told)
  AND NOT EXISTS (SELECT 1 FROM log.event AS e JOIN log.delivery AS d ON d.event = e.key
                  WHERE e.payment_id = p.id AND e.provider = p.provider AND e.kind = 'payment' AND e.counts = 1);
