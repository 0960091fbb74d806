-- changes: what people did to these, from a time on, among the newest rows; a ping changes nothing
SELECT at, actor, action, subject FROM audit
WHERE number > (SELECT coalesce(max(number), 0) FROM audit) - :looks AND at >= :since
  AND subject IN (SELECT value FROM json_each(:subjects)) AND action <> 'endpoint.ping'
ORDER BY number DESC LIMIT :limit;

-- replays: those that named it
SELECT DISTINCT number, created_at FROM replay, json_each(chosen)
WHERE chosen IS NOT NULL AND value ->> 0 = :key AND (value ->> 1 = :endpoint OR :endpoint IS NULL) ORDER BY number;
