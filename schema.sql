-- webhookd's event log, outbox, delivery history and ledger, in SQLite.
--
-- One INSERT is the whole promise: a row of `event` brings its rows of `delivery` (the outbox) with it and moves the
-- ledger, by trigger, in the same transaction. One INSERT settles: a row of `attempt` moves its delivery. Times are Unix
-- milliseconds, amounts whole numbers of the smallest unit.

PRAGMA application_id = 0x57484B44;  -- "WHKD"
PRAGMA user_version = 5;

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
  payment_id        TEXT,                 -- the payment it is about
  kind              TEXT,                 -- from here to "names": what it says of the one object it is about
  object_id         TEXT,
  status            TEXT,
  detail            TEXT,                 -- the provider's own word for the status
  major             INTEGER,              -- (major, minor, provider_event_id): which of two facts stands
  minor             INTEGER,
  counts            INTEGER,              -- whether the object counts in the revenue from here on
  amount            INTEGER,
  currency          TEXT,
  exponent          INTEGER,
  refunded          INTEGER,              -- of the payment, all in all so far, as reported
  reference         TEXT,                 -- the merchant's own
  names             TEXT,                 -- JSON: ["order_1", …], all that the payment can be found by
  headers           TEXT    NOT NULL,     -- JSON: [["content-type", "application/json"], …]
  sha256            BLOB    NOT NULL CHECK (length(sha256) = 32),
  size              INTEGER NOT NULL,
  body              BLOB,                 -- the provider's bytes; NULL once retention has taken them
  trace             TEXT,                 -- W3C traceparent of what received it, where tracing is on
  priority          INTEGER NOT NULL GENERATED ALWAYS AS (  -- of its deliveries, least first
    CASE WHEN kind IN ('dispute', 'downtime') THEN 0 WHEN kind IN ('account', 'fund_account') THEN 1 ELSE 2 END),
  chain             TEXT GENERATED ALWAYS AS (provider || ' ' || payment_id),  -- in order, where that is asked for
  UNIQUE (source, provider_event_id)      -- what makes an event be in the log once
) STRICT;

