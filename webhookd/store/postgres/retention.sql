-- may_go: of these events, those that are still finished now that nobody else can write; with what goes with each. (Here as
-- below, `first` and `last` are what the planner leaves other weeks out by, and an array what it does not search them all for.)
SELECT e.key, e.provider, CASE WHEN e.body IS NULL THEN 0 ELSE e.size END,
       (SELECT count(*) FROM delivery AS d WHERE d.event = e.key),
       (SELECT count(*) FROM attempt AS a WHERE a.event = e.key)
FROM event AS e
WHERE e.key = ANY (ARRAY(SELECT listed(:keys))) AND e.key BETWEEN :first AND :last
  AND NOT EXISTS (SELECT 1 FROM delivery AS d
                  WHERE d.event = e.key AND (d.state = 'pending' OR d.settled_at >= :finished_before))
  AND NOT EXISTS (SELECT 1 FROM replay AS r
                  WHERE r.state = 'running' AND e.key BETWEEN r.next_event AND r.last_event);

-- remember: what stays of them; there may be a line of one that was to go with its week
INSERT INTO line (key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind,
                  object_id, status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, names,
                  sha256, size, taken_at)
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind,
       object_id, status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, names,
       sha256, size, :now
FROM event WHERE key = ANY (ARRAY(SELECT listed(:keys))) AND key BETWEEN :first AND :last
ON CONFLICT (key) DO UPDATE SET
  (state, occurred_at, payment_id, kind, object_id, status, detail, major, minor, counts, amount, currency, exponent,
   refunded, reference, names, taken_at) =
  (excluded.state, excluded.occurred_at, excluded.payment_id, excluded.kind, excluded.object_id, excluded.status,
   excluded.detail, excluded.major, excluded.minor, excluded.counts, excluded.amount, excluded.currency,
   excluded.exponent, excluded.refunded, excluded.reference, excluded.names, excluded.taken_at);

-- take_attempts: before their deliveries, which they point to
DELETE FROM attempt WHERE event = ANY (ARRAY(SELECT listed(:keys))) AND event BETWEEN :first AND :last;

-- take_deliveries: before their events
DELETE FROM delivery WHERE event = ANY (ARRAY(SELECT listed(:keys)));

-- take_conflicts: before their events
DELETE FROM conflict WHERE event = ANY (ARRAY(SELECT listed(:keys)));

-- take_events: last
DELETE FROM event WHERE key = ANY (ARRAY(SELECT listed(:keys))) AND key BETWEEN :first AND :last;

-- take_bodies: the event stays, and can no longer be sent
UPDATE event SET body = NULL
WHERE key = ANY (ARRAY(SELECT listed(:keys))) AND key BETWEEN :first AND :last;

-- forgettable: past events that say nothing of money, below a key; none while the ledger is counted again
SELECT key FROM past WHERE kind IS NULL AND payment_id IS NULL AND key < ? AND (SELECT pg_try_advisory_xact_lock(counting_lock()))
ORDER BY key LIMIT ?;

-- forget: from now on a repeat of it would be a new event; nothing while the ledger is counted again
WITH gone AS (
  DELETE FROM past WHERE key = ANY (ARRAY(SELECT listed(:keys))) AND kind IS NULL AND payment_id IS NULL
    AND (SELECT pg_try_advisory_xact_lock(counting_lock())) RETURNING key
), unknown AS (
  DELETE FROM identity WHERE key IN (SELECT key FROM gone)
)
SELECT key FROM gone;

-- forget_aliases: of those that are neither in the log nor past
DELETE FROM alias WHERE event = ANY (ARRAY(SELECT listed(:keys)))
  AND NOT EXISTS (SELECT 1 FROM past WHERE key = event) AND NOT EXISTS (SELECT 1 FROM event AS e WHERE e.key = alias.event);
