-- owed: what a batch of events is owed to whom, in the order of the log, as one list of numbers in JSON
SELECT '[' || coalesce(string_agg(event || ',' || endpoint || ',' || due_at || ',' || priority || ',' ||
                                  (chain IS NOT NULL)::integer, ','), '') || ']',
       count(*)
FROM (SELECT * FROM delivery WHERE event BETWEEN ? AND ? AND held = 0 ORDER BY event, endpoint LIMIT ?) AS owed;

-- endpoints: by number, with what these are owed, counted in the indexes
WITH page AS MATERIALIZED (
  SELECT * FROM endpoint
  WHERE number > :after AND (:removed OR why IS DISTINCT FROM 'removed') AND (name = :name OR :name IS NULL)
    AND (strpos(name, :part) > 0 OR :part IS NULL)
    AND (CASE WHEN name IN (SELECT json_array_elements_text(:unusable::json)) THEN 'disabled' ELSE state END = :state
         OR :state IS NULL)
  ORDER BY number LIMIT nullif(:limit::bigint, -1)
)
SELECT number, name, url, state, why, managed_by, breaker, retry_at, trips, failing_since, created_at,
       due.n + waiting.n, dead.n, least(due.oldest, waiting.oldest)
FROM page CROSS JOIN LATERAL (
  SELECT count(*) AS n, min(event) AS oldest FROM delivery WHERE endpoint = page.number AND state = 'pending' AND held = 0
) AS due CROSS JOIN LATERAL (
  SELECT count(*) AS n, min(event) AS oldest FROM delivery
  WHERE endpoint = page.number AND state = 'pending' AND chain IS NOT NULL AND held = 1
) AS waiting CROSS JOIN LATERAL (
  SELECT count(*) AS n FROM delivery WHERE endpoint = page.number AND state = 'dead'
) AS dead ORDER BY number;

-- known_event: the event that already bears this provider id, and whether it is past
SELECT key, salt, sha256, NOT EXISTS (SELECT 1 FROM event WHERE event.key = identity.key)
FROM identity WHERE source = ? AND provider_event_id = ?;

-- last_key: where the log ends, be it that what stood there is past
SELECT coalesce(max(key), 0) FROM identity;