CREATE INDEX event_odd ON event (state, key) WHERE state <> 'accepted';
CREATE INDEX event_of_payment ON event (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX event_of_object ON event (object_id) WHERE kind <> 'payment';

-- What is left of an event that retention has taken: its line in the ledger's books, and its id, so that a late repeat
-- is still a repeat. One that says nothing of money goes too, once its provider can no longer repeat it.
CREATE TABLE past (
  key               INTEGER PRIMARY KEY,
  salt              INTEGER NOT NULL,
  source            TEXT    NOT NULL,
  provider          TEXT    NOT NULL,
  provider_event_id TEXT    NOT NULL,
  type              TEXT    NOT NULL,
  state             TEXT    NOT NULL,
  received_at       INTEGER NOT NULL,
  occurred_at       INTEGER,
  payment_id        TEXT,
  kind              TEXT,
  object_id         TEXT,
  status            TEXT,
  detail            TEXT,
  major             INTEGER,
  minor             INTEGER,
  counts            INTEGER,
  amount            INTEGER,
  currency          TEXT,
  exponent          INTEGER,
  refunded          INTEGER,
  reference         TEXT,
  names             TEXT,
  sha256            BLOB    NOT NULL,
  size              INTEGER NOT NULL,
  taken_at          INTEGER NOT NULL,
  UNIQUE (source, provider_event_id)
) STRICT;

CREATE INDEX past_without_money ON past (key) WHERE kind IS NULL AND payment_id IS NULL;
CREATE INDEX past_of_payment ON past (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX past_of_refund ON past (object_id) WHERE kind = 'refund';

CREATE TRIGGER event_is_past BEFORE INSERT ON event
WHEN EXISTS (SELECT 1 FROM past WHERE source = NEW.source AND provider_event_id = NEW.provider_event_id)
BEGIN
  SELECT RAISE(IGNORE);
END;

-- Another id of an event, bound to its body: what repeats it is a duplicate, with another body a forgery.
CREATE TABLE alias (
  source TEXT    NOT NULL,
  name   TEXT    NOT NULL,
  event  INTEGER NOT NULL,
  sha256 BLOB    NOT NULL,
  PRIMARY KEY (source, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX alias_of_event ON alias (event);

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
  number        INTEGER PRIMARY KEY AUTOINCREMENT,  -- half of a delivery's identity: never reused
  name          TEXT    NOT NULL UNIQUE,
  url           TEXT    NOT NULL,
  state         TEXT    NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'disabled')),
  why           TEXT    CHECK (why IN ('operator', 'gone', 'failing', 'removed')),  -- of one that is not active
  managed_by    TEXT    NOT NULL CHECK (managed_by IN ('config', 'api')),
  settings      BLOB,                               -- of one that the API manages: what was asked for, sealed
  breaker       TEXT    NOT NULL DEFAULT 'closed' CHECK (breaker IN ('closed', 'open')),
  retry_at      INTEGER,                            -- of an open breaker: when the next probe may start
  trips         INTEGER NOT NULL DEFAULT 0,         -- how often it has opened since the endpoint was last well
  failing_since INTEGER,                            -- the first failure that no success has followed
  created_at    INTEGER NOT NULL,
  CHECK ((state = 'active') = (why IS NULL)),
  CHECK ((breaker = 'open') = (retry_at IS NOT NULL))
) STRICT;

-- What attempts are signed with where the configuration names no secret. Two while one is being replaced.
CREATE TABLE secret (
  endpoint   INTEGER NOT NULL REFERENCES endpoint,
  created_at INTEGER NOT NULL,
  expires_at INTEGER,            -- of one that was replaced
  sealed     BLOB    NOT NULL,   -- see store/seal.py
  PRIMARY KEY (endpoint, created_at)
) STRICT, WITHOUT ROWID;

-- The routing table: an event of this source whose type matches the pattern is owed to the endpoint.
CREATE TABLE route (
  source        TEXT    NOT NULL,  -- a source's name, or '*' for all but 'webhookd', which is what webhookd itself says
  is_glob       INTEGER NOT NULL CHECK (is_glob IN (0, 1)),
  pattern       TEXT    NOT NULL,
  endpoint      INTEGER NOT NULL REFERENCES endpoint ON DELETE CASCADE,
  first_wait_ms INTEGER NOT NULL,
  is_ordered    INTEGER NOT NULL CHECK (is_ordered IN (0, 1)),
  added_at      INTEGER NOT NULL,
  PRIMARY KEY (source, is_glob, pattern, endpoint)
) STRICT, WITHOUT ROWID;

CREATE INDEX route_endpoint ON route (endpoint);

-- Which endpoints ask for an event as the routing table stands, whatever it was when the event came.
CREATE VIEW wanted AS
  SELECT e.key AS event, r.endpoint AS endpoint
  FROM event AS e JOIN route AS r ON r.source IN (e.source, iif(e.source = 'webhookd', NULL, '*'))
    AND iif(r.is_glob, e.type GLOB r.pattern, e.type = r.pattern);

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
  priority    INTEGER NOT NULL DEFAULT 2 CHECK (priority IN (0, 1, 2)),  -- least first
  chain       TEXT,                        -- the payment whose deliveries go one at a time, where that is asked for
  held        INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),  -- an earlier one of its chain is pending
  PRIMARY KEY (event, endpoint),           -- what makes an event be owed once
  CHECK ((state = 'pending') = (due_at IS NOT NULL)),
  CHECK (held = 0 OR (chain IS NOT NULL AND state = 'pending'))
) STRICT, WITHOUT ROWID;

CREATE INDEX delivery_due ON delivery (endpoint, priority, due_at) WHERE state = 'pending' AND held = 0;
CREATE INDEX delivery_chain ON delivery (endpoint, chain, event, held) WHERE state = 'pending' AND chain IS NOT NULL;
CREATE INDEX delivery_dead ON delivery (endpoint, last_error, last_status) WHERE state = 'dead';
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

