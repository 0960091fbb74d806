-- of_all: an endpoint's pending deliveries whose time has come, with their events, of several priorities at once; and until
-- when what is not due of each waits
SELECT p.priority, waiting.until, d.*
FROM unnest(:priorities::smallint[], :rooms::bigint[]) AS p (priority, room) CROSS JOIN LATERAL (
  SELECT min(due_at) AS until FROM delivery
  WHERE endpoint = :endpoint AND priority = p.priority AND state = 'pending' AND held = 0
    AND due_at > :now AND due_at <= :farthest
) AS waiting LEFT JOIN LATERAL (
  SELECT d.due_at, d.attempts, d.step, d.replay, d.chain IS NOT NULL,
         e.key, e.salt, e.source, e.provider, e.provider_event_id, e.type, e.state, e.received_at, e.occurred_at,
         e.payment_id, NULL, NULL, e.headers, e.sha256, e.size, e.body, e.trace
  FROM (VALUES (0, :now), (:farthest + 1, :latest)) AS stretch (first, last) CROSS JOIN LATERAL (
    SELECT * FROM delivery
    WHERE endpoint = :endpoint AND priority = p.priority AND state = 'pending' AND held = 0
      AND due_at >= first AND due_at <= last AND event NOT IN (SELECT listed(:passed_over))
    ORDER BY due_at, event LIMIT p.room + 1
  ) AS d JOIN event AS e ON e.key = d.event
) AS d ON true
ORDER BY p.priority, d.due_at, d.key;
