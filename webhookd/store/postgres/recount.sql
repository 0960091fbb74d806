-- make_kept_ledger: the ledger that is kept, by a name that the one that is counted does not hide; before that is there
CREATE TEMP VIEW kept_ledger AS SELECT * FROM ledger;

-- make_kept_reference: the same of what payments can be found by
CREATE TEMP VIEW kept_reference AS SELECT * FROM reference;

-- make_ledger: in this session the trigger writes to it, for what is temporary is found first
CREATE TEMP TABLE ledger (LIKE ledger INCLUDING ALL);

-- make_reference: the same
CREATE TEMP TABLE reference (LIKE reference INCLUDING ALL);

-- make_arriving: where events are put to be counted
CREATE TEMP TABLE arriving ON COMMIT DELETE ROWS AS SELECT * FROM event WITH NO DATA;

-- make_trigger: the one way from event to ledger
CREATE TRIGGER arriving_moves_ledger AFTER INSERT ON arriving REFERENCING NEW TABLE AS arrived
  FOR EACH STATEMENT EXECUTE FUNCTION event_moves_ledger();

-- make_counted: which events are counted; of several nodes, one may commit an event after others that are of a later time
CREATE TEMP TABLE counted (key bigint PRIMARY KEY);

-- hold: as long as this connection lives nothing is forgotten
SELECT pg_advisory_lock_shared(counting_lock());

-- total: events in the log, and past
SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM past);

-- stretch: the next events, in the log or past: so many, or fewer with larger bodies
WITH part AS (
  SELECT key, sum(bytes) OVER (ORDER BY key) - bytes AS bytes_before FROM (
    (SELECT key, CASE WHEN body IS NULL THEN 0 ELSE size END AS bytes FROM event
     WHERE key > :after ORDER BY key LIMIT :events)
    UNION ALL (SELECT key, 0 FROM past WHERE key > :after ORDER BY key LIMIT :events)
    ORDER BY key LIMIT :events) AS next
), its_end AS MATERIALIZED (
  SELECT max(key) AS key FROM part WHERE bytes_before < :bytes::bigint
)
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind, object_id,
       status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, names, headers, sha256, size,
       body
FROM event WHERE key > :after AND key <= (SELECT key FROM its_end)
UNION ALL
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind, object_id,
       status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, names, '[]', sha256, size, NULL
FROM past WHERE key > :after AND key <= (SELECT key FROM its_end)
ORDER BY key;

-- these: the same of events by their keys
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind, object_id,
       status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, names, headers, sha256, size,
       body
FROM event WHERE key = ANY (ARRAY(SELECT listed(:keys)))
UNION ALL
SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind, object_id,
       status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, names, '[]', sha256, size, NULL
FROM past WHERE key = ANY (ARRAY(SELECT listed(:keys)))
ORDER BY key;

-- left_out: events that are not counted, though later ones are
SELECT key FROM (SELECT key FROM event UNION ALL SELECT key FROM past) AS known
WHERE key <= :last AND NOT EXISTS (SELECT 1 FROM counted WHERE counted.key = known.key) ORDER BY key LIMIT :events;

-- left_out_of: of those that speak of these objects
SELECT DISTINCT key FROM (
  SELECT e.key FROM json_array_elements(:objects::json) AS o
  JOIN event AS e ON o ->> 1 = 'payment' AND e.payment_id = o ->> 2 AND e.provider = o ->> 0
  UNION ALL
  SELECT e.key FROM json_array_elements(:objects::json) AS o
  JOIN event AS e ON e.kind <> 'payment' AND e.object_id = o ->> 2 AND e.kind = o ->> 1 AND e.provider = o ->> 0
) AS spoke WHERE NOT EXISTS (SELECT 1 FROM counted WHERE counted.key = spoke.key) ORDER BY key LIMIT :events;

-- add: these are counted
WITH new AS (INSERT INTO counted SELECT * FROM unnest(:key::bigint[]) ON CONFLICT DO NOTHING)
INSERT INTO arriving (key, source, provider, provider_event_id, received_at, occurred_at, payment_id, kind, object_id, status,
                      detail, major, minor, counts, amount, currency, exponent, refunded, reference, names)
SELECT * FROM unnest(
  :key::bigint[], :source::text[], :provider::text[], :provider_event_id::text[], :received_at::bigint[],
  :occurred_at::bigint[], :payment_id::text[], :kind::text[], :object_id::text[], :status::text[], :detail::text[],
  :major::bigint[], :minor::bigint[], :counts::bigint[], :amount::bigint[], :currency::text[], :exponent::bigint[],
  :refunded::bigint[], :reference::text[], :names::text[]);

-- analyze_ledger: or it would pass for empty
ANALYZE ledger;

-- analyze_reference: the same
ANALYZE reference;

-- analyze_counted: the same
ANALYZE counted;

-- drop_objects: their kept rows
DELETE FROM kept_ledger AS l USING json_array_elements(:objects::json) AS o
WHERE l.provider = o ->> 0 AND l.kind = o ->> 1 AND l.id = o ->> 2;

-- keep_objects: as they were counted
INSERT INTO kept_ledger SELECT l.* FROM json_array_elements(:objects::json) AS o
JOIN ledger AS l ON l.provider = o ->> 0 AND l.kind = o ->> 1 AND l.id = o ->> 2;

-- drop_references: what these payments can be found by
DELETE FROM kept_reference AS r USING json_array_elements(:objects::json) AS o
WHERE o ->> 1 = 'payment' AND r.provider = o ->> 0 AND r.payment_id = o ->> 2;

-- keep_references: as they were counted
INSERT INTO kept_reference SELECT r.* FROM json_array_elements(:objects::json) AS o
JOIN reference AS r ON o ->> 1 = 'payment' AND r.provider = o ->> 0 AND r.payment_id = o ->> 2;
