-- missing: partitions of this week and of so many after it that are not there, the nearest first; by the server's clock
-- unless another time is given
SELECT kind, week
FROM week_of(coalesce(?1::bigint, server_ms()) << 21) AS this_week
CROSS JOIN generate_series(this_week, this_week + ?2) AS week CROSS JOIN unnest(ARRAY['event', 'attempt']) AS kind
WHERE week_table(kind, week) IS NULL
ORDER BY week, kind DESC;

-- make: one of them; whether it is there now, and was not before
SELECT make_week(?, ?);

-- over: weeks before the last one, of which there still is a partition, and whether there is one of events; oldest first
WITH its AS (
  SELECT split_part(c.relname, '_w', 1) AS kind, split_part(c.relname, '_w', 2)::bigint AS week
  FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
  WHERE i.inhparent IN ('event'::regclass, 'attempt'::regclass) AND c.relname ~ '_w\d+$'
)
SELECT week, bool_or(kind = 'event'), bool_or(kind = 'attempt') FROM its
WHERE week < week_of(coalesce(?1::bigint, server_ms()) << 21) - 1
GROUP BY week ORDER BY week;

-- is_empty: whether nothing is in one
SELECT is_empty_week(?, ?);

-- has: whether there is such a partition
SELECT week_table(?, ?) IS NOT NULL;

-- drop: one, with all that is in it; its bytes
SELECT drop_week(?, ?);

-- drop_empty: one in which nothing is; its bytes, or NULL
SELECT drop_empty_week(?, ?);
