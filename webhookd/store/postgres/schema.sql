-- webhookd's event log, outbox, delivery history and ledger, in PostgreSQL 15 and later.
--
-- What `schema.sql` of SQLite promises holds here, too: a row of `event` brings its rows of `delivery` with it and moves
-- the ledger, by trigger, in the same transaction; a row of `attempt` moves its delivery. But here many write at a time:
-- triggers work on all rows of a statement, and whatever two transactions may both lock they lock in the same order.
-- Text is compared byte by byte. Times are Unix milliseconds, amounts whole numbers of the smallest unit.

CREATE TABLE webhookd (  -- one row: whose tables these are
  schema_version integer NOT NULL
);

-- Which ids are known: what makes an event be in the log once, wherever its partition is, and when it is past, too.
CREATE TABLE identity (
  source            text   COLLATE "C" NOT NULL,
  provider_event_id text   COLLATE "C" NOT NULL,
  key               bigint NOT NULL,
  salt              bigint NOT NULL,
  sha256            bytea  NOT NULL,
  PRIMARY KEY (source, provider_event_id)
);
CREATE INDEX identity_of_event ON identity (key);

CREATE TABLE event (
  key               bigint   PRIMARY KEY,  -- milliseconds << 21 | counter: ascending is log order
  salt              bigint   NOT NULL,
  source            text     COLLATE "C" NOT NULL,
  provider          text     COLLATE "C" NOT NULL,
  provider_event_id text     COLLATE "C" NOT NULL,
  type              text     COLLATE "C" NOT NULL,
  state             text     COLLATE "C" NOT NULL CHECK (state IN ('accepted', 'unrouted', 'quarantined')),
  received_at       bigint   NOT NULL,
  occurred_at       bigint,
  payment_id        text     COLLATE "C",
  kind              text     COLLATE "C",
  object_id         text     COLLATE "C",
  status            text     COLLATE "C",
  detail            text     COLLATE "C",
  major             bigint,
  minor             bigint,
  counts            smallint,
  amount            bigint,
  currency          text     COLLATE "C",
  exponent          bigint,
  refunded          bigint,
  reference         text     COLLATE "C",
  names             text     COLLATE "C",
  headers           text     NOT NULL,
  sha256            bytea    NOT NULL CHECK (length(sha256) = 32),
  size              bigint   NOT NULL,
  body              bytea,
  trace             text,
  priority          smallint NOT NULL GENERATED ALWAYS AS (
    CASE WHEN kind IN ('dispute', 'downtime') THEN 0 WHEN kind IN ('account', 'fund_account') THEN 1 ELSE 2 END) STORED,
  chain             text     COLLATE "C" GENERATED ALWAYS AS (provider || ' ' || payment_id) STORED
) PARTITION BY RANGE (key);
CREATE TABLE event_of_no_week PARTITION OF event DEFAULT;  -- of a clock that is far off, or before the weeks were made

CREATE INDEX event_odd ON event (state, key) WHERE state <> 'accepted';
CREATE INDEX event_of_payment ON event (payment_id, key) WHERE payment_id IS NOT NULL;
CREATE INDEX event_of_object ON event (object_id, key) WHERE kind <> 'payment';

-- What stays of an event that retention takes. It is written down before the event goes, and is past once that is gone.
CREATE TABLE line (
  key               bigint PRIMARY KEY,
  salt              bigint NOT NULL,
  source            text   COLLATE "C" NOT NULL,
  provider          text   COLLATE "C" NOT NULL,
  provider_event_id text   COLLATE "C" NOT NULL,
  type              text   COLLATE "C" NOT NULL,
  state             text   COLLATE "C" NOT NULL,
  received_at       bigint NOT NULL,
  occurred_at       bigint,
  payment_id        text   COLLATE "C",
  kind              text   COLLATE "C",
  object_id         text   COLLATE "C",
  status            text   COLLATE "C",
  detail            text   COLLATE "C",
  major             bigint,
  minor             bigint,
  counts            smallint,
  amount            bigint,
  currency          text   COLLATE "C",
  exponent          bigint,
  refunded          bigint,
  reference         text   COLLATE "C",
  names             text   COLLATE "C",
  sha256            bytea  NOT NULL,
  size              bigint NOT NULL,
  taken_at          bigint NOT NULL
);
CREATE INDEX line_without_money ON line (key) WHERE kind IS NULL AND payment_id IS NULL;
CREATE INDEX line_of_payment ON line (payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX line_of_refund ON line (object_id) WHERE kind = 'refund';
CREATE VIEW past AS SELECT * FROM line WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.key = line.key);

CREATE TABLE alias (
  source text   COLLATE "C" NOT NULL,
  name   text   COLLATE "C" NOT NULL,
  event  bigint NOT NULL,
  sha256 bytea  NOT NULL,
  PRIMARY KEY (source, name)
);
CREATE INDEX alias_of_event ON alias (event);

CREATE TABLE conflict (
  event    bigint NOT NULL,
  sha256   bytea  NOT NULL,
  first_at bigint NOT NULL,
  last_at  bigint NOT NULL,
  times    bigint NOT NULL DEFAULT 1,
  PRIMARY KEY (event, sha256)
);

