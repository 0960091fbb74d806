-- last_key: where the log ends, be it that what stood there is past
SELECT max(last) FROM (
  SELECT coalesce(max(key), 0) AS last FROM event UNION ALL SELECT coalesce(max(key), 0) FROM past) AS ends;

-- known_event: the event that already bears this provider id, and whether it is past
SELECT key, salt, sha256, is_past
FROM (SELECT key, salt, source, provider_event_id, sha256, 0 AS is_past FROM event
      UNION ALL SELECT key, salt, source, provider_event_id, sha256, 1 FROM past) AS known
WHERE source = ? AND provider_event_id = ?;

-- event_of_alias: the event an alias is bound to, and the body
SELECT a.event, coalesce(e.salt, p.salt), a.sha256
FROM alias AS a LEFT JOIN event AS e ON e.key = a.event LEFT JOIN past AS p ON p.key = a.event
WHERE a.source = ? AND a.name = ?;

-- rebind_alias: the hook that brought it repeats an event in the log
UPDATE alias SET event = ? WHERE source = ? AND name = ?;

-- note_conflict: a known id came with another body
INSERT INTO conflict (event, sha256, first_at, last_at) VALUES (?, ?, ?, ?)
  ON CONFLICT (event, sha256) DO UPDATE SET last_at = excluded.last_at, times = conflict.times + 1;

-- is_owed: whether there is such a delivery
SELECT 1 FROM delivery WHERE event = ? AND endpoint = ?;

-- delivery_state: how it stands
SELECT state FROM delivery WHERE event = ? AND endpoint = ?;

-- cancel_delivery: a person has called it off
UPDATE delivery SET state = ?, due_at = NULL, held = 0, settled_at = ?
WHERE event = ? AND endpoint = ? AND state = 'pending';

-- waits_until: the due time of the so-manieth that waits, of those of one priority, the first first
SELECT due_at FROM delivery
WHERE endpoint = ? AND priority = ? AND state = 'pending' AND held = 0 AND due_at BETWEEN ? AND ?
ORDER BY due_at LIMIT 1 OFFSET ?;

-- waits_from: the same, the last first
SELECT due_at FROM delivery
WHERE endpoint = ? AND priority = ? AND state = 'pending' AND held = 0 AND due_at BETWEEN ? AND ?
ORDER BY due_at DESC LIMIT 1 OFFSET ?;

-- retime: the clock was set, and what waits goes with it; what has never been tried may be of the new time already
UPDATE delivery SET due_at = due_at + ?
WHERE endpoint = ? AND priority = ? AND state = 'pending' AND held = 0 AND due_at BETWEEN ? AND ?
  AND (step > 1 OR due_at < ?);

-- retime_held: those of a chain that go when their turn comes, and are due by then
UPDATE delivery INDEXED BY delivery_chain SET due_at = due_at + ?
WHERE endpoint = ? AND chain IS NOT NULL AND state = 'pending' AND held = 1 AND due_at BETWEEN ? AND ? AND due_at < ?;

-- note_health: what the last outcome made of an endpoint's breaker
UPDATE endpoint SET breaker = ?, retry_at = ?, trips = ?, failing_since = ? WHERE number = ?;

-- give_up_endpoint: it has failed for too long
UPDATE endpoint SET state = 'disabled', why = 'failing' WHERE number = ? AND state = 'active';

-- upsert_endpoint: a configured one; what was taken out is active again, its past forgiven; what is paused stays so
INSERT INTO endpoint (name, url, managed_by, created_at) VALUES (?, ?, 'config', ?)
  ON CONFLICT (name) DO UPDATE SET url = excluded.url, managed_by = 'config', settings = NULL,
    breaker = CASE WHEN endpoint.why = 'removed' THEN 'closed' ELSE endpoint.breaker END,
    retry_at = CASE WHEN endpoint.why = 'removed' THEN NULL ELSE endpoint.retry_at END,
    trips = CASE WHEN endpoint.why = 'removed' THEN 0 ELSE endpoint.trips END,
    failing_since = CASE WHEN endpoint.why = 'removed' THEN NULL ELSE endpoint.failing_since END,
    state = CASE WHEN endpoint.why = 'removed' THEN 'active' ELSE endpoint.state END, why = nullif(endpoint.why, 'removed')
    WHERE endpoint.url <> excluded.url OR endpoint.managed_by <> 'config' OR endpoint.why = 'removed';

