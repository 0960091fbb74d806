-- owed: what a batch of events is owed to whom, as one list of numbers in JSON: every row is a step, and a step may wait
-- for the GIL
SELECT '[' || coalesce(group_concat(event || ',' || endpoint || ',' || due_at || ',' || priority || ',' ||
                                    (chain IS NOT NULL)), '') || ']',
       count(*)
FROM (SELECT * FROM delivery WHERE event BETWEEN ? AND ? AND held = 0 LIMIT ?);

-- due: an endpoint's pending deliveries of one priority whose time has come, with their events
SELECT d.due_at, d.attempts, d.step, d.replay, d.chain IS NOT NULL,
       e.key, e.salt, e.source, e.provider, e.provider_event_id, e.type, e.state, e.received_at, e.occurred_at,
       e.payment_id, NULL, NULL, e.headers, e.sha256, e.size, e.body, e.trace
FROM delivery AS d JOIN event AS e ON e.key = d.event
WHERE d.endpoint = ? AND d.priority = ? AND d.state = 'pending' AND d.due_at >= ? AND d.held = 0 AND d.due_at <= ?
  AND d.event NOT IN (SELECT value FROM json_each(?))
ORDER BY d.due_at LIMIT ?;

-- endpoints: by number, with what these are owed, counted in the indexes
WITH page AS MATERIALIZED (
  SELECT * FROM endpoint
  WHERE number > :after AND (:removed OR why IS DISTINCT FROM 'removed') AND (name = :name OR :name IS NULL)
    AND (instr(name, :part) OR :part IS NULL)
    AND (:state IS NULL OR :state = iif(name IN (SELECT value FROM json_each(:unusable)), 'disabled', state))
  ORDER BY number LIMIT :limit
), owed AS (
  SELECT endpoint, sum(n) AS pending, min(oldest) AS oldest FROM (
    SELECT endpoint, count(*) AS n, min(event) AS oldest FROM delivery INDEXED BY delivery_due
      WHERE endpoint IN (SELECT number FROM page) AND state = 'pending' AND held = 0 GROUP BY endpoint
    UNION ALL
    SELECT endpoint, count(*), min(event) FROM delivery INDEXED BY delivery_chain
      WHERE endpoint IN (SELECT number FROM page) AND state = 'pending' AND chain IS NOT NULL AND held = 1
      GROUP BY endpoint
  ) GROUP BY endpoint
), given_up AS (
  SELECT endpoint, count(*) AS dead FROM delivery INDEXED BY delivery_dead
    WHERE endpoint IN (SELECT number FROM page) AND state = 'dead' GROUP BY endpoint
)
SELECT number, name, url, state, why, managed_by, breaker, retry_at, trips, failing_since, created_at,
       coalesce(pending, 0), coalesce(dead, 0), oldest
FROM page LEFT JOIN owed ON owed.endpoint = number LEFT JOIN given_up ON given_up.endpoint = number ORDER BY number;
