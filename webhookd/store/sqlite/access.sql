-- tokens: all of them
SELECT number, name, sha256, scope, created_at, expires_at, used_at FROM token ORDER BY number;

-- has_token: whether there is one of this name
SELECT EXISTS (SELECT 1 FROM token WHERE name = ?);

-- add_token: one more, unless there are too many
INSERT INTO token (name, sha256, scope, created_at, expires_at)
  SELECT :name, :sha256, :scope, :now, :expires_at WHERE (SELECT count(*) FROM token) < :tokens_max
RETURNING number;

-- remove_token: nobody gets in with it from now on
DELETE FROM token WHERE name = ?;

-- note_token_use: when it was last used
UPDATE token SET used_at = max(coalesce(used_at, 0), ?) WHERE number = ?;

-- sessions: all of them
SELECT sha256, token, created_at, seen_at FROM session;

-- add_session: somebody has logged in
INSERT INTO session (sha256, token, created_at, seen_at) VALUES (?, ?, ?, ?);

-- drop_sessions: those that were used last the longest ago, beyond so many
DELETE FROM session WHERE sha256 IN (SELECT sha256 FROM session ORDER BY seen_at DESC, sha256 LIMIT -1 OFFSET ?);

-- remove_session: somebody has logged out
DELETE FROM session WHERE sha256 = ?;

-- note_session_use: when it was last used
UPDATE session SET seen_at = max(seen_at, ?) WHERE sha256 = ?;

-- record: a line of the audit trail
INSERT INTO audit (at, actor, address, action, subject, detail) VALUES (?, ?, ?, ?, ?, ?);

-- record_given_up: an endpoint has failed for so long that webhookd itself disables it
INSERT INTO audit (at, actor, action, subject)
  SELECT ?, 'webhookd', 'endpoint.disable', name FROM endpoint WHERE number = ?;

-- trail: the audit trail, newest first
SELECT number, at, actor, address, action, subject, detail FROM audit
WHERE number < :below AND (:actor IS NULL OR actor = :actor) AND (:action IS NULL OR action GLOB :action)
  AND (:subject IS NULL OR subject = :subject) AND (:since IS NULL OR at >= :since) AND (:until IS NULL OR at < :until)
ORDER BY number DESC LIMIT :limit;
