-- names: of endpoints, by number
SELECT number, name FROM endpoint WHERE number IN (SELECT listed(?));

-- still_match: of these deliveries, those that may be replayed now that it is their turn
SELECT p.event, p.endpoint
FROM listed_pairs(:found) AS p
JOIN event AS e ON e.key = p.event AND e.body IS NOT NULL
JOIN endpoint AS n ON n.number = p.endpoint AND n.why IS DISTINCT FROM 'removed'
LEFT JOIN delivery AS d ON d.event = p.event AND d.endpoint = p.endpoint
WHERE (coalesce(d.state, 'unrouted') = :state OR :state IS NULL)
  AND (d.last_error = :error OR :error IS NULL) AND (d.last_status = :status OR :status IS NULL);

-- make_due: in the order of the log, so that of a chain the first goes first
INSERT INTO replayed (event, endpoint, due_at) SELECT event, endpoint, :now FROM listed_pairs(:found) ORDER BY 1, 2;

-- has_source: whether any event is, or was, of this source
SELECT EXISTS (SELECT 1 FROM identity WHERE source = ?);

-- from_unrouted: events that match, that went nowhere, and who asks for them now; also the event that was stopped in,
-- which from its first delivery on is none that went nowhere
SELECT DISTINCT w.event, w.endpoint
FROM (SELECT key FROM event WHERE state = 'unrouted' AND state <> 'accepted' AND key BETWEEN :next_event AND :until
      UNION SELECT :next_event::bigint WHERE :next_endpoint::bigint > 0) AS odd
JOIN event AS e ON e.key = odd.key
JOIN wanted AS w ON w.event = e.key JOIN endpoint AS n ON n.number = w.endpoint
WHERE (w.event, w.endpoint) >= (:next_event, :next_endpoint) AND (n.name = :endpoint OR :endpoint IS NULL)
  AND (e.source = :source OR :source IS NULL) AND (glob(:type, e.type) OR :type IS NULL) AND e.body IS NOT NULL
ORDER BY w.event, w.endpoint LIMIT :limit;
