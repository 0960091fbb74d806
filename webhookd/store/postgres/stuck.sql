-- due_upto: the last of a page of what may be attempted; a place may begin or end beyond every priority
SELECT endpoint, priority, due_at, event FROM delivery
WHERE state = 'pending' AND held = 0
  AND (endpoint, priority, due_at, event) > (:endpoint, :priority::bigint, :due_at, :event)
ORDER BY endpoint, priority, due_at, event LIMIT 1 OFFSET :rows;

-- due: of a page, those of payments captured before `older_than` of whose capture nothing else has told the endpoint
SELECT d.endpoint, 'pending', count(*)
FROM delivery AS d JOIN event AS e ON e.key = d.event AND e.kind = 'payment' AND e.counts = 1
WHERE d.state = 'pending' AND d.held = 0 AND d.event < :older_than
  AND (d.endpoint, d.priority, d.due_at, d.event) > (:endpoint, :priority::bigint, :due_at, :event)
  AND (d.endpoint, d.priority, d.due_at, d.event) <= (:to_endpoint, :to_priority::bigint, :to_due_at, :to_event)
  AND NOT EXISTS (SELECT 1 FROM event AS o JOIN delivery AS t ON t.event = o.key AND t.endpoint = d.endpoint
                  WHERE o.payment_id = e.payment_id AND o.provider = e.provider AND o.kind = 'payment' AND o.counts = 1
                    AND t.state = 'delivered')
GROUP BY d.endpoint;