CREATE TABLE endpoint (
  number        bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name          text     COLLATE "C" NOT NULL UNIQUE,
  url           text     NOT NULL,
  state         text     COLLATE "C" NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'disabled')),
  why           text     COLLATE "C" CHECK (why IN ('operator', 'gone', 'failing', 'removed')),
  managed_by    text     COLLATE "C" NOT NULL CHECK (managed_by IN ('config', 'api')),
  settings      bytea,
  breaker       text     COLLATE "C" NOT NULL DEFAULT 'closed' CHECK (breaker IN ('closed', 'open')),
  retry_at      bigint,
  trips         bigint   NOT NULL DEFAULT 0,
  failing_since bigint,
  created_at    bigint   NOT NULL,
  CHECK ((state = 'active') = (why IS NULL)),
  CHECK ((breaker = 'open') = (retry_at IS NOT NULL))
);

-- The processes that share the log, each for as long as it says so. Times of this table are the server's.
CREATE TABLE node (
  number      bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name        text    NOT NULL,
  version     text    NOT NULL,
  role        text    COLLATE "C" NOT NULL CHECK (role IN ('all', 'receive', 'dispatch')),
  slot        integer NOT NULL UNIQUE CHECK (slot BETWEEN 0 AND 63),  -- keys of its events are no other node's
  started_at  bigint  NOT NULL,
  seen_at     bigint  NOT NULL,
  lease_until bigint  NOT NULL
);

-- Which node delivers to an endpoint. The fence grows whenever another takes it: an attempt that began under an earlier
-- one is not recorded any more.
CREATE TABLE claim (
  endpoint bigint PRIMARY KEY REFERENCES endpoint,
  node     bigint REFERENCES node ON DELETE SET NULL,
  fence    bigint NOT NULL DEFAULT 0
);
CREATE INDEX claim_of_node ON claim (node);

CREATE FUNCTION endpoint_can_be_claimed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO claim (endpoint) VALUES (NEW.number);
  RETURN NULL;
END $$;
CREATE TRIGGER endpoint_can_be_claimed AFTER INSERT ON endpoint
  FOR EACH ROW EXECUTE FUNCTION endpoint_can_be_claimed();

CREATE FUNCTION server_ms() RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT floor(extract(epoch FROM statement_timestamp()) * 1000)::bigint
$$;

-- The last change that each process has had committed, by a number of its own: so it knows, when the connection is lost
-- during COMMIT. The number of the transaction would not do: a server that crashes gives one that it had not written down
-- to another transaction.
CREATE TABLE change (
  process bigint PRIMARY KEY,
  number  bigint NOT NULL,
  at      bigint NOT NULL
);

CREATE TABLE secret (
  endpoint   bigint NOT NULL REFERENCES endpoint,
  created_at bigint NOT NULL,
  expires_at bigint,
  sealed     bytea  NOT NULL,
  PRIMARY KEY (endpoint, created_at)
);

CREATE TABLE route (
  source        text     COLLATE "C" NOT NULL,
  is_glob       smallint NOT NULL CHECK (is_glob IN (0, 1)),
  pattern       text     COLLATE "C" NOT NULL,
  endpoint      bigint   NOT NULL REFERENCES endpoint ON DELETE CASCADE,
  first_wait_ms bigint   NOT NULL,
  is_ordered    smallint NOT NULL CHECK (is_ordered IN (0, 1)),
  added_at      bigint   NOT NULL,
  PRIMARY KEY (source, is_glob, pattern, endpoint)
);
CREATE INDEX route_endpoint ON route (endpoint);