-- What an event is owed to: the routing table, with what the outbox keeps of it.
CREATE TRIGGER event_is_owed AFTER INSERT ON event WHEN NEW.state = 'accepted'
BEGIN
  INSERT INTO delivery (event, endpoint, due_at, created_at, priority, chain, held)
    SELECT NEW.key, r.endpoint, NEW.received_at + r.first_wait_ms, NEW.received_at, NEW.priority,
           iif(r.is_ordered, NEW.chain, NULL),
           r.is_ordered AND EXISTS (
             SELECT 1 FROM delivery AS d WHERE d.endpoint = r.endpoint AND d.state = 'pending' AND d.chain = NEW.chain)
    FROM (  -- joins, because IN (…) and UNION would each make a table of their own, for every event
      SELECT endpoint, first_wait_ms, is_ordered
        FROM (SELECT NEW.source AS its UNION ALL SELECT '*' WHERE NEW.source <> 'webhookd') CROSS JOIN route ON source = its
        WHERE is_glob = 0 AND pattern = NEW.type
      UNION ALL
      SELECT endpoint, first_wait_ms, is_ordered
        FROM (SELECT NEW.source AS its UNION ALL SELECT '*' WHERE NEW.source <> 'webhookd') CROSS JOIN route ON source = its
        WHERE is_glob = 1 AND NEW.type GLOB pattern
    ) AS r WHERE true
    ON CONFLICT (event, endpoint) DO NOTHING;  -- wanted for more than one reason
  UPDATE event SET state = 'unrouted'
    WHERE key = NEW.key AND NOT EXISTS (SELECT 1 FROM delivery WHERE event = NEW.key);
END;

-- What a person asked to have replayed, worked off from the log's beginning to `last_event`, some deliveries at a time.
CREATE TABLE replay (
  number         INTEGER PRIMARY KEY AUTOINCREMENT,
  selection      TEXT    NOT NULL,             -- JSON: what was asked for
  chosen         TEXT,                         -- JSON: [[event, endpoint], …] in order, where it was asked for by id
  per_s          REAL    CHECK (per_s > 0),    -- deliveries made due in a second; NULL: as fast as they are found
  state          TEXT    NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'cancelled')),
  next_event     INTEGER NOT NULL,             -- how far it is: all before this delivery has been looked at
  next_endpoint  INTEGER NOT NULL DEFAULT 0,
  last_event     INTEGER NOT NULL,
  total          INTEGER NOT NULL,             -- deliveries that were found when it was asked for
  total_is_exact INTEGER NOT NULL CHECK (total_is_exact IN (0, 1)),  -- 0: there were more
  replayed       INTEGER NOT NULL DEFAULT 0,   -- deliveries made due by it
  created_at     INTEGER NOT NULL,
  ended_at       INTEGER,
  CHECK ((state = 'running') = (ended_at IS NULL))
) STRICT;

CREATE INDEX replay_running ON replay (number) WHERE state = 'running';

-- What is settled and replayed is owed again, from the first wait of the schedule on; what was never owed to the endpoint
-- is from now on; what is pending anyway is due at once. In a chain it goes when what is pending of it has gone.
CREATE VIEW replayed AS SELECT event, endpoint, due_at FROM delivery;
CREATE TRIGGER delivery_is_replayed INSTEAD OF INSERT ON replayed
BEGIN
  UPDATE delivery SET due_at = min(due_at, NEW.due_at)
    WHERE event = NEW.event AND endpoint = NEW.endpoint AND state = 'pending';
  INSERT INTO delivery (event, endpoint, due_at, created_at, replay, priority, chain, held)
    SELECT NEW.event, NEW.endpoint, NEW.due_at, NEW.due_at, 1, e.priority, e.chain, EXISTS (
             SELECT 1 FROM delivery AS d WHERE d.endpoint = NEW.endpoint AND d.state = 'pending' AND d.chain = e.chain)
    FROM (SELECT priority, iif((SELECT max(is_ordered) FROM route WHERE endpoint = NEW.endpoint), chain, NULL) AS chain
          FROM event WHERE key = NEW.event) AS e
    WHERE true
  ON CONFLICT DO UPDATE SET state = 'pending', due_at = excluded.due_at, step = 1, replay = 1, settled_at = NULL,
                            chain = excluded.chain, held = excluded.held
    WHERE state <> 'pending';
  UPDATE event SET state = 'accepted' WHERE key = NEW.event AND state = 'unrouted';
END;

-- The next of a chain may go once the one that went is no longer pending: after success, and after it was given up, too.
CREATE TRIGGER chain_goes_on AFTER UPDATE OF state ON delivery
WHEN OLD.state = 'pending' AND OLD.held = 0 AND NEW.state <> 'pending' AND NEW.chain IS NOT NULL
BEGIN
  UPDATE delivery SET held = 0
    WHERE endpoint = NEW.endpoint AND held = 1 AND event = (
      SELECT min(event) FROM delivery WHERE endpoint = NEW.endpoint AND chain = NEW.chain AND state = 'pending');
END;

