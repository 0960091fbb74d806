-- checker: what amcheck searches an index with, where that is installed and the role may
SELECT format('%I.%I', nspname, proname) FROM pg_extension AS x
JOIN pg_depend AS d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND d.classid = 'pg_proc'::regclass
JOIN pg_proc AS p ON p.oid = d.objid JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE extname = 'amcheck' AND proname = 'bt_index_check' AND pronargs = 2 AND has_function_privilege(p.oid, 'EXECUTE');

-- indexes: those of webhookd's tables
SELECT c.oid::bigint, c.relname::text FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'i' AND a.amname = 'btree' ORDER BY c.relname;

-- unknown: events whose ids are not known: a repeat would be another event
SELECT key, salt FROM (SELECT key, salt, source, provider_event_id FROM event
                       UNION ALL SELECT key, salt, source, provider_event_id FROM past) AS e
WHERE NOT EXISTS (SELECT 1 FROM identity AS i
                  WHERE i.source = e.source AND i.provider_event_id = e.provider_event_id AND i.key = e.key);

-- nowhere: ids that are known, of events that are not there: a repeat would be taken for one
SELECT key, salt FROM identity AS i
WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.key = i.key) AND NOT EXISTS (SELECT 1 FROM line WHERE line.key = i.key);

-- of_no_event: deliveries that point to nothing; those of a week that has just gone are yet to be swept up
SELECT d.event, d.endpoint FROM delivery AS d
WHERE NOT EXISTS (SELECT 1 FROM event WHERE key = d.event)
  AND NOT EXISTS (SELECT 1 FROM leaving WHERE week = week_of(d.event) AND state = 'gone');

-- of_no_delivery: attempts that point to nothing
SELECT event, endpoint, number FROM attempt AS a
WHERE NOT EXISTS (SELECT 1 FROM delivery AS d WHERE d.event = a.event AND d.endpoint = a.endpoint);

-- ledger_differences: rows that the two ledgers do not agree on, and in what
SELECT m.provider, m.kind, m.id, CASE WHEN l.id IS NULL THEN 'missing' END,
       m.status IS DISTINCT FROM l.status, m.detail IS DISTINCT FROM l.detail, m.major IS DISTINCT FROM l.major,
       m.minor IS DISTINCT FROM l.minor, m.tie IS DISTINCT FROM l.tie, m.occurred_at IS DISTINCT FROM l.occurred_at,
       m.amount IS DISTINCT FROM l.amount, m.currency IS DISTINCT FROM l.currency, m.exponent IS DISTINCT FROM l.exponent,
       m.payment_id IS DISTINCT FROM l.payment_id, m.reference IS DISTINCT FROM l.reference,
       m.refunded IS DISTINCT FROM l.refunded, m.refunded_at IS DISTINCT FROM l.refunded_at,
       m.counted_at IS DISTINCT FROM l.counted_at, false
FROM ledger AS m LEFT JOIN kept_ledger AS l ON l.provider = m.provider AND l.kind = m.kind AND l.id = m.id
WHERE l.id IS NULL
   OR (m.status, m.detail, m.major, m.minor, m.tie, m.occurred_at, m.amount, m.currency, m.exponent, m.payment_id,
       m.reference, m.refunded, m.refunded_at, m.counted_at)
      IS DISTINCT FROM
      (l.status, l.detail, l.major, l.minor, l.tie, l.occurred_at, l.amount, l.currency, l.exponent, l.payment_id,
       l.reference, l.refunded, l.refunded_at, l.counted_at)
UNION ALL
SELECT l.provider, l.kind, l.id, 'extra', false, false, false, false, false, false, false, false, false, false, false, false,
       false, false, false
FROM kept_ledger AS l
WHERE NOT EXISTS (SELECT 1 FROM ledger AS m WHERE m.provider = l.provider AND m.kind = l.kind AND m.id = l.id);

-- reference_differences: names that payments have in one of the two only
SELECT m.name, m.provider, m.payment_id, 'missing' FROM reference AS m
WHERE NOT EXISTS (SELECT 1 FROM kept_reference AS l
                  WHERE l.name = m.name AND l.provider = m.provider AND l.payment_id = m.payment_id)