-- disable_endpoint: it has left the configuration
UPDATE endpoint SET state = 'disabled', why = 'removed' WHERE number = ? AND why IS DISTINCT FROM 'removed';

-- set_endpoint_state: paused or resumed by a person
UPDATE endpoint SET state = ?, why = ?, breaker = 'closed', retry_at = NULL, trips = 0, failing_since = NULL
WHERE name = ? AND why IS DISTINCT FROM 'removed';

-- kept_endpoints: what the API was asked for, of those in service
SELECT number, name, settings FROM endpoint WHERE managed_by = 'api' AND settings IS NOT NULL ORDER BY number;

-- add_endpoint: one of the API's, unless one of this name is in service
INSERT INTO endpoint (name, url, managed_by, created_at) VALUES (?, ?, 'api', ?)
  ON CONFLICT (name) DO UPDATE SET url = excluded.url, managed_by = 'api', state = 'active', why = NULL,
    breaker = 'closed', retry_at = NULL, trips = 0, failing_since = NULL
    WHERE endpoint.why = 'removed'
RETURNING number;

-- change_endpoint: one of the API's
UPDATE endpoint SET url = ? WHERE name = ? AND managed_by = 'api' AND why IS DISTINCT FROM 'removed' RETURNING number;

-- remove_endpoint: one of the API's; what it was asked for is forgotten
UPDATE endpoint SET state = 'disabled', why = 'removed', settings = NULL, breaker = 'closed', retry_at = NULL, trips = 0,
  failing_since = NULL
WHERE name = ? AND managed_by = 'api' AND why IS DISTINCT FROM 'removed' RETURNING number;

-- endpoint_number: its half of a delivery's identity
SELECT number FROM endpoint WHERE name = ?;

-- secrets: what the store keeps for an endpoint, newest first
SELECT created_at, expires_at, sealed FROM secret WHERE endpoint = ? AND (expires_at IS NULL OR expires_at > ?)
ORDER BY created_at DESC;

-- next_secret_at: when a secret that is made now may say that it was made: they differ
SELECT max(at) FROM (SELECT CAST(? AS bigint) AS at UNION ALL SELECT max(created_at) + 1 FROM secret WHERE endpoint = ?) AS these;

-- add_secret: what attempts are signed with from now on
INSERT INTO secret (endpoint, created_at, sealed) VALUES (?, ?, ?);

-- holds_secrets: whether anything is sealed
SELECT EXISTS (SELECT 1 FROM secret) OR EXISTS (SELECT 1 FROM endpoint WHERE settings IS NOT NULL);

-- sealed_secrets: every secret that is kept, with whose it is
SELECT name, sealed, endpoint, secret.created_at FROM secret JOIN endpoint ON number = endpoint;

-- seal_secret: the same secret under another key
UPDATE secret SET sealed = ? WHERE endpoint = ? AND created_at = ?;

-- sealed_settings: what was asked for of the endpoints that the API manages
SELECT name, settings, number FROM endpoint WHERE settings IS NOT NULL;

-- seal_settings: what was asked for of one, or the same under another key
UPDATE endpoint SET settings = ? WHERE number = ?;

-- retire_secrets: another one takes their place
UPDATE secret SET expires_at = CASE WHEN expires_at < :until THEN expires_at ELSE :until END WHERE endpoint = :endpoint;

-- forget_expired_secrets: nothing is signed with them any more
DELETE FROM secret WHERE endpoint = ? AND expires_at <= ?;

-- forget_secrets: all of an endpoint
DELETE FROM secret WHERE endpoint = ?;

-- routes: what an endpoint wants
SELECT source, is_glob, pattern FROM route WHERE endpoint = ?;