-- A delivery that was cancelled while under way stays cancelled, and one that was then replayed has all its attempts yet to
-- come, unless this one succeeded; the attempt is on record, and counted, all the same.
CREATE TRIGGER attempt_settles AFTER INSERT ON attempt
BEGIN
  UPDATE delivery
    SET state = NEW.state, due_at = NEW.due_at, step = NEW.step, attempts = NEW.number,
        held = iif(NEW.state = 'pending', held, 0),
        last_status = NEW.status, last_error = NEW.error,
        settled_at = CASE NEW.state WHEN 'pending' THEN NULL ELSE NEW.started_at + NEW.duration_ms END
    WHERE event = NEW.event AND endpoint = NEW.endpoint AND state = 'pending'
      AND (NEW.state = 'delivered' OR (replay <= NEW.replay AND step >= NEW.step - 1));
  UPDATE delivery SET attempts = NEW.number, last_status = NEW.status, last_error = NEW.error
    WHERE event = NEW.event AND endpoint = NEW.endpoint AND attempts < NEW.number;
END;

-- 410 Gone: the merchant wants no more of this until a person says otherwise.
CREATE TRIGGER gone_pauses AFTER INSERT ON attempt WHEN NEW.status = 410
BEGIN
  UPDATE endpoint SET state = 'paused', why = 'gone' WHERE number = NEW.endpoint AND state = 'active';
END;

-- Who may ask the API for what. The one in `admin.token` is not here: whoever can read that file owns the database.
CREATE TABLE token (
  number     INTEGER PRIMARY KEY AUTOINCREMENT,
  name       TEXT    NOT NULL UNIQUE,
  sha256     BLOB    NOT NULL UNIQUE CHECK (length(sha256) = 32),
  scope      TEXT    NOT NULL CHECK (scope IN ('publish', 'read', 'replay', 'admin')),
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  used_at    INTEGER             -- to the minute
) STRICT;

-- Who has logged in to the dashboard, by the hash of the cookie.
CREATE TABLE session (
  sha256     BLOB    PRIMARY KEY CHECK (length(sha256) = 32),
  token      BLOB    NOT NULL,   -- the hash of the token that was shown
  created_at INTEGER NOT NULL,
  seen_at    INTEGER NOT NULL    -- to the minute
) STRICT, WITHOUT ROWID;

-- What people changed: written in the transaction of the change, never changed itself.
CREATE TABLE audit (
  number  INTEGER PRIMARY KEY AUTOINCREMENT,
  at      INTEGER NOT NULL,
  actor   TEXT    NOT NULL,      -- a token's name, 'admin.token', or 'webhookd' for what it did of itself
  address TEXT,                  -- where the request came from
  action  TEXT    NOT NULL,      -- 'endpoint.pause', 'delivery.cancel', …
  subject TEXT,                  -- the name or id of what was changed
  detail  TEXT                   -- JSON: what was asked for, without secrets
) STRICT;

