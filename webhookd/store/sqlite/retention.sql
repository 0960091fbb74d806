-- looked_at: a stretch of the log in order, and of each event whether it may go, or why it must stay
WITH looked AS MATERIALIZED (
  SELECT key, provider, body IS NOT NULL AS has_body, size FROM event
  WHERE key > :after AND key < :below ORDER BY key LIMIT :looks
)
SELECT key, iif(:provider IS NULL OR provider = :provider, provider, NULL), iif(has_body, size, 0),
       CASE WHEN :bodies AND NOT has_body THEN 'bodiless'
            WHEN EXISTS (SELECT 1 FROM delivery AS d WHERE d.event = key AND d.state = 'pending') THEN 'undelivered'
            WHEN EXISTS (SELECT 1 FROM delivery AS d WHERE d.event = key AND d.settled_at >= :finished_before) THEN 'recent'
            WHEN EXISTS (SELECT 1 FROM replay AS r WHERE r.state = 'running' AND key BETWEEN r.next_event AND r.last_event)
              THEN 'replayed' END,
       iif(:counted, (SELECT count(*) FROM delivery AS d WHERE d.event = key), 0),
       iif(:counted, (SELECT count(*) FROM attempt AS a WHERE a.event = key), 0)
FROM looked ORDER BY key;

-- may_go: of these events, those that are still finished now that nobody else can write; with what goes with each
SELECT e.key, e.provider, iif(e.body IS NULL, 0, e.size),
       (SELECT count(*) FROM delivery AS d WHERE d.event = e.key),
       (SELECT count(*) FROM attempt AS a WHERE a.event = e.key)
FROM json_each(:keys) AS k JOIN event AS e ON e.key = k.value
WHERE NOT EXISTS (SELECT 1 FROM delivery AS d
                  WHERE d.event = e.key AND (d.state = 'pending' OR d.settled_at >= :finished_before))
  AND NOT EXISTS (SELECT 1 FROM replay AS r
                  WHERE r.state = 'running' AND e.key BETWEEN r.next_event AND r.last_event);

-- remember: what stays of them
INSERT INTO past (key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind,
                  object_id, status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, names,
                  sha256, size, taken_at)
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind,
       object_id, status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, names,
       sha256, size, :now
FROM event WHERE key IN (SELECT value FROM json_each(:keys));

-- take_attempts: before their deliveries, which they point to
DELETE FROM attempt WHERE event IN (SELECT value FROM json_each(:keys));

-- take_deliveries: before their events
DELETE FROM delivery WHERE event IN (SELECT value FROM json_each(:keys));

-- take_conflicts: before their events
DELETE FROM conflict WHERE event IN (SELECT value FROM json_each(:keys));

-- take_events: last
DELETE FROM event WHERE key IN (SELECT value FROM json_each(:keys));

-- take_bodies: the event stays, and can no longer be sent
UPDATE event SET body = NULL WHERE key IN (SELECT value FROM json_each(:keys));

-- forgettable: past events that say nothing of money, below a key
SELECT key FROM past INDEXED BY past_without_money
WHERE kind IS NULL AND payment_id IS NULL AND key < ? ORDER BY key LIMIT ?;

-- forget: from now on a repeat of it would be a new event
DELETE FROM past WHERE key IN (SELECT value FROM json_each(:keys)) AND kind IS NULL AND payment_id IS NULL;

-- forget_aliases: of those that are neither in the log nor past
DELETE FROM alias WHERE event IN (SELECT value FROM json_each(:keys))
  AND NOT EXISTS (SELECT 1 FROM past WHERE key = event) AND NOT EXISTS (SELECT 1 FROM event AS e WHERE e.key = alias.event);

-- forget_audit: of the oldest rows of the audit trail, those that are too old
DELETE FROM audit WHERE number IN (SELECT number FROM audit ORDER BY number LIMIT :rows) AND at < :before;

-- forget_tokens: those that have not been good for long
DELETE FROM token WHERE expires_at < ?;

-- past: what is known of an event that was taken out, by its key and, if that is known, the rest of its id
SELECT key, salt, received_at, taken_at FROM past WHERE key = ?1 AND (?2 IS NULL OR salt = ?2);
