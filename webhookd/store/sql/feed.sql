-- reached: the last event of a part of the log
SELECT max(key) FROM (SELECT key FROM event WHERE key > :after ORDER BY key LIMIT :looks) AS part;

-- stretch: what of the part is wanted
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256
FROM event
WHERE key > :after AND key <= :reached AND (source = :source OR :source IS NULL)
  AND (provider = :provider OR :provider IS NULL) AND (glob(:type, type) OR :type IS NULL)
  AND (state = :state OR :state IS NULL)
ORDER BY key;

-- standings: how endpoints stand
SELECT name, state, why, managed_by, breaker, retry_at, failing_since FROM endpoint ORDER BY number;