-- The ledger: every object the events speak of, as the fact with the highest standing has it. Whatever merges is the
-- greatest or the least of its kind, so that any order of the same events, some of them twice, makes the same ledger.
CREATE TABLE ledger (
  provider    TEXT    NOT NULL,
  kind        TEXT    NOT NULL CHECK (kind IN ('payment', 'refund', 'dispute', 'invoice', 'payment_link', 'order',
                                               'subscription', 'transfer', 'account', 'fund_account', 'downtime')),
  id          TEXT    NOT NULL,
  status      TEXT    NOT NULL,
  detail      TEXT,
  major       INTEGER NOT NULL,  -- -1: only heard of, by a refund or an order of it
  minor       INTEGER NOT NULL,
  tie         TEXT    NOT NULL,  -- the event's id at its source, and the source: two may tell one event differently
  occurred_at INTEGER,           -- of the fact that stands
  amount      INTEGER,
  currency    TEXT,
  exponent    INTEGER,
  payment_id  TEXT,              -- of a refund, a dispute, an order, …: its payment
  reference   TEXT,
  refunded    INTEGER,           -- of a payment: the most that was reported
  refunded_at INTEGER,           -- when that was first so
  counted_at  INTEGER,           -- since when it counts in the revenue, if it ever did
  first_event INTEGER NOT NULL,
  PRIMARY KEY (provider, kind, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_recent ON ledger (kind, first_event);
CREATE INDEX ledger_of_payment ON ledger (provider, payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX ledger_by_reference ON ledger (reference, kind) WHERE reference IS NOT NULL AND kind <> 'payment';
CREATE INDEX ledger_counted ON ledger (counted_at, kind, currency, exponent, amount) WHERE counted_at IS NOT NULL;
CREATE INDEX ledger_given_back ON ledger (counted_at, status, payment_id, currency, exponent, amount)
  WHERE kind = 'refund' AND status = 'succeeded' AND counted_at IS NOT NULL;
CREATE INDEX ledger_refunded ON ledger (refunded_at) WHERE refunded_at IS NOT NULL;

-- What a payment can be found by.
CREATE TABLE reference (
  name       TEXT NOT NULL,
  provider   TEXT NOT NULL,
  payment_id TEXT NOT NULL,
  PRIMARY KEY (name, provider, payment_id)
) STRICT, WITHOUT ROWID;

-- How a fact enters the ledger: the only place where two facts of one object meet.
CREATE VIEW fact AS SELECT * FROM ledger;
CREATE TRIGGER fact_stands INSTEAD OF INSERT ON fact
BEGIN
  INSERT INTO ledger (provider, kind, id, status, detail, major, minor, tie, occurred_at, amount, currency, exponent,
                      payment_id, reference, refunded, refunded_at, counted_at, first_event)
    VALUES (NEW.provider, NEW.kind, NEW.id, NEW.status, NEW.detail, NEW.major, NEW.minor, NEW.tie, NEW.occurred_at,
            NEW.amount, NEW.currency, NEW.exponent, NEW.payment_id, NEW.reference, NEW.refunded, NEW.refunded_at,
            NEW.counted_at, NEW.first_event)
  ON CONFLICT (provider, kind, id) DO UPDATE SET
    status      = iif((NEW.major, NEW.minor, NEW.tie) > (major, minor, tie), NEW.status, status),
    detail      = iif((NEW.major, NEW.minor, NEW.tie) > (major, minor, tie), NEW.detail, detail),
    occurred_at = iif((NEW.major, NEW.minor, NEW.tie) > (major, minor, tie), NEW.occurred_at, occurred_at),
    amount      = iif((NEW.major, NEW.minor, NEW.tie) > (major, minor, tie), NEW.amount, amount),
    currency    = iif((NEW.major, NEW.minor, NEW.tie) > (major, minor, tie), NEW.currency, currency),
    exponent    = iif((NEW.major, NEW.minor, NEW.tie) > (major, minor, tie), NEW.exponent, exponent),
    major       = iif((NEW.major, NEW.minor, NEW.tie) > (major, minor, tie), NEW.major, major),
    minor       = iif((NEW.major, NEW.minor, NEW.tie) > (major, minor, tie), NEW.minor, minor),
    tie         = iif((NEW.major, NEW.minor, NEW.tie) > (major, minor, tie), NEW.tie, tie),
    payment_id  = coalesce(max(payment_id, NEW.payment_id), payment_id, NEW.payment_id),
    reference   = coalesce(max(reference, NEW.reference), reference, NEW.reference),
    refunded    = coalesce(max(refunded, NEW.refunded), refunded, NEW.refunded),
    refunded_at = CASE WHEN NEW.refunded IS NULL OR refunded > NEW.refunded THEN refunded_at
                       WHEN refunded = NEW.refunded THEN min(refunded_at, NEW.refunded_at)
                       ELSE NEW.refunded_at END,
    counted_at  = coalesce(min(counted_at, NEW.counted_at), counted_at, NEW.counted_at),
    first_event = min(first_event, NEW.first_event);
END;

CREATE TRIGGER event_moves_ledger AFTER INSERT ON event WHEN NEW.kind IS NOT NULL
BEGIN
  INSERT INTO fact (provider, kind, id, status, detail, major, minor, tie, occurred_at, amount, currency, exponent,
                    payment_id, reference, refunded, refunded_at, counted_at, first_event)
    VALUES (NEW.provider, NEW.kind, NEW.object_id, NEW.status, NEW.detail, NEW.major, NEW.minor,
            NEW.provider_event_id || char(31) || NEW.source,
            NEW.occurred_at, NEW.amount, NEW.currency, NEW.exponent,
            iif(NEW.kind = 'payment', NULL, NEW.payment_id), NEW.reference,
            iif(NEW.kind = 'payment', NEW.refunded, NULL),
            iif(NEW.kind = 'payment' AND NEW.refunded > 0, coalesce(NEW.occurred_at, NEW.received_at), NULL),
            iif(NEW.counts, coalesce(NEW.occurred_at, NEW.received_at), NULL), NEW.key);
END;

-- A refund, a dispute or an order may come before its payment: then the payment is there, and pending.
CREATE TRIGGER event_names_payment AFTER INSERT ON event WHEN NEW.kind <> 'payment' AND NEW.payment_id IS NOT NULL
BEGIN
  INSERT INTO fact (provider, kind, id, status, major, minor, tie, currency, exponent, refunded, refunded_at, first_event)
    VALUES (NEW.provider, 'payment', NEW.payment_id, 'pending', -1, 0,
            NEW.provider_event_id || char(31) || NEW.source, NEW.currency, NEW.exponent, NEW.refunded,
            iif(NEW.refunded > 0, coalesce(NEW.occurred_at, NEW.received_at), NULL), NEW.key);
END;

CREATE TRIGGER event_gives_references AFTER INSERT ON event WHEN NEW.names IS NOT NULL AND NEW.payment_id IS NOT NULL
BEGIN
  INSERT OR IGNORE INTO reference (name, provider, payment_id)
    SELECT value, NEW.provider, NEW.payment_id FROM json_each(NEW.names);
END;

-- A payment with what was refunded of it: the greater of what is reported and of the sum of its refunds, for either may
-- be told without the other. What is reported may have refunds in it that are under way; one that failed is taken back.
CREATE VIEW payment AS
  SELECT provider, id, amount, currency, exponent, reference, first_event, counted_at, refunded_at, detail,
         coalesce(counted_at, occurred_at) AS occurred_at,
         max(reported, itemised) AS refunded, max(0, reported - itemised) AS unitemised,
         CASE WHEN max(reported, itemised) <= 0 OR status NOT IN ('authorized', 'captured', 'partially_refunded')
                THEN status
              WHEN max(reported, itemised) >= amount THEN 'refunded'
              ELSE 'partially_refunded' END AS status
  FROM (
    SELECT p.*,
           (SELECT coalesce(sum(r.amount), 0) FROM ledger AS r
            WHERE r.provider = p.provider AND r.payment_id = p.id AND r.kind = 'refund' AND r.status = 'succeeded'
              AND r.currency IS p.currency) AS itemised,
           coalesce(p.refunded, 0) -
           (SELECT coalesce(sum(r.amount), 0) FROM ledger AS r
            WHERE r.provider = p.provider AND r.payment_id = p.id AND r.kind = 'refund'
              AND r.status IN ('failed', 'cancelled') AND r.currency IS p.currency
              -- What was reported after it had failed is without it.
              AND coalesce(r.occurred_at, 9223372036854775807) >= coalesce(p.refunded_at, 0)) AS reported
    FROM ledger AS p WHERE p.kind = 'payment'
  );
CREATE VIEW refund AS SELECT * FROM ledger WHERE kind = 'refund';
CREATE VIEW dispute AS SELECT * FROM ledger WHERE kind = 'dispute';
CREATE VIEW invoice AS SELECT * FROM ledger WHERE kind = 'invoice';
CREATE VIEW payment_link AS SELECT * FROM ledger WHERE kind = 'payment_link';
CREATE VIEW "order" AS SELECT * FROM ledger WHERE kind = 'order';
CREATE VIEW subscription AS SELECT * FROM ledger WHERE kind = 'subscription';
CREATE VIEW transfer AS SELECT * FROM ledger WHERE kind = 'transfer';
CREATE VIEW account AS SELECT * FROM ledger WHERE kind = 'account';
CREATE VIEW fund_account AS SELECT * FROM ledger WHERE kind = 'fund_account';
CREATE VIEW downtime AS SELECT * FROM ledger WHERE kind = 'downtime';

-- What each minute of the last day was like, for the dashboard's charts. Minutes in which nothing happened are not here.
CREATE TABLE minute (
  number          INTEGER PRIMARY KEY,  -- since 1970
  accepted        INTEGER NOT NULL,     -- events that were new
  duplicates      INTEGER NOT NULL,
  refused         INTEGER NOT NULL,     -- hooks that were not taken
  delivered       INTEGER NOT NULL,
  failed          INTEGER NOT NULL,     -- attempts
  died            INTEGER NOT NULL,     -- deliveries that were given up
  backlog         INTEGER NOT NULL,     -- deliveries pending, at its end
  ack_p50_ms      REAL,                 -- from hook to 200
  ack_p99_ms      REAL,
  delivery_p50_ms REAL,                 -- from hook to delivered
  delivery_p99_ms REAL
) STRICT;
