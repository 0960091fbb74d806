-- names: of endpoints, by number
SELECT number, name FROM endpoint WHERE number IN (SELECT value FROM json_each(?));

-- still_match: of these deliveries, those that may be replayed now that it is their turn
SELECT p.event, p.endpoint
FROM (SELECT value ->> 0 AS event, value ->> 1 AS endpoint FROM json_each(:found)) AS p
JOIN event AS e ON e.key = p.event AND e.body IS NOT NULL
JOIN endpoint AS n ON n.number = p.endpoint AND n.why IS DISTINCT FROM 'removed'
LEFT JOIN delivery AS d ON d.event = p.event AND d.endpoint = p.endpoint
WHERE (coalesce(d.state, 'unrouted') = :state OR :state IS NULL)
  AND (d.last_error = :error OR :error IS NULL) AND (d.last_status = :status OR :status IS NULL);

-- make_due: in the order of the log, so that of a chain the first goes first
INSERT INTO replayed (event, endpoint, due_at)
SELECT value ->> 0, value ->> 1, :now FROM json_each(:found) ORDER BY 1, 2;