UNION ALL
SELECT l.name, l.provider, l.payment_id, 'extra' FROM kept_reference AS l
WHERE NOT EXISTS (SELECT 1 FROM reference AS m
                  WHERE m.name = l.name AND m.provider = l.provider AND m.payment_id = l.payment_id);

-- not_owed: events that an endpoint asked for by then and that were never owed to it
SELECT DISTINCT e.key, e.salt, n.name FROM event AS e
JOIN route AS r ON r.source = e.source OR (r.source = '*' AND e.source <> 'webhookd')
JOIN endpoint AS n ON n.number = r.endpoint
WHERE e.state <> 'quarantined' AND e.received_at > r.added_at
  AND CASE r.is_glob WHEN 1 THEN glob(r.pattern, e.type) ELSE e.type = r.pattern END
  AND NOT EXISTS (SELECT 1 FROM delivery AS d WHERE d.event = e.key AND d.endpoint = r.endpoint);

-- owed_to_nobody: events that pass for routed and are owed to nobody
SELECT key, salt FROM event
WHERE state = 'accepted' AND NOT EXISTS (SELECT 1 FROM delivery AS d WHERE d.event = key);

-- owed_twice: more than one delivery of an event to an endpoint; only a damaged index lets that be, and it is not asked
SELECT event + 0, endpoint + 0 FROM delivery GROUP BY event + 0, endpoint + 0 HAVING count(ctid) > 1;

-- held_for_nothing: deliveries that wait for an earlier one of their payment, when none is pending that may go
SELECT d.event, d.endpoint FROM delivery AS d
WHERE d.state = 'pending' AND d.held = 1
  AND NOT EXISTS (SELECT 1 FROM delivery AS e WHERE e.endpoint = d.endpoint AND e.chain = d.chain
                  AND e.state = 'pending' AND e.held = 0);

-- attempts_unlike: deliveries whose attempts on record are not those they count
SELECT d.event, d.endpoint, d.attempts, coalesce(a.recorded, 0)
FROM delivery AS d JOIN event AS e ON e.key = d.event
LEFT JOIN (SELECT event, endpoint, count(*) AS recorded FROM attempt GROUP BY event, endpoint) AS a
  ON a.event = d.event AND a.endpoint = d.endpoint
WHERE d.attempts <> coalesce(a.recorded, 0);

-- captured_untold: captured payments, and an endpoint that is owed their capture and that none of it has reached or may
-- yet reach; no endpoint when nobody was ever owed it. Of a capture that retention has taken it is only known whether it
-- was routed: then it was settled.
SELECT p.provider, p.id, n.name, string_agg(DISTINCT d.state, ',')
FROM delivery AS d JOIN event AS e ON e.key = d.event AND e.kind = 'payment' AND e.counts = 1
JOIN kept_ledger AS p ON p.provider = e.provider AND p.kind = 'payment' AND p.id = e.payment_id
JOIN endpoint AS n ON n.number = d.endpoint
WHERE d.state IN ('dead', 'cancelled') AND p.counted_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM event AS o JOIN delivery AS t ON t.event = o.key AND t.endpoint = d.endpoint
                  WHERE o.payment_id = p.id AND o.provider = p.provider AND o.kind = 'payment' AND o.counts = 1
                    AND t.state IN ('delivered', 'pending'))
  AND NOT EXISTS (SELECT 1 FROM past AS t WHERE t.payment_id = p.id AND t.provider = p.provider AND t.kind = 'payment'
                  AND t.counts = 1 AND t.state = 'accepted')
GROUP BY p.provider, p.id, n.name
UNION ALL
SELECT p.provider, p.id, NULL, NULL
FROM kept_ledger AS p
WHERE p.kind = 'payment' AND p.counted_at IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM past AS t WHERE t.payment_id = p.id AND t.provider = p.provider AND t.kind = 'payment'
                  AND t.counts = 1 AND t.state = 'accepted')
  AND NOT EXISTS (SELECT 1 FROM event AS e JOIN delivery AS d ON d.event = e.key
                  WHERE e.payment_id = p.id AND e.provider = p.provider AND e.kind = 'payment' AND e.counts = 1);