-- unroute: it no longer wants this
DELETE FROM route WHERE source = ? AND is_glob = ? AND pattern = ? AND endpoint = ?;

-- set_routes: how what it wants is owed to it
UPDATE route SET first_wait_ms = ?, is_ordered = ? WHERE endpoint = ? AND (first_wait_ms <> ? OR is_ordered <> ?);

-- route: it wants this, from now on, and never what is in the log: a clock that was set back may be behind that
INSERT INTO route (source, is_glob, pattern, endpoint, first_wait_ms, is_ordered, added_at)
VALUES (?, ?, ?, ?, ?, ?, (
  SELECT max(at) FROM (SELECT CAST(? AS bigint) AS at UNION ALL SELECT max(key) >> 21 FROM event) AS these));

-- endpoints_in_service: their names
SELECT name FROM endpoint WHERE why IS DISTINCT FROM 'removed' ORDER BY number;

-- endpoint_names: all that there are
SELECT number, name, managed_by FROM endpoint ORDER BY number;

-- endpoint_state: how it stands
SELECT number, state, why, managed_by, breaker, retry_at, trips, failing_since FROM endpoint WHERE name = ?;

-- odd_events: events that went nowhere, by state
SELECT state, count(*) FROM event INDEXED BY event_odd WHERE state <> 'accepted' GROUP BY state;

-- events: a page of the log, newest first
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       headers
FROM event
WHERE key < :before AND key >= :since AND (source = :source OR :source IS NULL)
  AND (provider = :provider OR :provider IS NULL) AND (glob(:type, type) OR :type IS NULL)
  AND (state = :state OR :state IS NULL)
ORDER BY key DESC LIMIT :limit;

-- odd_events_page: the same for the states that are rare, from their index
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       headers
FROM event
WHERE state = :state AND state <> 'accepted' AND key < :before AND key >= :since
  AND (source = :source OR :source IS NULL) AND (provider = :provider OR :provider IS NULL)
  AND (glob(:type, type) OR :type IS NULL)
ORDER BY key DESC LIMIT :limit;

-- events_back_to: where a look at so many of the log ends, newest first; no row where that is all there is
SELECT key FROM event WHERE key < :before AND key >= :since ORDER BY key DESC LIMIT 1 OFFSET :looks - 1;

-- odd_events_back_to: the same of the states that are rare
SELECT key FROM event INDEXED BY event_odd
WHERE state = :state AND state <> 'accepted' AND key < :before AND key >= :since
ORDER BY key DESC LIMIT 1 OFFSET :looks - 1;

-- newer_events: what has come after an event, oldest first
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       headers
FROM event
WHERE key > :after AND key < :before AND key >= :since AND (source = :source OR :source IS NULL)
  AND (provider = :provider OR :provider IS NULL) AND (glob(:type, type) OR :type IS NULL)
  AND (state = :state OR :state IS NULL)
ORDER BY key LIMIT :limit;

-- newer_events_up_to: where a look at so many of them ends
SELECT key FROM event WHERE key > :after AND key < :before AND key >= :since ORDER BY key LIMIT 1 OFFSET :looks - 1;

-- event: one, by both halves of its id
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, size, sha256,
       headers
FROM event WHERE key = ? AND salt = ?;

-- body: the provider's bytes
SELECT body FROM event WHERE key = ?;

-- deliveries: a page, newest event first
SELECT d.event, e.salt, d.endpoint, n.name, d.state, d.attempts, d.due_at, d.last_status, d.last_error, d.created_at,
       d.settled_at
FROM delivery AS d JOIN event AS e ON e.key = d.event JOIN endpoint AS n ON n.number = d.endpoint
WHERE (d.event, d.endpoint) < (:before, :before_endpoint) AND d.event >= :since
  AND (d.state = :state OR :state IS NULL)
  AND (d.endpoint = (SELECT number FROM endpoint WHERE name = :endpoint) OR :endpoint IS NULL)
  AND (d.last_error = :error OR :error IS NULL) AND (d.last_status = :status OR :status IS NULL)
  AND (e.source = :source OR :source IS NULL) AND (e.provider = :provider OR :provider IS NULL)
  AND (glob(:type, e.type) OR :type IS NULL)
