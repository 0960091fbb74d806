-- webhookd's event log, outbox and delivery history, in SQLite.
--
-- One INSERT is the whole promise: a row of `event` brings its rows of `delivery` (the outbox) with it, by trigger, in
-- the same transaction. One INSERT settles: a row of `attempt` moves its delivery. Times are Unix milliseconds.

PRAGMA application_id = 0x57484B44;  -- "WHKD"
PRAGMA user_version = 1;

CREATE TABLE event (
  key               INTEGER PRIMARY KEY,  -- milliseconds << 21 | counter: ascending is log order
  salt              INTEGER NOT NULL,     -- the rest of the public id
  source            TEXT    NOT NULL,
  provider          TEXT    NOT NULL,
  provider_event_id TEXT    NOT NULL,
  type              TEXT    NOT NULL,
  state             TEXT    NOT NULL CHECK (state IN ('accepted', 'unrouted', 'quarantined')),
  received_at       INTEGER NOT NULL,
  occurred_at       INTEGER,
  payment_id        TEXT,
  headers           TEXT    NOT NULL,     -- JSON: [["content-type", "application/json"], …]
  sha256            BLOB    NOT NULL CHECK (length(sha256) = 32),
  size              INTEGER NOT NULL,
  body              BLOB,                 -- the provider's bytes; NULL once retention has taken them
  UNIQUE (source, provider_event_id)      -- what makes an event be in the log once
) STRICT;

CREATE INDEX event_odd ON event (state, key) WHERE state <> 'accepted';

-- A hook that bears a known id and another body: the first body stays, the others are on record.
CREATE TABLE conflict (
  event     INTEGER NOT NULL REFERENCES event,
  sha256    BLOB    NOT NULL,
  first_at  INTEGER NOT NULL,
  last_at   INTEGER NOT NULL,
  times     INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (event, sha256)
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoint (
  number     INTEGER PRIMARY KEY AUTOINCREMENT,  -- half of a delivery's identity: never reused
  name       TEXT    NOT NULL UNIQUE,
  url        TEXT    NOT NULL,
  state      TEXT    NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'disabled')),
  managed_by TEXT    NOT NULL CHECK (managed_by IN ('config', 'api')),
  secret     TEXT    NOT NULL,                   -- generated; used where the configuration names none
  created_at INTEGER NOT NULL
) STRICT;

-- The routing table: an event of this source whose type matches the pattern is owed to the endpoint.
CREATE TABLE subscription (
  source        TEXT    NOT NULL,  -- a source's name, or '*'
  is_glob       INTEGER NOT NULL CHECK (is_glob IN (0, 1)),
  pattern       TEXT    NOT NULL,
  endpoint      INTEGER NOT NULL REFERENCES endpoint ON DELETE CASCADE,
  first_wait_ms INTEGER NOT NULL,
  PRIMARY KEY (source, is_glob, pattern, endpoint)
) STRICT, WITHOUT ROWID;

CREATE INDEX subscription_endpoint ON subscription (endpoint);

-- The outbox.
CREATE TABLE delivery (
  event       INTEGER NOT NULL REFERENCES event,
  endpoint    INTEGER NOT NULL REFERENCES endpoint,
  state       TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead', 'cancelled')),
  due_at      INTEGER,                     -- of a pending one: when the next attempt may start, jitter included
  attempts    INTEGER NOT NULL DEFAULT 0,
  step        INTEGER NOT NULL DEFAULT 1,  -- waits of the schedule used up
  replay      INTEGER NOT NULL DEFAULT 0 CHECK (replay IN (0, 1)),
  last_status INTEGER,
  last_error  TEXT,
  created_at  INTEGER NOT NULL,
  settled_at  INTEGER,
  PRIMARY KEY (event, endpoint),           -- what makes an event be owed once
  CHECK ((state = 'pending') = (due_at IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_due ON delivery (endpoint, due_at) WHERE state = 'pending';
CREATE INDEX delivery_given_up ON delivery (state, event) WHERE state IN ('dead', 'cancelled');

CREATE TABLE attempt (
  event       INTEGER NOT NULL,
  endpoint    INTEGER NOT NULL,
  number      INTEGER NOT NULL,  -- 1, 2, … without gaps
  started_at  INTEGER NOT NULL,
  duration_ms INTEGER NOT NULL,
  status      INTEGER,
  error       TEXT,
  response    BLOB    NOT NULL,
  replay      INTEGER NOT NULL,
  state       TEXT    NOT NULL,  -- what the delivery became by it
  due_at      INTEGER,
  step        INTEGER NOT NULL,
  PRIMARY KEY (event, endpoint, number),
  FOREIGN KEY (event, endpoint) REFERENCES delivery
) STRICT, WITHOUT ROWID;

CREATE TRIGGER event_is_owed AFTER INSERT ON event WHEN NEW.state = 'accepted'
BEGIN
  INSERT OR IGNORE INTO delivery (event, endpoint, due_at, created_at)
    SELECT NEW.key, endpoint, NEW.received_at + first_wait_ms, NEW.received_at FROM subscription
    WHERE source IN (NEW.source, '*') AND is_glob = 0 AND pattern = NEW.type;
  INSERT OR IGNORE INTO delivery (event, endpoint, due_at, created_at)
    SELECT NEW.key, endpoint, NEW.received_at + first_wait_ms, NEW.received_at FROM subscription
    WHERE source IN (NEW.source, '*') AND is_glob = 1 AND NEW.type GLOB pattern;
  UPDATE event SET state = 'unrouted'
    WHERE key = NEW.key AND NOT EXISTS (SELECT 1 FROM delivery WHERE event = NEW.key);
END;

-- A delivery that was cancelled while under way stays cancelled; the attempt is on record all the same.
CREATE TRIGGER attempt_settles AFTER INSERT ON attempt
BEGIN
  UPDATE delivery
    SET state = NEW.state, due_at = NEW.due_at, step = NEW.step, attempts = NEW.number,
        last_status = NEW.status, last_error = NEW.error,
        settled_at = CASE NEW.state WHEN 'pending' THEN NULL ELSE NEW.started_at + NEW.duration_ms END
    WHERE event = NEW.event AND endpoint = NEW.endpoint AND state = 'pending';
END;

-- 410 Gone: the merchant wants no more of this until a person says otherwise.
CREATE TRIGGER gone_pauses AFTER INSERT ON attempt WHEN NEW.status = 410
BEGIN
  UPDATE endpoint SET state = 'paused' WHERE number = NEW.endpoint AND state = 'active';
END;
