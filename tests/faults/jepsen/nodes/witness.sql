-- What the database itself has seen of who held an endpoint, and of who recorded an attempt: for the auditor.
--
-- Times are Unix seconds. `{schema}` is the store's.

CREATE SCHEMA witness;
CREATE TABLE witness.took (
  at       double precision NOT NULL DEFAULT extract(epoch FROM clock_timestamp()),
  endpoint bigint NOT NULL,
  fence    bigint NOT NULL,
  node     text  -- its name; NULL: it was given back
);
CREATE TABLE witness.recorded (
  at       double precision NOT NULL DEFAULT extract(epoch FROM clock_timestamp()),
  event    bigint NOT NULL,
  endpoint bigint NOT NULL,
  number   bigint NOT NULL,
  address  text NOT NULL,  -- whence
  holder   text            -- the name of the node that had the endpoint then
);

CREATE FUNCTION witness.sees_it_taken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO witness.took (endpoint, fence, node)
    VALUES (NEW.endpoint, NEW.fence, (SELECT name FROM {schema}.node WHERE number = NEW.node));
  RETURN NULL;
END $$;
CREATE TRIGGER witness_sees_it_taken AFTER UPDATE ON {schema}.claim FOR EACH ROW
  WHEN (OLD.fence <> NEW.fence OR OLD.node IS DISTINCT FROM NEW.node) EXECUTE FUNCTION witness.sees_it_taken();

CREATE FUNCTION witness.sees_it_recorded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO witness.recorded (event, endpoint, number, address, holder)
    SELECT event, made.endpoint, made.number, host(inet_client_addr()), node.name
    FROM made LEFT JOIN {schema}.claim USING (endpoint) LEFT JOIN {schema}.node ON node.number = claim.node;
  RETURN NULL;
END $$;
CREATE TRIGGER witness_sees_it_recorded AFTER INSERT ON {schema}.attempt REFERENCING NEW TABLE AS made
  FOR EACH STATEMENT EXECUTE FUNCTION witness.sees_it_recorded();
