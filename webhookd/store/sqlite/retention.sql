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

-- forget: from now on a repeat of it would be a new event
DELETE FROM past WHERE key IN (SELECT value FROM json_each(:keys)) AND kind IS NULL AND payment_id IS NULL;

-- forget_aliases: of those that are neither in the log nor past
DELETE FROM alias WHERE event IN (SELECT value FROM json_each(:keys))
  AND NOT EXISTS (SELECT 1 FROM past WHERE key = event) AND NOT EXISTS (SELECT 1 FROM event AS e WHERE e.key = alias.event);
