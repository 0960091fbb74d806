-- looked_at: a stretch of the log in order, and of each event whether it may go, or why it must stay
WITH looked AS MATERIALIZED (
  SELECT key, provider, body IS NOT NULL AS has_body, size FROM event
  WHERE key > :after AND key < :below ORDER BY key LIMIT :looks
)
SELECT key, CASE WHEN provider = :provider OR :provider IS NULL THEN provider END, CASE WHEN has_body THEN size ELSE 0 END,
       CASE WHEN :bodies AND NOT has_body THEN 'bodiless'
            WHEN EXISTS (SELECT 1 FROM delivery AS d WHERE d.event = key AND d.state = 'pending') THEN 'undelivered'
            WHEN EXISTS (SELECT 1 FROM delivery AS d WHERE d.event = key AND d.settled_at >= :finished_before) THEN 'recent'
            WHEN EXISTS (SELECT 1 FROM replay AS r WHERE r.state = 'running' AND key BETWEEN r.next_event AND r.last_event)
              THEN 'replayed' END,
       CASE WHEN :counted THEN (SELECT count(*) FROM delivery AS d WHERE d.event = key) ELSE 0 END,
       CASE WHEN :counted THEN (SELECT count(*) FROM attempt AS a WHERE a.event = key) ELSE 0 END
FROM looked ORDER BY key;

-- forgettable: past events that say nothing of money, below a key
SELECT key FROM past INDEXED BY past_without_money
WHERE kind IS NULL AND payment_id IS NULL AND key < ? ORDER BY key LIMIT ?;

-- forget_audit: of the oldest rows of the audit trail, those that are too old
DELETE FROM audit WHERE number IN (SELECT number FROM audit ORDER BY number LIMIT :rows) AND at < :before;

-- forget_tokens: those that have not been good for long
DELETE FROM token WHERE expires_at < ?;

-- past: what is known of an event that was taken out, by its key and, if that is known, the rest of its id
SELECT key, salt, received_at, taken_at FROM past WHERE key = ?1 AND (salt = ?2 OR ?2 IS NULL);
