-- fences: of the claims on these endpoints
SELECT endpoint, fence FROM claim WHERE endpoint = ANY (:endpoints::bigint[]);

-- join: a node that has just come, while no other does; no row where there are too many
INSERT INTO node (name, version, role, slot, started_at, seen_at, lease_until)
SELECT :name::text, :version::text, :role::text, free, now, now, now + :lease_ms::bigint
FROM server_ms() AS now, generate_series(0, 63) AS free
WHERE NOT EXISTS (SELECT 1 FROM node WHERE slot = free) ORDER BY free LIMIT 1
RETURNING number, slot, started_at;

-- succeed: the node that held the same data directory before, on the same machine, is dead: nobody waits for its lease
UPDATE node SET lease_until = server_ms() - 1
WHERE number = :number AND started_at = :started_at AND split_part(name, ' ', 1) = split_part(:name::text, ' ', 1)
  AND lease_until >= server_ms();

-- live: a node says that it does; whether it had been taken for dead, and whether it came before all others that live. No
-- row: it has been forgotten
UPDATE node SET seen_at = server_ms(), lease_until = server_ms() + :lease_ms::bigint
FROM (SELECT number, lease_until < server_ms() AS was_dead FROM node WHERE number = :node FOR UPDATE) AS before
WHERE node.number = before.number
RETURNING before.was_dead,
  NOT EXISTS (SELECT 1 FROM node AS other WHERE other.number < before.number AND other.lease_until >= server_ms());

-- forget: nodes that have not been heard of for long; and where there are as many as can be, of the dead the first to die
DELETE FROM node WHERE lease_until < server_ms() - :forget_ms::bigint OR (
  (SELECT count(*) FROM node) > 63
  AND number = (SELECT number FROM node WHERE lease_until < server_ms() ORDER BY lease_until, number LIMIT 1));

-- held: what a node has claimed
SELECT endpoint, fence FROM claim WHERE node = :node;

-- standing: how many nodes dispatch and live, how many endpoints are in service, or held still though they are no longer,
-- and how many of those that the node knows nobody holds
WITH alive AS MATERIALIZED (SELECT number, role FROM node WHERE lease_until >= server_ms())
SELECT (SELECT count(*) FROM alive WHERE role <> 'receive'), count(*),
       count(*) FILTER (WHERE alive.number IS NULL AND claim.endpoint = ANY (:known::bigint[]))
FROM claim JOIN endpoint ON endpoint.number = claim.endpoint
LEFT JOIN alive ON alive.number = claim.node
WHERE why IS DISTINCT FROM 'removed' OR alive.number IS NOT NULL;

-- take: so many of those that the node knows, and that nobody holds who lives; while no other writes
WITH free AS (
  SELECT claim.endpoint FROM claim JOIN endpoint ON endpoint.number = claim.endpoint AND why IS DISTINCT FROM 'removed'
  WHERE claim.endpoint = ANY (:known::bigint[])
    AND NOT EXISTS (SELECT 1 FROM node WHERE node.number = claim.node AND lease_until >= server_ms())
  ORDER BY claim.endpoint LIMIT :limit::bigint FOR UPDATE OF claim SKIP LOCKED
)
UPDATE claim SET node = :node::bigint, fence = fence + 1
FROM free JOIN endpoint AS e ON e.number = free.endpoint
WHERE claim.endpoint = free.endpoint
RETURNING claim.endpoint, claim.fence, e.state, e.why, e.breaker, e.retry_at, e.trips, e.failing_since;

-- release: what a node gives back
UPDATE claim SET node = NULL WHERE node = :node AND endpoint = ANY (:endpoints::bigint[]);

-- leave: a node that goes, and gives back all
DELETE FROM node WHERE number = :node;

-- nodes: all that are there
SELECT number, name, version, role, started_at, seen_at, lease_until >= server_ms(),
       (SELECT count(*) FROM claim WHERE claim.node = node.number)
FROM node ORDER BY number;

-- overdue: those of these endpoints for which something was due by then
SELECT its FROM unnest(:endpoints::bigint[]) AS its
WHERE EXISTS (SELECT 1 FROM unnest(ARRAY[0, 1, 2]::smallint[]) AS p JOIN delivery ON priority = p
              WHERE endpoint = its AND state = 'pending' AND held = 0 AND due_at <= :before);
