-- unfinished: a week that is gone, and whose deliveries are not
SELECT week FROM leaving WHERE state = 'gone' ORDER BY week LIMIT 1;

-- first: the first event of a stretch
SELECT key FROM event WHERE key > ? AND key < ? ORDER BY key LIMIT 1;

-- begin: from now on it is noticed when an event of the week comes or changes; while nobody else writes
INSERT INTO leaving (week, written_to) VALUES (?1, week_begins(?1) - 1) ON CONFLICT DO NOTHING;

-- one: how far it is, and nobody else takes a step
SELECT state, written_to, given_up, bytes, tallies FROM leaving WHERE week = ? FOR UPDATE;

-- part: the next events of the week; of each what would go with it, how much of that was given up, and whether it must stay
WITH part AS MATERIALIZED (
  SELECT key, provider, CASE WHEN body IS NULL THEN 0 ELSE size END AS bytes FROM event
  WHERE key > :after AND key < week_begins(:week + 1) ORDER BY key LIMIT :events
)
SELECT key, provider, bytes, its.deliveries, (SELECT count(*) FROM attempt AS a WHERE a.event = key), its.given_up,
       its.stay OR EXISTS (SELECT 1 FROM replay AS r
                           WHERE r.state = 'running' AND key BETWEEN r.next_event AND r.last_event)
FROM part CROSS JOIN LATERAL (
  SELECT count(*) AS deliveries, count(*) FILTER (WHERE d.state IN ('dead', 'cancelled')) AS given_up,
         coalesce(bool_or(d.state = 'pending' OR d.settled_at >= :finished_before), false) AS stay
  FROM delivery AS d WHERE d.event = key
) AS its ORDER BY key;

-- note: how far it is
UPDATE leaving SET written_to = :to, given_up = :given_up, tallies = :tallies WHERE week = :week;

-- stay_if_unwritten: if an event of the week has no line after all; this takes a while, and nobody waits for it
UPDATE leaving SET state = 'stays' WHERE week = ?1 AND state = 'going' AND EXISTS (
  SELECT 1 FROM event WHERE key >= week_begins(?1) AND key < week_begins(?1 + 1)
    AND NOT EXISTS (SELECT 1 FROM line WHERE line.key = event.key));

-- is_replayed: whether a replay may come to the week
SELECT EXISTS (
  SELECT 1 FROM replay WHERE state = 'running' AND next_event < week_begins(?1 + 1) AND last_event >= week_begins(?1));

-- take_attempts_given_up: before their deliveries, which they point to
DELETE FROM attempt AS a USING delivery AS d
WHERE d.state IN ('dead', 'cancelled') AND d.event >= week_begins(?1) AND d.event < week_begins(?1 + 1)
  AND a.event = d.event AND a.endpoint = d.endpoint;

-- take_given_up: what is counted and listed as given up
DELETE FROM delivery
WHERE state IN ('dead', 'cancelled') AND event >= week_begins(?1) AND event < week_begins(?1 + 1);

-- gone: the events of the week are past from now on; there is its rest to be swept up, from its beginning
UPDATE leaving SET state = 'gone', written_to = week_begins(?1) - 1, bytes = ?2 WHERE week = ?1;

-- freed: so many bytes more
UPDATE leaving SET bytes = bytes + ?2 WHERE week = ?1;

-- left_to: where a step through so many deliveries ends that the week has left behind
SELECT max(event) FROM (
  SELECT event FROM delivery WHERE event > :after AND event < week_begins(:week + 1) ORDER BY event LIMIT :deliveries) AS part;

-- hold: these deliveries, so that nothing more is recorded of them
SELECT 1 FROM delivery WHERE event > :after AND event <= :to ORDER BY event, endpoint FOR UPDATE;

-- drop_left_attempts: of events that are not there, in the partition of no week
DELETE FROM attempt AS a WHERE a.event > :after AND a.event <= :to AND NOT EXISTS (SELECT 1 FROM event WHERE key = a.event);

-- drop_left_deliveries: the same
DELETE FROM delivery AS d WHERE d.event > :after AND d.event <= :to AND NOT EXISTS (SELECT 1 FROM event WHERE key = d.event);

-- drop_left_conflicts: the same
DELETE FROM conflict AS c WHERE c.event > :after AND c.event <= :to AND NOT EXISTS (SELECT 1 FROM event WHERE key = c.event);

-- swept: how far that is
UPDATE leaving SET written_to = ?2 WHERE week = ?1;

-- end: there is no more to be done about it
DELETE FROM leaving WHERE week = ?;
