-- reasons: why something was given up, by endpoint; a few steps of the index for each, however many bear it. '' and -1
-- stand for none
WITH RECURSIVE its(endpoint, error, status) AS (
  SELECT n.number, found.error, found.status
  FROM endpoint AS n CROSS JOIN LATERAL (
    SELECT coalesce(last_error, ''), coalesce(last_status, -1) FROM delivery
    WHERE state = 'dead' AND endpoint = n.number
    ORDER BY coalesce(last_error, ''), coalesce(last_status, -1) LIMIT 1) AS found (error, status)
  WHERE (n.name = :endpoint OR :endpoint IS NULL) AND (n.number = :of OR :of IS NULL)
  UNION ALL
  SELECT its.endpoint, found.error, found.status
  FROM its CROSS JOIN LATERAL (
    SELECT coalesce(last_error, ''), coalesce(last_status, -1) FROM delivery
    WHERE state = 'dead' AND endpoint = its.endpoint
      AND (coalesce(last_error, ''), coalesce(last_status, -1)) > (its.error, its.status)
    ORDER BY coalesce(last_error, ''), coalesce(last_status, -1) LIMIT 1) AS found (error, status)
)
SELECT endpoint, nullif(error, ''), nullif(status, -1) FROM its
WHERE (error = :error OR :error IS NULL) AND (status = :status OR :status IS NULL);

-- count: how many were given up for a reason, as far as they are counted
SELECT count(*) FROM (
  SELECT 1 FROM delivery
  WHERE state = 'dead' AND endpoint = ? AND coalesce(last_error, '') = coalesce(?, '')
    AND coalesce(last_status, -1) = coalesce(?::bigint, -1) LIMIT ?) AS part;

-- oldest: the first of their events
SELECT event FROM delivery
WHERE state = 'dead' AND endpoint = ? AND coalesce(last_error, '') = coalesce(?, '')
  AND coalesce(last_status, -1) = coalesce(?::bigint, -1) ORDER BY event LIMIT 1;

-- newest: the last of them
SELECT event FROM delivery
WHERE state = 'dead' AND endpoint = ? AND coalesce(last_error, '') = coalesce(?, '')
  AND coalesce(last_status, -1) = coalesce(?::bigint, -1) ORDER BY event DESC LIMIT 1;

-- deliveries: those given up for a reason that match, newest event first
SELECT d.event, e.salt, d.endpoint, n.name, d.state, d.attempts, d.due_at, d.last_status, d.last_error, d.created_at,
       d.settled_at
FROM delivery AS d JOIN event AS e ON e.key = d.event JOIN endpoint AS n ON n.number = d.endpoint
WHERE d.state = 'dead' AND d.endpoint = :of AND coalesce(d.last_error, '') = coalesce(:its_error, '')
  AND coalesce(d.last_status, -1) = coalesce(:its_status::bigint, -1)
  AND d.event <= :before AND (d.event, d.endpoint) < (:before, :before_endpoint) AND d.event >= :since
  AND (e.source = :source OR :source IS NULL) AND (e.provider = :provider OR :provider IS NULL)
  AND (glob(:type, e.type) OR :type IS NULL)
ORDER BY d.event DESC LIMIT :limit;

-- back_to: where a look at so many of those given up for a reason ends, newest event first; no row where that is all
SELECT event FROM delivery
WHERE state = 'dead' AND endpoint = :of AND coalesce(last_error, '') = coalesce(:its_error, '')
  AND coalesce(last_status, -1) = coalesce(:its_status::bigint, -1)
  AND event <= :before AND (event, endpoint) < (:before, :before_endpoint) AND event >= :since
ORDER BY event DESC LIMIT 1 OFFSET :looks::bigint - 1;

-- until: where a look through so many events of each of these reasons ends, and whether any has more of them
SELECT coalesce(min(last), :last_event), count(last) FROM (
  SELECT (SELECT event FROM delivery
          WHERE state = 'dead' AND endpoint = (value ->> 0)::bigint
            AND coalesce(last_error, '') = coalesce(value ->> 1, '')
            AND coalesce(last_status, -1) = coalesce((value ->> 2)::bigint, -1)
            AND event BETWEEN :next_event AND :last_event ORDER BY event LIMIT 1 OFFSET :looks::bigint - 1) AS last
  FROM json_array_elements(:reasons::json)) AS ends;

-- between: deliveries given up for one of these reasons that match, in the order of the log
SELECT d.event, d.endpoint
FROM json_array_elements(:reasons::json) AS r JOIN delivery AS d
  ON d.state = 'dead' AND d.endpoint = (r.value ->> 0)::bigint
  AND coalesce(d.last_error, '') = coalesce(r.value ->> 1, '')
  AND coalesce(d.last_status, -1) = coalesce((r.value ->> 2)::bigint, -1)
  AND d.event BETWEEN :next_event AND :until
JOIN event AS e ON e.key = d.event JOIN endpoint AS n ON n.number = d.endpoint
WHERE (d.event, d.endpoint) >= (:next_event, :next_endpoint) AND n.why IS DISTINCT FROM 'removed'
  AND (e.source = :source OR :source IS NULL) AND (glob(:type, e.type) OR :type IS NULL) AND e.body IS NOT NULL
ORDER BY d.event, d.endpoint LIMIT :limit;