-- As GLOB has it, of `*` and `?`.
CREATE FUNCTION glob(pattern text, subject text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT subject LIKE translate(
    replace(replace(replace(pattern, '\', '\\'), '%', '\%'), '_', '\_'), '*?', '%_')
$$;

-- The numbers of a list in JSON, and its pairs.
CREATE FUNCTION listed(list text) RETURNS SETOF bigint LANGUAGE sql IMMUTABLE STRICT ROWS 100 AS $$
  SELECT value::bigint FROM json_array_elements_text(list::json)
$$;
CREATE FUNCTION listed_pairs(list text) RETURNS TABLE (event bigint, endpoint bigint) LANGUAGE sql IMMUTABLE STRICT ROWS 100
AS $$
  SELECT (value ->> 0)::bigint, (value ->> 1)::bigint FROM json_array_elements(list::json)
$$;

CREATE VIEW wanted AS
  SELECT e.key AS event, r.endpoint AS endpoint
  FROM event AS e JOIN route AS r ON r.source = e.source OR (r.source = '*' AND e.source <> 'webhookd')
  WHERE CASE r.is_glob WHEN 1 THEN glob(r.pattern, e.type) ELSE e.type = r.pattern END;

-- The outbox.
CREATE TABLE delivery (
  event       bigint   NOT NULL,
  endpoint    bigint   NOT NULL,
  state       text     COLLATE "C" NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead', 'cancelled')),
  due_at      bigint,
  attempts    bigint   NOT NULL DEFAULT 0,
  step        bigint   NOT NULL DEFAULT 1,
  replay      smallint NOT NULL DEFAULT 0 CHECK (replay IN (0, 1)),
  last_status bigint,
  last_error  text     COLLATE "C",
  created_at  bigint   NOT NULL,
  settled_at  bigint,
  priority    smallint NOT NULL DEFAULT 2 CHECK (priority IN (0, 1, 2)),
  chain       text     COLLATE "C",
  held        smallint NOT NULL DEFAULT 0 CHECK (held IN (0, 1)),
  PRIMARY KEY (event, endpoint),
  CHECK ((state = 'pending') = (due_at IS NOT NULL)),
  CHECK (held = 0 OR (chain IS NOT NULL AND state = 'pending'))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX delivery_due ON delivery (endpoint, priority, due_at, event) WHERE state = 'pending' AND held = 0;
CREATE INDEX delivery_chain ON delivery (endpoint, chain, event) WHERE state = 'pending' AND chain IS NOT NULL;
CREATE INDEX delivery_dead ON delivery (endpoint, coalesce(last_error, ''), coalesce(last_status, -1), event)
  WHERE state = 'dead';
CREATE INDEX delivery_given_up ON delivery (state, event, endpoint) WHERE state IN ('dead', 'cancelled');

CREATE TABLE attempt (
  event       bigint   NOT NULL,
  endpoint    bigint   NOT NULL,
  number      bigint   NOT NULL,
  started_at  bigint   NOT NULL,
  duration_ms bigint   NOT NULL,
  status      bigint,
  error       text     COLLATE "C",
  response    bytea    NOT NULL,
  replay      smallint NOT NULL,
  state       text     COLLATE "C" NOT NULL,
  due_at      bigint,
  step        bigint   NOT NULL,
  PRIMARY KEY (event, endpoint, number),
  FOREIGN KEY (event, endpoint) REFERENCES delivery
) PARTITION BY RANGE (event);
CREATE TABLE attempt_of_no_week PARTITION OF attempt DEFAULT;

-- Who counts the ledger again holds this together with others, and who forgets events alone.
CREATE FUNCTION counting_lock() RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT hashtextextended(current_schema() || ' counting', 0)
$$;

-- Who writes rows holds this together with others, who changes anything else alone.
CREATE FUNCTION log_lock() RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT hashtextextended(current_schema() || ' log', 0)
$$;

-- Who writes of a chain waits for whoever does so already: what one has not committed yet the other would not see.
CREATE FUNCTION chain_lock(endpoint bigint, chain text) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT hashtextextended(current_schema() || ' ' || endpoint || ' ' || chain, 0)
$$;

CREATE FUNCTION event_is_owed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(lock) FROM (
    SELECT DISTINCT chain_lock(r.endpoint, e.chain) AS lock
    FROM arrived AS e JOIN route AS r ON r.is_ordered = 1 AND (r.source = e.source OR (r.source = '*' AND e.source <> 'webhookd'))
    WHERE e.state = 'accepted' AND e.chain IS NOT NULL ORDER BY 1) AS locks;
  INSERT INTO delivery (event, endpoint, due_at, created_at, priority, chain, held)
    SELECT key, endpoint, received_at + first_wait_ms, received_at, priority, chain,
           CASE WHEN chain IS NULL THEN 0
                WHEN row_number() OVER (PARTITION BY endpoint, chain ORDER BY key) > 1 THEN 1
                WHEN EXISTS (SELECT 1 FROM delivery AS d
                             WHERE d.endpoint = owed.endpoint AND d.state = 'pending' AND d.chain = owed.chain) THEN 1
                ELSE 0 END
    FROM (
      SELECT DISTINCT ON (e.key, r.endpoint) e.key, r.endpoint, e.received_at, r.first_wait_ms, e.priority,
             CASE WHEN r.is_ordered = 1 THEN e.chain END AS chain
      FROM arrived AS e JOIN route AS r ON (r.source = e.source OR (r.source = '*' AND e.source <> 'webhookd'))
        AND CASE r.is_glob WHEN 1 THEN glob(r.pattern, e.type) ELSE e.type = r.pattern END
      WHERE e.state = 'accepted'
    ) AS owed;
  RETURN NULL;
END $$;
CREATE TRIGGER event_is_owed AFTER INSERT ON event REFERENCING NEW TABLE AS arrived
  FOR EACH STATEMENT EXECUTE FUNCTION event_is_owed();

CREATE TABLE replay (
  number         bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  selection      text     NOT NULL,
  chosen         text,
  per_s          double precision CHECK (per_s > 0),
  state          text     COLLATE "C" NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'cancelled')),
  next_event     bigint   NOT NULL,
  next_endpoint  bigint   NOT NULL DEFAULT 0,
  last_event     bigint   NOT NULL,
  total          bigint   NOT NULL,
  total_is_exact smallint NOT NULL CHECK (total_is_exact IN (0, 1)),
  replayed       bigint   NOT NULL DEFAULT 0,
  created_at     bigint   NOT NULL,
  ended_at       bigint,
  CHECK ((state = 'running') = (ended_at IS NULL))
);
CREATE INDEX replay_running ON replay (number) WHERE state = 'running';

CREATE VIEW replayed AS SELECT event, endpoint, due_at FROM delivery;
CREATE FUNCTION delivery_is_replayed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE leaving SET state = 'stays' WHERE week = week_of(NEW.event) AND state = 'going';
  UPDATE delivery SET due_at = least(due_at, NEW.due_at)
    WHERE event = NEW.event AND endpoint = NEW.endpoint AND state = 'pending';
  INSERT INTO delivery AS owed (event, endpoint, due_at, created_at, replay, priority, chain, held)
    SELECT NEW.event, NEW.endpoint, NEW.due_at, NEW.due_at, 1, e.priority, e.chain, (EXISTS (
             SELECT 1 FROM delivery AS d
             WHERE d.endpoint = NEW.endpoint AND d.state = 'pending' AND d.chain = e.chain))::integer
    FROM (SELECT priority, CASE WHEN (SELECT max(is_ordered) FROM route WHERE endpoint = NEW.endpoint) = 1
                                THEN chain END AS chain
          FROM event WHERE key = NEW.event) AS e
  ON CONFLICT (event, endpoint) DO UPDATE
    SET state = 'pending', due_at = excluded.due_at, step = 1, replay = 1, settled_at = NULL,
        chain = excluded.chain, held = excluded.held
    WHERE owed.state <> 'pending';
  UPDATE event SET state = 'accepted' WHERE key = NEW.event AND state = 'unrouted';
  RETURN NEW;
END $$;
CREATE TRIGGER delivery_is_replayed INSTEAD OF INSERT ON replayed
  FOR EACH ROW EXECUTE FUNCTION delivery_is_replayed();

CREATE FUNCTION chain_goes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE delivery SET held = 0
    WHERE endpoint = NEW.endpoint AND held = 1 AND event = (
      SELECT min(event) FROM delivery WHERE endpoint = NEW.endpoint AND chain = NEW.chain AND state = 'pending');
  RETURN NULL;
END $$;
CREATE TRIGGER chain_goes_on AFTER UPDATE OF state ON delivery FOR EACH ROW
  WHEN (OLD.state = 'pending' AND OLD.held = 0 AND NEW.state <> 'pending' AND NEW.chain IS NOT NULL)
  EXECUTE FUNCTION chain_goes_on();

-- Deliveries are found by their index, whatever is known of the table's size: a plan is kept, and may be of when it was empty.
CREATE FUNCTION attempt_settles() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  turn bigint := 1;  -- more than one where a statement holds two attempts of one delivery
BEGIN
  PERFORM pg_advisory_xact_lock(lock) FROM (
    SELECT DISTINCT chain_lock(d.endpoint, d.chain) AS lock
    FROM made AS a JOIN delivery AS d USING (event, endpoint) WHERE d.chain IS NOT NULL ORDER BY 1) AS locks;
  PERFORM 1 FROM delivery AS d JOIN made AS a USING (event, endpoint) ORDER BY d.event, d.endpoint FOR UPDATE OF d;
  LOOP
    UPDATE delivery AS d
      SET attempts = greatest(d.attempts, a.number),
          last_status = CASE WHEN a.moves OR d.attempts < a.number THEN a.status ELSE d.last_status END,
          last_error = CASE WHEN a.moves OR d.attempts < a.number THEN a.error ELSE d.last_error END,
          state = CASE WHEN a.moves THEN a.state ELSE d.state END,
          due_at = CASE WHEN a.moves THEN a.due_at ELSE d.due_at END,
          step = CASE WHEN a.moves THEN a.step ELSE d.step END,
          held = CASE WHEN a.moves AND a.state <> 'pending' THEN 0 ELSE d.held END,
          settled_at = CASE WHEN NOT a.moves THEN d.settled_at
                            WHEN a.state = 'pending' THEN NULL ELSE a.started_at + a.duration_ms END
      FROM (
        SELECT m.*, o.state = 'pending'
                      AND (m.state = 'delivered' OR (o.replay <= m.replay AND o.step >= m.step - 1)) AS moves
        FROM (SELECT *, row_number() OVER (PARTITION BY event, endpoint ORDER BY number) AS nth FROM made) AS m
          JOIN delivery AS o USING (event, endpoint)
        WHERE m.nth = turn
      ) AS a
      WHERE d.event = a.event AND d.endpoint = a.endpoint AND (a.moves OR d.attempts < a.number);
    turn := turn + 1;
    EXIT WHEN NOT EXISTS (SELECT 1 FROM made GROUP BY event, endpoint HAVING count(*) >= turn);
  END LOOP;
  IF EXISTS (SELECT 1 FROM made WHERE status = 410) THEN
    UPDATE endpoint SET state = 'paused', why = 'gone'
      WHERE state = 'active' AND number IN (SELECT endpoint FROM made WHERE status = 410);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER attempt_settles AFTER INSERT ON attempt REFERENCING NEW TABLE AS made
  FOR EACH STATEMENT EXECUTE FUNCTION attempt_settles();

CREATE TABLE token (
  number     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name       text   COLLATE "C" NOT NULL UNIQUE,
  sha256     bytea  NOT NULL UNIQUE CHECK (length(sha256) = 32),
  scope      text   COLLATE "C" NOT NULL CHECK (scope IN ('publish', 'read', 'replay', 'admin')),
  created_at bigint NOT NULL,
  expires_at bigint,
  used_at    bigint
);

CREATE TABLE session (
  sha256     bytea  PRIMARY KEY CHECK (length(sha256) = 32),
  token      bytea  NOT NULL,
  created_at bigint NOT NULL,
  seen_at    bigint NOT NULL
);

CREATE TABLE audit (
  number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at      bigint NOT NULL,
  actor   text   COLLATE "C" NOT NULL,
  address text,
  action  text   COLLATE "C" NOT NULL,
  subject text   COLLATE "C",
  detail  text
);

CREATE TABLE ledger (
  provider    text   COLLATE "C" NOT NULL,
  kind        text   COLLATE "C" NOT NULL CHECK (kind IN (
    'payment', 'refund', 'dispute', 'invoice', 'payment_link', 'order',
    'subscription', 'transfer', 'account', 'fund_account', 'downtime')),
  id          text   COLLATE "C" NOT NULL,
  status      text   COLLATE "C" NOT NULL,
  detail      text   COLLATE "C",
  major       bigint NOT NULL,
  minor       bigint NOT NULL,
  tie         text   COLLATE "C" NOT NULL,
  occurred_at bigint,
  amount      bigint,
  currency    text   COLLATE "C",
  exponent    bigint,
  payment_id  text   COLLATE "C",
  reference   text   COLLATE "C",
  refunded    bigint,
  refunded_at bigint,
  counted_at  bigint,
  first_event bigint NOT NULL,
  PRIMARY KEY (provider, kind, id)
);
CREATE INDEX ledger_recent ON ledger (kind, first_event);
CREATE INDEX ledger_of_payment ON ledger (provider, payment_id) WHERE payment_id IS NOT NULL;
CREATE INDEX ledger_by_reference ON ledger (reference, kind) WHERE reference IS NOT NULL AND kind <> 'payment';
CREATE INDEX ledger_counted ON ledger (counted_at, kind) INCLUDE (currency, exponent, amount) WHERE counted_at IS NOT NULL;
CREATE INDEX ledger_refunded ON ledger (refunded_at) WHERE refunded_at IS NOT NULL;

CREATE TABLE reference (
  name       text COLLATE "C" NOT NULL,
  provider   text COLLATE "C" NOT NULL,
  payment_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (name, provider, payment_id)
);

-- How facts enter the ledger: the only place where two facts of one object meet. Of several of one object in a statement
-- each has its turn; all that the later turns touch the first has locked, in order.
CREATE FUNCTION event_moves_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  facts   bigint := (SELECT count(kind) + count(*) FILTER (WHERE kind <> 'payment' AND payment_id IS NOT NULL) FROM arrived);
  entered bigint;
  this    bigint := 1;
BEGIN
  WHILE facts > 0 LOOP
    INSERT INTO ledger AS l (provider, kind, id, status, detail, major, minor, tie, occurred_at, amount, currency,
                             exponent, payment_id, reference, refunded, refunded_at, counted_at, first_event)
      SELECT provider, kind, id, status, detail, major, minor, tie, occurred_at, amount, currency,
             exponent, payment_id, reference, refunded, refunded_at, counted_at, key
      FROM (
        SELECT *, row_number() OVER (PARTITION BY provider, kind, id ORDER BY key, major) AS turn FROM (
          SELECT provider, kind, object_id AS id, status, detail, major, minor,
                 provider_event_id || chr(31) || source AS tie, occurred_at, amount, currency, exponent,
                 CASE WHEN kind <> 'payment' THEN payment_id END AS payment_id, reference,
                 CASE WHEN kind = 'payment' THEN refunded END AS refunded,
                 CASE WHEN kind = 'payment' AND refunded > 0 THEN coalesce(occurred_at, received_at) END AS refunded_at,
                 CASE WHEN counts = 1 THEN coalesce(occurred_at, received_at) END AS counted_at, key
          FROM arrived WHERE kind IS NOT NULL
          UNION ALL  -- a refund, a dispute or an order may come before its payment: then the payment is there, and pending
          SELECT provider, 'payment', payment_id, 'pending', NULL, -1, 0, provider_event_id || chr(31) || source,
                 NULL, NULL, currency, exponent, NULL, NULL, refunded,
                 CASE WHEN refunded > 0 THEN coalesce(occurred_at, received_at) END, NULL, key
          FROM arrived WHERE kind <> 'payment' AND payment_id IS NOT NULL
        ) AS facts
      ) AS turns
      WHERE turn = this ORDER BY provider, kind, id
    ON CONFLICT (provider, kind, id) DO UPDATE SET
      (status, detail, occurred_at, amount, currency, exponent, major, minor, tie) = (
        SELECT f.status, f.detail, f.occurred_at, f.amount, f.currency, f.exponent, f.major, f.minor, f.tie
        FROM (VALUES
          (excluded.status, excluded.detail, excluded.occurred_at, excluded.amount, excluded.currency,
           excluded.exponent, excluded.major, excluded.minor, excluded.tie),
          (l.status, l.detail, l.occurred_at, l.amount, l.currency, l.exponent, l.major, l.minor, l.tie)
        ) AS f (status, detail, occurred_at, amount, currency, exponent, major, minor, tie)
        ORDER BY f.major DESC, f.minor DESC, f.tie DESC LIMIT 1),
      payment_id  = greatest(l.payment_id, excluded.payment_id),
      reference   = greatest(l.reference, excluded.reference),
      refunded    = greatest(l.refunded, excluded.refunded),
      refunded_at = CASE WHEN excluded.refunded IS NULL OR l.refunded > excluded.refunded THEN l.refunded_at
                         WHEN l.refunded = excluded.refunded THEN least(l.refunded_at, excluded.refunded_at)
                         ELSE excluded.refunded_at END,
      counted_at  = least(l.counted_at, excluded.counted_at),
      first_event = least(l.first_event, excluded.first_event);
    GET DIAGNOSTICS entered = ROW_COUNT;
    EXIT WHEN entered = 0;  -- each turn has one: it must not go on for ever whatever was counted
    facts := facts - entered;
    this := this + 1;
  END LOOP;
  INSERT INTO reference (name, provider, payment_id)
    SELECT DISTINCT name, provider, payment_id
    FROM arrived, json_array_elements_text(names::json) AS name
    WHERE names IS NOT NULL AND payment_id IS NOT NULL ORDER BY name, provider, payment_id
    ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER event_moves_ledger AFTER INSERT ON event REFERENCING NEW TABLE AS arrived
  FOR EACH STATEMENT EXECUTE FUNCTION event_moves_ledger();

CREATE VIEW payment AS
  SELECT provider, id, amount, currency, exponent, reference, first_event, counted_at, refunded_at, detail,
         coalesce(counted_at, occurred_at) AS occurred_at,
         least(greatest(reported, itemised), 9223372036854775807)::bigint AS refunded,
         least(greatest(0, reported - itemised), 9223372036854775807)::bigint AS unitemised,
         CASE WHEN greatest(reported, itemised) <= 0 OR status NOT IN ('authorized', 'captured', 'partially_refunded')
                THEN status
              WHEN greatest(reported, itemised) >= amount THEN 'refunded'
              ELSE 'partially_refunded' END AS status
  FROM (
    SELECT p.*,
           (SELECT coalesce(sum(r.amount), 0) FROM ledger AS r
            WHERE r.provider = p.provider AND r.payment_id = p.id AND r.kind = 'refund' AND r.status = 'succeeded'
              AND r.currency IS NOT DISTINCT FROM p.currency) AS itemised,
           coalesce(p.refunded, 0) -
           (SELECT coalesce(sum(r.amount), 0) FROM ledger AS r
            WHERE r.provider = p.provider AND r.payment_id = p.id AND r.kind = 'refund'
              AND r.status IN ('failed', 'cancelled') AND r.currency IS NOT DISTINCT FROM p.currency
              AND coalesce(r.occurred_at, 9223372036854775807) >= coalesce(p.refunded_at, 0)) AS reported
    FROM ledger AS p WHERE p.kind = 'payment'
  ) AS p;

-- The keys and salts of events that spoke of a payment, and of another object: the first hundred, in JSON.
CREATE FUNCTION events_of_payment(its_provider text, its_id text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(json_agg(json_build_array(key, salt)), '[]')::text FROM (
    SELECT key, salt FROM event WHERE payment_id = its_id AND provider = its_provider ORDER BY key LIMIT 100) AS its
$$;
CREATE FUNCTION events_of_object(its_provider text, its_kind text, its_id text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(json_agg(json_build_array(key, salt)), '[]')::text FROM (
    SELECT key, salt FROM event
    WHERE object_id = its_id AND kind <> 'payment' AND kind = its_kind AND provider = its_provider
    ORDER BY key LIMIT 100) AS its
$$;

CREATE TABLE minute (
  number          bigint PRIMARY KEY,
  accepted        bigint NOT NULL,
  duplicates      bigint NOT NULL,
  refused         bigint NOT NULL,
  delivered       bigint NOT NULL,
  failed          bigint NOT NULL,
  died            bigint NOT NULL,
  backlog         bigint NOT NULL,
  ack_p50_ms      double precision,
  ack_p99_ms      double precision,
  delivery_p50_ms double precision,
  delivery_p99_ms double precision
);

-- Rows as they are written, many at a time: what is there is passed over, and whoever adds the same waits for it in the same
-- order. In PL/pgSQL, which keeps its plans; a function in SQL is planned in each transaction anew.
CREATE TYPE new_alias AS (source text, name text, event bigint, sha256 bytea);
CREATE TYPE new_event AS (
  key bigint, salt bigint, source text, provider text, provider_event_id text, type text, state text, received_at bigint,
  occurred_at bigint, payment_id text, kind text, object_id text, status text, detail text, major bigint, minor bigint,
  counts smallint, amount bigint, currency text, exponent bigint, refunded bigint, reference text, names text, headers text,
  sha256 bytea, size bigint, body bytea, trace text
);
CREATE TYPE new_attempt AS (
  event bigint, endpoint bigint, number bigint, started_at bigint, duration_ms bigint, status bigint, error text,
  response bytea, replay smallint, state text, due_at bigint, step bigint, fence bigint
);

-- Those that are not bound; the keys of their events.
CREATE FUNCTION add_aliases(given new_alias[], OUT keys bigint[]) LANGUAGE plpgsql AS $$
BEGIN
  WITH added AS (
    INSERT INTO alias (source, name, event, sha256)
      SELECT source, name, event, sha256 FROM unnest(given) ORDER BY source, name, event
    ON CONFLICT DO NOTHING RETURNING event)
  SELECT coalesce(array_agg(event), '{}') INTO keys FROM added;
END $$;

-- Those whose ids are not known; their keys. An event that nobody wants is unrouted.
CREATE FUNCTION add_events(given new_event[], OUT keys bigint[]) LANGUAGE plpgsql AS $$
BEGIN
  WITH new AS (
    INSERT INTO identity (source, provider_event_id, key, salt, sha256)
      SELECT source, provider_event_id, key, salt, sha256 FROM unnest(given) ORDER BY source, provider_event_id, key
    ON CONFLICT DO NOTHING RETURNING key
  ), added AS (
    INSERT INTO event (
        key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind, object_id,
        status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, names, headers, sha256,
        size, body, trace)
      SELECT key, salt, source, provider, provider_event_id, type,
        CASE WHEN state = 'accepted' AND NOT EXISTS (
          SELECT 1 FROM route AS r WHERE (r.source = e.source OR (r.source = '*' AND e.source <> 'webhookd'))
            AND CASE r.is_glob WHEN 1 THEN glob(r.pattern, e.type) ELSE e.type = r.pattern END) THEN 'unrouted' ELSE state END,
        received_at, occurred_at, payment_id, kind, object_id, status, detail, major, minor, counts, amount, currency,
        exponent, refunded, reference, names, headers, sha256, size, body, trace
      FROM unnest(given) AS e JOIN new USING (key)
    RETURNING key)
  SELECT coalesce(array_agg(key), '{}') INTO keys FROM added;
END $$;

-- Those that are not on record, of the claims that hold: nobody overtakes one while this is written. How many.
CREATE FUNCTION add_attempts(given new_attempt[], OUT count bigint) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO attempt (
      event, endpoint, number, started_at, duration_ms, status, error, response, replay, state, due_at, step)
    SELECT event, endpoint, number, started_at, duration_ms, status, error, response, replay, state, due_at, step
    FROM unnest(given) JOIN claim USING (endpoint, fence)
    ORDER BY event, endpoint, number
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS count = ROW_COUNT;
END $$;

-- A batch of such rows, as one statement that is a transaction of its own: no client is waited for in the middle of it. What
-- is odd is left as it was: an event whose id or alias is known, an attempt whose claim was overtaken. Gives the keys of the
-- events that are new, what is owed of them (as `log.owed` has it) and, unless all attempts were recorded, the fences of
-- their endpoints. Each statement in here sees all that was committed before the lock was had. All of them, and those of the
-- triggers, are planned once: to plan them for each batch, by how many rows it has, takes longer than a small one itself.
CREATE FUNCTION write_rows(
  events new_event[], aliases new_alias[], attempts new_attempt[], owed_max bigint,
  OUT keys bigint[], OUT owed text, OUT owed_count bigint, OUT fences bigint[]
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
DECLARE
  bound bigint[] := '{}';
BEGIN
  PERFORM pg_advisory_xact_lock_shared(log_lock());
  IF cardinality(aliases) > 0 THEN
    bound := add_aliases(aliases);
    IF cardinality(bound) < cardinality(aliases) THEN
      events := ARRAY(SELECT e FROM unnest(events) AS e
                      WHERE e.key = ANY (bound) OR e.key NOT IN (SELECT event FROM unnest(aliases)));
    END IF;
  END IF;
  keys := '{}';
  IF cardinality(events) > 0 THEN
    keys := add_events(events);
    IF cardinality(keys) < cardinality(events) THEN  -- an alias is no event's that is not in the log
      DELETE FROM alias USING unnest(aliases) AS a
        WHERE alias.source = a.source AND alias.name = a.name AND a.event = ANY (bound) AND a.event <> ALL (keys);
    END IF;
  END IF;
  SELECT '[' || coalesce(string_agg(its.event || ',' || its.endpoint || ',' || its.due_at || ',' || its.priority || ',' ||
                                    (its.chain IS NOT NULL)::integer, ','), '') || ']', count(*)
    INTO owed, owed_count
    FROM (SELECT d.* FROM unnest(keys) AS new CROSS JOIN LATERAL (
            SELECT * FROM delivery WHERE event = new AND held = 0 OFFSET 0) AS d  -- by its index, whatever is known of its size
          ORDER BY d.event, d.endpoint LIMIT owed_max) AS its;
  IF cardinality(attempts) > 0 AND add_attempts(attempts) < cardinality(attempts) THEN
    fences := ARRAY(SELECT ARRAY[claim.endpoint, claim.fence] FROM claim
                    WHERE claim.endpoint IN (SELECT a.endpoint FROM unnest(attempts) AS a));
  END IF;
END $$;

-- Weeks: an event and its attempts lie in the partition of the week of the event's key, `event_w2955`: where all of a week
-- may go, it goes by dropping that. They are made ahead; what falls into none that is there lies in `…_of_no_week`.
CREATE FUNCTION week_of(key bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT (key >> 21) / 604800000
$$;
CREATE FUNCTION week_begins(week bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT week * 604800000 << 21
$$;

-- The partition of a week; NULL where there is none. As the statement's snapshot has it, and not to_regclass: what another has
-- made or dropped since this transaction began that may not know yet.
CREATE FUNCTION week_table(kind text, week bigint) RETURNS oid LANGUAGE sql STABLE AS $$
  SELECT oid FROM pg_class WHERE relname = kind || '_w' || week AND relnamespace = current_schema()::regnamespace
$$;

-- Weeks that go as a whole: of one that is `going`, up to a key the lines are written; one that `stays` has changed since,
-- and does not go after all; of one that is `gone` what belonged to its events is yet to be deleted.
CREATE TABLE leaving (
  week       bigint PRIMARY KEY,
  state      text   COLLATE "C" NOT NULL DEFAULT 'going' CHECK (state IN ('going', 'stays', 'gone')),
  written_to bigint NOT NULL,
  given_up   bigint NOT NULL DEFAULT 0,
  bytes      bigint NOT NULL DEFAULT 0,
  tallies    text   NOT NULL DEFAULT '{}'
);

-- What a line was written of is otherwise now, or there is more of its week: its deliveries see to themselves.
CREATE FUNCTION week_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM leaving WHERE state = 'going') THEN
    UPDATE leaving SET state = 'stays' WHERE state = 'going' AND week IN (SELECT week_of(key) FROM touched);
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER week_stays_as_events_come AFTER INSERT ON event REFERENCING NEW TABLE AS touched
  FOR EACH STATEMENT EXECUTE FUNCTION week_stays();
CREATE TRIGGER week_stays_as_events_change AFTER UPDATE ON event REFERENCING NEW TABLE AS touched
  FOR EACH STATEMENT EXECUTE FUNCTION week_stays();

-- Makes the partition of a week, unless it is there, or events of it lie in that of no week already.
--
-- It is made beside the table and then attached: that locks the table only against other changes of it (SHARE UPDATE
-- EXCLUSIVE), where CREATE TABLE … PARTITION OF stops whatever reads or writes it (ACCESS EXCLUSIVE). Either way the
-- partition of no week is locked against all, and searched as long as it is: it is nearly empty, or a timeout ends that.
-- (postgresql.org/docs/15/ddl-partitioning.html, 5.11.2.2, and sql-altertable.html, ATTACH PARTITION. A CHECK that would
-- save the search would refuse events until the week is there.) That of attempts locks `delivery` for its foreign key,
-- too (SHARE ROW EXCLUSIVE, as pg_locks has it): who asks for this holds the lock under which nobody else writes.
CREATE FUNCTION make_week(kind text, week bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  its         text := kind || '_w' || week;
  elsewhere   text := kind || '_of_no_week';
  of_event    text := CASE kind WHEN 'event' THEN 'key' ELSE 'event' END;
  is_too_late boolean;
BEGIN
  IF week_table(kind, week) IS NOT NULL THEN
    RETURN false;
  END IF;
  EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I WHERE %I >= %s AND %I < %s)',
                 elsewhere, of_event, week_begins(week), of_event, week_begins(week + 1)) INTO is_too_late;
  IF is_too_late THEN
    RETURN false;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', its, kind);
  EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                 kind, its, week_begins(week), week_begins(week + 1));
  RETURN true;
END $$;

-- Whether nothing is in the partition of a week, as its index has it: a search of the table reads all that was deleted.
CREATE FUNCTION is_empty_week(kind text, week bigint) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
DECLARE
  its      text := kind || '_w' || week;
  is_empty boolean;
BEGIN
  IF week_table(kind, week) IS NOT NULL THEN
    EXECUTE format('SELECT NOT EXISTS (SELECT 1 FROM %I ORDER BY %I LIMIT 1)',
                   its, CASE kind WHEN 'event' THEN 'key' ELSE 'event' END) INTO is_empty;
  END IF;
  RETURN is_empty;
END $$;

-- Drops the partition of a week; how many bytes it had, NULL where there is none. DETACH … CONCURRENTLY, which locks less, is
-- not for tables with a default partition (sql-altertable.html): this stops whatever reads or writes the table.
CREATE FUNCTION drop_week(kind text, week bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  bytes bigint := pg_total_relation_size(week_table(kind, week));
BEGIN
  EXECUTE format('DROP TABLE IF EXISTS %I', kind || '_w' || week);
  RETURN bytes;
END $$;

-- The same where nothing is in it.
CREATE FUNCTION drop_empty_week(kind text, week bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('LOCK TABLE ONLY %I IN ACCESS EXCLUSIVE MODE', kind);
  RETURN CASE WHEN is_empty_week(kind, week) THEN drop_week(kind, week) END;
END $$;

INSERT INTO webhookd VALUES (1);
