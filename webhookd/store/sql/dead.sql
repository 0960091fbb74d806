-- endpoints: those to whom something was given up, by number; or the one of this name
SELECT number, name, why IS DISTINCT FROM 'removed' FROM endpoint AS n
WHERE number > :after AND (name = :name OR :name IS NULL)
  AND EXISTS (SELECT 1 FROM delivery INDEXED BY delivery_dead WHERE state = 'dead' AND endpoint = n.number)
ORDER BY number LIMIT :limit;
