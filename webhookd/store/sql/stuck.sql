-- dead_upto: the last event of a page of deliveries that were given up
SELECT event FROM delivery INDEXED BY delivery_given_up WHERE state = 'dead' AND state IN ('dead', 'cancelled') AND event > :after
ORDER BY event LIMIT 1 OFFSET :rows;

-- dead: of a page, those of captured payments of whose capture nothing else has told the endpoint, or may yet
SELECT d.endpoint, 'dead', count(*)
FROM delivery AS d INDEXED BY delivery_given_up
CROSS JOIN event AS e ON e.key = d.event AND e.kind = 'payment' AND e.counts = 1
WHERE d.state = 'dead' AND d.state IN ('dead', 'cancelled') AND d.event > :after AND d.event <= :upto
  AND NOT EXISTS (SELECT 1 FROM event AS o JOIN delivery AS t ON t.event = o.key AND t.endpoint = d.endpoint
                  WHERE o.payment_id = e.payment_id AND o.provider = e.provider AND o.kind = 'payment' AND o.counts = 1
                    AND t.state IN ('delivered', 'pending'))
GROUP BY d.endpoint;

-- due_upto: the last of a page of what may be attempted
SELECT endpoint, priority, due_at, event FROM delivery INDEXED BY delivery_due
WHERE state = 'pending' AND held = 0 AND (endpoint, priority, due_at, event) > (:endpoint, :priority, :due_at, :event)
ORDER BY endpoint, priority, due_at, event LIMIT 1 OFFSET :rows;

-- due: of a page, those of payments captured before `older_than` of whose capture nothing else has told the endpoint
SELECT d.endpoint, 'pending', count(*)
FROM delivery AS d INDEXED BY delivery_due
CROSS JOIN event AS e ON e.key = d.event AND e.kind = 'payment' AND e.counts = 1
WHERE d.state = 'pending' AND d.held = 0 AND d.event < :older_than
  AND (d.endpoint, d.priority, d.due_at, d.event) > (:endpoint, :priority, :due_at, :event)
  AND (d.endpoint, d.priority, d.due_at, d.event) <= (:to_endpoint, :to_priority, :to_due_at, :to_event)
  AND NOT EXISTS (SELECT 1 FROM event AS o JOIN delivery AS t ON t.event = o.key AND t.endpoint = d.endpoint
                  WHERE o.payment_id = e.payment_id AND o.provider = e.provider AND o.kind = 'payment' AND o.counts = 1
                    AND t.state = 'delivered')
GROUP BY d.endpoint;

-- held_upto: the last of a page of what is ordered by payment
SELECT endpoint, chain, event FROM delivery INDEXED BY delivery_chain
WHERE state = 'pending' AND chain IS NOT NULL AND (endpoint, chain, event) > (:endpoint, :chain, :event)
ORDER BY endpoint, chain, event LIMIT 1 OFFSET :rows;

-- held: the same of those that wait for an earlier one of their payment
SELECT d.endpoint, 'pending', count(*)
FROM delivery AS d INDEXED BY delivery_chain
CROSS JOIN event AS e ON e.key = d.event AND e.kind = 'payment' AND e.counts = 1
WHERE d.state = 'pending' AND d.chain IS NOT NULL AND d.held = 1 AND d.event < :older_than
  AND (d.endpoint, d.chain, d.event) > (:endpoint, :chain, :event)
  AND (d.endpoint, d.chain, d.event) <= (:to_endpoint, :to_chain, :to_event)
  AND NOT EXISTS (SELECT 1 FROM event AS o JOIN delivery AS t ON t.event = o.key AND t.endpoint = d.endpoint
                  WHERE o.payment_id = e.payment_id AND o.provider = e.provider AND o.kind = 'payment' AND o.counts = 1
                    AND t.state = 'delivered')
GROUP BY d.endpoint;
