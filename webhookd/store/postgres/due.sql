-- of_each: pending deliveries whose time has come, with their events, of so many looks at an endpoint and a priority; and until
-- when what is not due of each waits
SELECT look.nth, look.priority, waiting.until, d.*
FROM unnest(:nths::bigint[], :endpoints::bigint[], :priorities::smallint[], :rooms::bigint[], :bytes::bigint[], :now::bigint[],
            :farthest::bigint[]) AS look (nth, endpoint, priority, room, bytes, now, farthest)
CROSS JOIN LATERAL (
  SELECT min(due_at) AS until FROM delivery
  WHERE endpoint = look.endpoint AND priority = look.priority AND state = 'pending' AND held = 0
    AND due_at > look.now AND due_at <= look.farthest
) AS waiting LEFT JOIN LATERAL (
  SELECT due_at, attempts, step, replay, is_chained, key, salt, source, provider, provider_event_id, type, state,
         received_at, occurred_at, payment_id, NULL, NULL, headers, sha256, size, body, trace
  FROM (
    SELECT d.due_at, d.attempts, d.step, d.replay, d.chain IS NOT NULL AS is_chained, e.*,
           sum(e.size) OVER (ORDER BY d.due_at, d.event) - e.size AS before,
           row_number() OVER (ORDER BY d.due_at, d.event) AS place
    FROM (VALUES (0, look.now), (look.farthest + 1, :latest)) AS stretch (first, last) CROSS JOIN LATERAL (
      SELECT * FROM delivery
      WHERE endpoint = look.endpoint AND priority = look.priority AND state = 'pending' AND held = 0
        AND due_at >= first AND due_at <= last
        AND (endpoint, event) NOT IN (SELECT * FROM unnest(:known_endpoints::bigint[], :known_events::bigint[]))
      ORDER BY due_at, event LIMIT look.room + 1
    ) AS d JOIN event AS e ON e.key = d.event
  ) AS due
  WHERE before <= look.bytes OR place = 2  -- so the first that is too many is seen; of others behind it no body is fetched
) AS d ON true
ORDER BY look.nth, look.priority, d.due_at, d.key;
