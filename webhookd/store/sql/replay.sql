-- last_event: where the log ends, or where it ended at a time
SELECT max(key) FROM event WHERE key < ?;

-- endpoint_named: its number, and why it stands still
SELECT number, why FROM endpoint WHERE name = ?;

-- has_source: whether any event is of this source
SELECT EXISTS (SELECT 1 FROM event WHERE source = ?);

-- has_body: whether an event is there or is past, and whether its bytes still are
SELECT CASE WHEN body IS NULL THEN 'bodiless' ELSE 'whole' END FROM event WHERE key = ?1 AND (salt = ?2 OR ?2 IS NULL)
UNION ALL SELECT 'past' FROM past WHERE key = ?1 AND (salt = ?2 OR ?2 IS NULL);

-- owed_to: whom an event was ever owed to, of those in service
SELECT n.number FROM delivery AS d JOIN endpoint AS n ON n.number = d.endpoint
WHERE d.event = ? AND n.why IS DISTINCT FROM 'removed';

-- wanted_by: who asks for an event as the routing table stands
SELECT DISTINCT endpoint FROM wanted WHERE event = ?;

-- delivery_in_service: whether there is such a delivery, and whether its endpoint is still there
SELECT n.why IS DISTINCT FROM 'removed' FROM delivery AS d JOIN endpoint AS n ON n.number = d.endpoint
WHERE d.event = ? AND d.endpoint = ?;

-- log_until: where a look through so many events ends, and how many those are
SELECT max(key), count(*) FROM (
  SELECT key FROM event WHERE key BETWEEN :next_event AND :last_event ORDER BY key LIMIT :looks) AS part;

-- given_up_until: the same through what is dead or cancelled
SELECT max(event), count(*) FROM (
  SELECT event FROM delivery INDEXED BY delivery_given_up
  WHERE state = :state AND state IN ('dead', 'cancelled') AND event BETWEEN :next_event AND :last_event
  ORDER BY event LIMIT :looks) AS part;

-- unrouted_until: the same through what went nowhere
SELECT max(key), count(*) FROM (
  SELECT key FROM event INDEXED BY event_odd
  WHERE state = 'unrouted' AND state <> 'accepted' AND key BETWEEN :next_event AND :last_event
  ORDER BY key LIMIT :looks) AS part;

-- from_log: deliveries that match
SELECT d.event, d.endpoint
FROM delivery AS d JOIN event AS e ON e.key = d.event JOIN endpoint AS n ON n.number = d.endpoint
WHERE (d.event, d.endpoint) >= (:next_event, :next_endpoint) AND d.event <= :until
  AND (d.state = :state OR :state IS NULL) AND (n.name = :endpoint OR :endpoint IS NULL) AND n.why IS DISTINCT FROM 'removed'
  AND (e.source = :source OR :source IS NULL) AND (glob(:type, e.type) OR :type IS NULL) AND e.body IS NOT NULL
ORDER BY d.event, d.endpoint LIMIT :limit;

-- from_given_up: dead or cancelled ones that match, from their index
SELECT d.event, d.endpoint
FROM delivery AS d INDEXED BY delivery_given_up
CROSS JOIN event AS e ON e.key = d.event JOIN endpoint AS n ON n.number = d.endpoint
WHERE d.state = :state AND d.state IN ('dead', 'cancelled') AND d.event BETWEEN :next_event AND :until
  AND (d.event, d.endpoint) >= (:next_event, :next_endpoint)
  AND (n.name = :endpoint OR :endpoint IS NULL) AND n.why IS DISTINCT FROM 'removed'
  AND (e.source = :source OR :source IS NULL) AND (glob(:type, e.type) OR :type IS NULL) AND e.body IS NOT NULL
ORDER BY d.event, d.endpoint LIMIT :limit;

-- from_wanted: events that match, and that the one endpoint asks for
SELECT DISTINCT w.event, w.endpoint
FROM event AS e CROSS JOIN wanted AS w ON w.event = e.key JOIN endpoint AS n ON n.number = w.endpoint
WHERE e.key BETWEEN :next_event AND :until AND (e.key, w.endpoint) >= (:next_event, :next_endpoint)
  AND e.state <> 'quarantined' AND n.name = :endpoint
  AND (e.source = :source OR :source IS NULL) AND (glob(:type, e.type) OR :type IS NULL) AND e.body IS NOT NULL
ORDER BY w.event, w.endpoint LIMIT :limit;

-- from_unrouted: events that match, that went nowhere, and who asks for them now; also the event that was stopped in,
-- which from its first delivery on is none that went nowhere
SELECT DISTINCT w.event, w.endpoint
FROM (SELECT key FROM event INDEXED BY event_odd
        WHERE state = 'unrouted' AND state <> 'accepted' AND key BETWEEN :next_event AND :until
      UNION SELECT :next_event WHERE :next_endpoint > 0) AS odd
CROSS JOIN event AS e ON e.key = odd.key
CROSS JOIN wanted AS w ON w.event = e.key JOIN endpoint AS n ON n.number = w.endpoint
WHERE (w.event, w.endpoint) >= (:next_event, :next_endpoint) AND (n.name = :endpoint OR :endpoint IS NULL)
  AND (e.source = :source OR :source IS NULL) AND (glob(:type, e.type) OR :type IS NULL) AND e.body IS NOT NULL
ORDER BY w.event, w.endpoint LIMIT :limit;

-- running: replays that are not over, oldest first
SELECT number, selection, chosen, per_s, state, next_event, next_endpoint, last_event, total, total_is_exact, replayed,
       created_at, ended_at
FROM replay WHERE state = 'running' ORDER BY number;

-- replays: newest first, below a number
SELECT number, selection, chosen, per_s, state, next_event, next_endpoint, last_event, total, total_is_exact, replayed,
       created_at, ended_at
FROM replay WHERE number < ? ORDER BY number DESC LIMIT ?;

-- replay: one
SELECT number, selection, chosen, per_s, state, next_event, next_endpoint, last_event, total, total_is_exact, replayed,
       created_at, ended_at
FROM replay WHERE number = ?;

-- begin: unless as many as may be are under way
INSERT INTO replay (selection, chosen, per_s, next_event, last_event, total, total_is_exact, created_at)
SELECT :selection, :chosen, :per_s, :next_event, :last_event, :total, :total_is_exact, :now
WHERE (SELECT count(*) FROM replay WHERE state = 'running') < :running_max
RETURNING number;

-- forget: those that have long been over
DELETE FROM replay WHERE state <> 'running' AND number <= ?;

-- cancel: what was made due stays so
UPDATE replay SET state = 'cancelled', ended_at = ? WHERE number = ? AND state = 'running';

-- move_on: a step further, unless another has been there
UPDATE replay SET next_event = :then_event, next_endpoint = :then_endpoint, replayed = replayed + :count,
                  state = CASE WHEN :over THEN 'done' ELSE 'running' END,
                  ended_at = CASE WHEN :over THEN CAST(:now AS bigint) END
WHERE number = :number AND state = 'running' AND next_event = :next_event AND next_endpoint = :next_endpoint;
