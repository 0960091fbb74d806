-- tokens: all of them
SELECT number, name, sha256, scope, created_at, expires_at, used_at FROM token ORDER BY number;

-- has_token: whether there is one of this name
SELECT EXISTS (SELECT 1 FROM token WHERE name = ?);

-- remove_token: nobody gets in with it from now on
DELETE FROM token WHERE name = ?;

-- note_token_use: when it was last used
UPDATE token SET used_at = CASE WHEN used_at > ?1 THEN used_at ELSE ?1 END WHERE number = ?2;

-- sessions: all of them
SELECT sha256, token, created_at, seen_at FROM session;

-- add_session: somebody has logged in
INSERT INTO session (sha256, token, created_at, seen_at) VALUES (?, ?, ?, ?);

-- remove_session: somebody has logged out
DELETE FROM session WHERE sha256 = ?;

-- note_session_use: when it was last used
UPDATE session SET seen_at = CASE WHEN seen_at > ?1 THEN seen_at ELSE ?1 END WHERE sha256 = ?2;

-- record: a line of the audit trail
INSERT INTO audit (at, actor, address, action, subject, detail) VALUES (?, ?, ?, ?, ?, ?);

-- record_given_up: an endpoint has failed for so long that webhookd itself disables it
INSERT INTO audit (at, actor, action, subject)
  SELECT ?, 'webhookd', 'endpoint.disable', name FROM endpoint WHERE number = ?;

-- trail: the audit trail, newest first
SELECT number, at, actor, address, action, subject, detail FROM audit
WHERE number < :below AND (actor = :actor OR :actor IS NULL) AND (glob(:action, action) OR :action IS NULL)
  AND (subject = :subject OR :subject IS NULL) AND (at >= :since OR :since IS NULL) AND (at < :until OR :until IS NULL)
ORDER BY number DESC LIMIT :limit;
