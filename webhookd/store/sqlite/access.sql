-- add_token: one more, unless there are too many
INSERT INTO token (name, sha256, scope, created_at, expires_at)
  SELECT :name, :sha256, :scope, :now, :expires_at WHERE (SELECT count(*) FROM token) < :tokens_max
RETURNING number;

-- drop_sessions: those that were used last the longest ago, beyond so many
DELETE FROM session WHERE sha256 IN (SELECT sha256 FROM session ORDER BY seen_at DESC, sha256 LIMIT -1 OFFSET ?);
