-- deliveries: these, as far as they are wanted
SELECT d.event, e.salt, d.endpoint, n.name, d.state, d.attempts, d.due_at, d.last_status, d.last_error, d.created_at,
       d.settled_at
FROM json_each(:keys) AS k CROSS JOIN delivery AS d ON d.event = k.value ->> 0 AND d.endpoint = k.value ->> 1
JOIN event AS e ON e.key = d.event JOIN endpoint AS n ON n.number = d.endpoint
WHERE (d.state = :state OR :state IS NULL) AND (n.name = :endpoint OR :endpoint IS NULL)
  AND (e.source = :source OR :source IS NULL) AND (e.provider = :provider OR :provider IS NULL)
  AND (glob(:type, e.type) OR :type IS NULL);
