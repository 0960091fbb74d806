-- due: an endpoint's pending deliveries of one priority whose time has come, with their events
SELECT d.due_at, d.attempts, d.step, d.replay, d.chain IS NOT NULL,
       e.key, e.salt, e.source, e.provider, e.provider_event_id, e.type, e.state, e.received_at, e.occurred_at,
       e.payment_id, NULL, NULL, e.headers, e.sha256, e.size, e.body, e.trace
FROM delivery AS d JOIN event AS e ON e.key = d.event
WHERE d.endpoint = ? AND d.priority = ? AND d.state = 'pending' AND d.due_at >= ? AND d.held = 0 AND d.due_at <= ?
  AND d.event NOT IN (SELECT value FROM json_each(?))
ORDER BY d.due_at LIMIT ?;

-- next_due_at: when the endpoint's next delivery of a priority is due that is not due yet
SELECT min(due_at) FROM delivery
WHERE endpoint = ? AND priority = ? AND state = 'pending' AND held = 0 AND due_at BETWEEN ? AND ?;
