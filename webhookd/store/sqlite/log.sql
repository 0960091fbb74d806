-- owed: what a batch of events is owed to whom, as one list of numbers in JSON: every row is a step, and a step may wait
-- for the GIL
SELECT '[' || coalesce(group_concat(event || ',' || endpoint || ',' || due_at || ',' || priority || ',' ||
                                    (chain IS NOT NULL)), '') || ']',
       count(*)
FROM (SELECT * FROM delivery WHERE event BETWEEN ? AND ? AND held = 0 LIMIT ?);

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
