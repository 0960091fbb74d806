-- Schema 3: the outbox knows priority and chain, an endpoint its health and why it stands still; secrets are sealed.

ALTER TABLE event ADD COLUMN priority INTEGER NOT NULL GENERATED ALWAYS AS (
  CASE WHEN kind IN ('dispute', 'downtime') THEN 0 WHEN kind IN ('account', 'fund_account') THEN 1 ELSE 2 END);
ALTER TABLE event ADD COLUMN chain TEXT GENERATED ALWAYS AS (provider || ' ' || payment_id);

ALTER TABLE endpoint RENAME TO endpoint_of_2;
CREATE TABLE endpoint (
  number        INTEGER PRIMARY KEY AUTOINCREMENT,
  name          TEXT    NOT NULL UNIQUE,
  url           TEXT    NOT NULL,
  state         TEXT    NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'disabled')),
  why           TEXT    CHECK (why IN ('operator', 'gone', 'failing', 'removed')),
  managed_by    TEXT    NOT NULL CHECK (managed_by IN ('config', 'api')),
  settings      BLOB,
  breaker       TEXT    NOT NULL DEFAULT 'closed' CHECK (breaker IN ('closed', 'open')),
  retry_at      INTEGER,
  trips         INTEGER NOT NULL DEFAULT 0,
  failing_since INTEGER,
  created_at    INTEGER NOT NULL,
  CHECK ((state = 'active') = (why IS NULL)),
  CHECK ((breaker = 'open') = (retry_at IS NOT NULL))
) STRICT;

-- A 410 left its delivery pending and paused the endpoint; whatever left the configuration was disabled.
INSERT INTO endpoint (number, name, url, state, why, managed_by, created_at)
  SELECT number, name, url, state,
         CASE state WHEN 'disabled' THEN 'removed' WHEN 'paused' THEN iif(EXISTS (
           SELECT 1 FROM delivery WHERE endpoint = number AND state = 'pending' AND last_status = 410), 'gone', 'operator')
         END, managed_by, created_at
  FROM endpoint_of_2;

-- Numbers are never used again, whoever had the last one.
DELETE FROM sqlite_sequence WHERE name = 'endpoint';
INSERT INTO sqlite_sequence (name, seq) SELECT 'endpoint', seq FROM sqlite_sequence WHERE name = 'endpoint_of_2';

CREATE TABLE secret (
  endpoint   INTEGER NOT NULL REFERENCES endpoint,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  sealed     BLOB    NOT NULL,
  PRIMARY KEY (endpoint, created_at)
) STRICT, WITHOUT ROWID;

INSERT INTO secret (endpoint, created_at, sealed)
  SELECT number, created_at, seal(secret, number, created_at) FROM endpoint_of_2;
DROP TABLE endpoint_of_2;

ALTER TABLE route RENAME TO route_of_2;
CREATE TABLE route (
  source        TEXT    NOT NULL,
  is_glob       INTEGER NOT NULL CHECK (is_glob IN (0, 1)),
  pattern       TEXT    NOT NULL,
  endpoint      INTEGER NOT NULL REFERENCES endpoint ON DELETE CASCADE,
  first_wait_ms INTEGER NOT NULL,
  is_ordered    INTEGER NOT NULL CHECK (is_ordered IN (0, 1)),
  added_at      INTEGER NOT NULL,
  PRIMARY KEY (source, is_glob, pattern, endpoint)
) STRICT, WITHOUT ROWID;

INSERT INTO route (source, is_glob, pattern, endpoint, first_wait_ms, is_ordered, added_at)
  SELECT source, is_glob, pattern, endpoint, first_wait_ms, 0, added_at FROM route_of_2;
DROP TABLE route_of_2;

ALTER TABLE delivery RENAME TO delivery_of_2;
CREATE TABLE delivery (
  event       INTEGER NOT NULL REFERENCES event,
  endpoint    INTEGER NOT NULL REFERENCES endpoint,
  state       TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead', 'cancelled')),
  due_at      INTEGER,
  attempts    INTEGER NOT NULL DEFAULT 0,
  step        INTEGER NOT NULL DEFAULT 1,
  replay      INTEGER NOT NULL DEFAULT 0 CHECK (replay IN (0, 1)),
  last_status INTEGER,
  last_error  TEXT,
  created_at  INTEGER NOT NULL,
  settled_at  INTEGER,
  priority    INTEGER NOT NULL DEFAULT 2 CHECK (priority IN (0, 1, 2)),
  chain       TEXT,
  held        INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
  PRIMARY KEY (event, endpoint),
  CHECK ((state = 'pending') = (due_at IS NOT NULL)),
  CHECK (held = 0 OR (chain IS NOT NULL AND state = 'pending'))
) STRICT, WITHOUT ROWID;

INSERT INTO delivery (event, endpoint, state, due_at, attempts, step, replay, last_status, last_error, created_at,
                      settled_at, priority)
  SELECT d.event, d.endpoint, d.state, d.due_at, d.attempts, d.step, d.replay, d.last_status, d.last_error, d.created_at,
         d.settled_at, e.priority
  FROM delivery_of_2 AS d CROSS JOIN event AS e ON e.key = d.event;
DROP TABLE delivery_of_2;
