-- reasons: why something was given up, by endpoint; a few steps of the index for each, however many bear it. '' and -1
-- stand for none
WITH RECURSIVE failed(endpoint, error) AS (
  SELECT number, '' FROM endpoint WHERE (name = :endpoint OR :endpoint IS NULL) AND (number = :of OR :of IS NULL)
  UNION ALL
  SELECT endpoint, (SELECT min(last_error) FROM delivery INDEXED BY delivery_dead
                    WHERE state = 'dead' AND delivery.endpoint = failed.endpoint AND last_error > failed.error)
  FROM failed WHERE error IS NOT NULL
), answered(endpoint, error, status) AS (
  SELECT endpoint, nullif(error, ''), -1 FROM failed WHERE error IS NOT NULL AND (error = :error OR :error IS NULL)
  UNION ALL
  SELECT endpoint, error, (SELECT min(last_status) FROM delivery INDEXED BY delivery_dead
                           WHERE state = 'dead' AND delivery.endpoint = answered.endpoint
                             AND last_error IS answered.error AND last_status > answered.status)
  FROM answered WHERE status IS NOT NULL
)
SELECT endpoint, error, nullif(status, -1) AS status FROM answered
WHERE answered.status IS NOT NULL AND (answered.status = :status OR :status IS NULL)
  AND EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_dead
              WHERE state = 'dead' AND delivery.endpoint = answered.endpoint AND last_error IS answered.error
                AND last_status IS nullif(answered.status, -1));

-- count: how many were given up for a reason, as far as they are counted
SELECT count(*) FROM (
  SELECT 1 FROM delivery INDEXED BY delivery_dead
  WHERE state = 'dead' AND endpoint = ? AND last_error IS ? AND last_status IS ? LIMIT ?);

-- oldest: the first of their events
SELECT event FROM delivery INDEXED BY delivery_dead
WHERE state = 'dead' AND endpoint = ? AND last_error IS ? AND last_status IS ? ORDER BY event LIMIT 1;

-- newest: the last of them
SELECT event FROM delivery INDEXED BY delivery_dead
WHERE state = 'dead' AND endpoint = ? AND last_error IS ? AND last_status IS ? ORDER BY event DESC LIMIT 1;

-- deliveries: those given up for a reason that match, newest event first
SELECT d.event, e.salt, d.endpoint, n.name, d.state, d.attempts, d.due_at, d.last_status, d.last_error, d.created_at,
       d.settled_at
FROM delivery AS d INDEXED BY delivery_dead
  CROSS JOIN event AS e ON e.key = d.event CROSS JOIN endpoint AS n ON n.number = d.endpoint
WHERE d.state = 'dead' AND d.endpoint = :of AND d.last_error IS :its_error AND d.last_status IS :its_status
  AND d.event <= :before AND (d.event, d.endpoint) < (:before, :before_endpoint) AND d.event >= :since
  AND (e.source = :source OR :source IS NULL) AND (e.provider = :provider OR :provider IS NULL)
  AND (glob(:type, e.type) OR :type IS NULL)
ORDER BY d.event DESC LIMIT :limit;

-- back_to: where a look at so many of those given up for a reason ends, newest event first; no row where that is all
SELECT event FROM delivery INDEXED BY delivery_dead
WHERE state = 'dead' AND endpoint = :of AND last_error IS :its_error AND last_status IS :its_status
  AND event <= :before AND (event, endpoint) < (:before, :before_endpoint) AND event >= :since
ORDER BY event DESC LIMIT 1 OFFSET :looks - 1;

-- until: where a look through so many events of each of these reasons ends, and whether any has more of them
SELECT coalesce(min(last), :last_event), count(last) FROM (
  SELECT (SELECT event FROM delivery INDEXED BY delivery_dead
          WHERE state = 'dead' AND endpoint = value ->> 0 AND last_error IS value ->> 1 AND last_status IS value ->> 2
            AND event BETWEEN :next_event AND :last_event ORDER BY event LIMIT 1 OFFSET :looks - 1) AS last
  FROM json_each(:reasons));

-- between: deliveries given up for one of these reasons that match, in the order of the log
SELECT d.event, d.endpoint
FROM json_each(:reasons) AS r CROSS JOIN delivery AS d INDEXED BY delivery_dead
  ON d.state = 'dead' AND d.endpoint = r.value ->> 0 AND d.last_error IS r.value ->> 1 AND d.last_status IS r.value ->> 2
  AND d.event BETWEEN :next_event AND :until
CROSS JOIN event AS e ON e.key = d.event CROSS JOIN endpoint AS n ON n.number = d.endpoint
WHERE (d.event, d.endpoint) >= (:next_event, :next_endpoint) AND n.why IS DISTINCT FROM 'removed'
  AND (e.source = :source OR :source IS NULL) AND (glob(:type, e.type) OR :type IS NULL) AND e.body IS NOT NULL
ORDER BY d.event, d.endpoint LIMIT :limit;
