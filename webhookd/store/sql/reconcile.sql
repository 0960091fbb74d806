-- known: an event by its provider's id or by an alias, or what retention has left of it
SELECT key, salt, provider_event_id, type, sha256, occurred_at, payment_id, kind, object_id, status, amount, currency, 0
FROM event WHERE source = :source AND provider_event_id = :name
UNION ALL
SELECT key, salt, provider_event_id, type, sha256, occurred_at, payment_id, kind, object_id, status, amount, currency, 1
FROM past WHERE source = :source AND provider_event_id = :name
UNION ALL
SELECT e.key, e.salt, e.provider_event_id, e.type, e.sha256, e.occurred_at, e.payment_id, e.kind, e.object_id, e.status,
       e.amount, e.currency, 0
FROM alias AS a JOIN event AS e ON e.key = a.event WHERE a.source = :source AND a.name = :alias
UNION ALL
SELECT p.key, p.salt, p.provider_event_id, p.type, p.sha256, p.occurred_at, p.payment_id, p.kind, p.object_id, p.status,
       p.amount, p.currency, 1
FROM alias AS a JOIN past AS p ON p.key = a.event WHERE a.source = :source AND a.name = :alias
LIMIT 1;

-- alike: events of a type about a payment or an object
SELECT key, salt, provider_event_id, type, sha256, occurred_at, payment_id, kind, object_id, status, amount, currency, 0
FROM event WHERE payment_id = :payment AND source = :source AND type = :type
UNION
SELECT key, salt, provider_event_id, type, sha256, occurred_at, payment_id, kind, object_id, status, amount, currency, 0
FROM event WHERE object_id = :object AND kind <> 'payment' AND source = :source AND type = :type
ORDER BY 1 LIMIT :limit;
