-- reached: the last event of a part of the log
SELECT max(key) FROM (SELECT key FROM event WHERE key > :after ORDER BY key LIMIT :looks);

-- stretch: what of the part is wanted
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256
FROM event
WHERE key > :after AND key <= :reached AND (:source IS NULL OR source = :source)
  AND (:provider IS NULL OR provider = :provider) AND (:type IS NULL OR type GLOB :type)
  AND (:state IS NULL OR state = :state)
ORDER BY key;

-- deliveries: these, as far as they are wanted
SELECT d.event, e.salt, d.endpoint, n.name, d.state, d.attempts, d.due_at, d.last_status, d.last_error, d.created_at,
       d.settled_at
FROM json_each(:keys) AS k CROSS JOIN delivery AS d ON d.event = k.value ->> 0 AND d.endpoint = k.value ->> 1
JOIN event AS e ON e.key = d.event JOIN endpoint AS n ON n.number = d.endpoint
WHERE (:state IS NULL OR d.state = :state) AND (:endpoint IS NULL OR n.name = :endpoint)
  AND (:source IS NULL OR e.source = :source) AND (:provider IS NULL OR e.provider = :provider)
  AND (:type IS NULL OR e.type GLOB :type);

-- standings: how endpoints stand
SELECT name, state, why, managed_by, breaker, retry_at, failing_since FROM endpoint ORDER BY number;