ORDER BY d.event DESC, d.endpoint DESC LIMIT :limit;

-- deliveries_given_up: the same for dead and cancelled ones, from their index
SELECT d.event, e.salt, d.endpoint, n.name, d.state, d.attempts, d.due_at, d.last_status, d.last_error, d.created_at,
       d.settled_at
FROM delivery AS d JOIN event AS e ON e.key = d.event JOIN endpoint AS n ON n.number = d.endpoint
WHERE d.state = :state AND d.state IN ('dead', 'cancelled') AND (d.event, d.endpoint) < (:before, :before_endpoint)
  AND d.event >= :since AND (d.endpoint = (SELECT number FROM endpoint WHERE name = :endpoint) OR :endpoint IS NULL)
  AND (d.last_error = :error OR :error IS NULL) AND (d.last_status = :status OR :status IS NULL)
  AND (e.source = :source OR :source IS NULL) AND (e.provider = :provider OR :provider IS NULL)
  AND (glob(:type, e.type) OR :type IS NULL)
ORDER BY d.event DESC, d.endpoint DESC LIMIT :limit;

-- deliveries_back_to: where a look at so many ends, newest event first; no row where that is all there is
SELECT event FROM delivery WHERE (event, endpoint) < (:before, :before_endpoint) AND event >= :since
ORDER BY event DESC, endpoint DESC LIMIT 1 OFFSET :looks - 1;

-- deliveries_given_up_back_to: the same of dead and cancelled ones
SELECT event FROM delivery INDEXED BY delivery_given_up
WHERE state = :state AND state IN ('dead', 'cancelled') AND (event, endpoint) < (:before, :before_endpoint)
  AND event >= :since
ORDER BY event DESC, endpoint DESC LIMIT 1 OFFSET :looks - 1;

-- deliveries_of: all of one event
SELECT d.event, e.salt, d.endpoint, n.name, d.state, d.attempts, d.due_at, d.last_status, d.last_error, d.created_at,
       d.settled_at
FROM delivery AS d JOIN event AS e ON e.key = d.event JOIN endpoint AS n ON n.number = d.endpoint
WHERE d.event = ? ORDER BY d.endpoint;

-- delivery: one
SELECT d.event, e.salt, d.endpoint, n.name, d.state, d.attempts, d.due_at, d.last_status, d.last_error, d.created_at,
       d.settled_at
FROM delivery AS d JOIN event AS e ON e.key = d.event JOIN endpoint AS n ON n.number = d.endpoint
WHERE d.event = ? AND d.endpoint = ?;

-- attempts: the history of one delivery
SELECT number, started_at, duration_ms, status, error, response, replay FROM attempt
WHERE event = ? AND endpoint = ? ORDER BY number;

-- minutes: of the last day, oldest first
SELECT number, accepted, duplicates, refused, delivered, failed, died, backlog,
       ack_p50_ms, ack_p99_ms, delivery_p50_ms, delivery_p99_ms
FROM (SELECT * FROM minute ORDER BY number DESC LIMIT ?) AS newest ORDER BY number;

-- keep_minute: in the place of the one there was
INSERT INTO minute (number, accepted, duplicates, refused, delivered, failed, died, backlog,
                    ack_p50_ms, ack_p99_ms, delivery_p50_ms, delivery_p99_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (number) DO UPDATE SET accepted = excluded.accepted, duplicates = excluded.duplicates,
    refused = excluded.refused, delivered = excluded.delivered, failed = excluded.failed, died = excluded.died,
    backlog = excluded.backlog, ack_p50_ms = excluded.ack_p50_ms, ack_p99_ms = excluded.ack_p99_ms,
    delivery_p50_ms = excluded.delivery_p50_ms, delivery_p99_ms = excluded.delivery_p99_ms;

-- drop_minutes: those up to this one
DELETE FROM minute WHERE number <= ?;
