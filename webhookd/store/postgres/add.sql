-- event: those of a batch whose ids are not known; in the order in which whoever adds the same waits for it
WITH given AS MATERIALIZED (
  SELECT * FROM unnest(
    :key::bigint[], :salt::bigint[], :source::text[], :provider::text[], :provider_event_id::text[], :type::text[],
    :state::text[], :received_at::bigint[], :occurred_at::bigint[], :payment_id::text[], :kind::text[],
    :object_id::text[], :status::text[], :detail::text[], :major::bigint[], :minor::bigint[], :counts::bigint[],
    :amount::bigint[], :currency::text[], :exponent::bigint[], :refunded::bigint[], :reference::text[], :names::text[],
    :headers::text[], :sha256::bytea[], :size::bigint[], :body::bytea[], :trace::text[]
  ) AS given (key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind,
    object_id, status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, names, headers, sha256,
    size, body, trace)
), new AS (
  INSERT INTO identity (source, provider_event_id, key, salt, sha256)
    SELECT source, provider_event_id, key, salt, sha256 FROM given ORDER BY source, provider_event_id, key
  ON CONFLICT DO NOTHING RETURNING key
)
INSERT INTO event (
    key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind, object_id,
    status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, names, headers, sha256,
    size, body, trace)
  SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at, payment_id, kind,
    object_id, status, detail, major, minor, counts, amount, currency, exponent, refunded, reference, names, headers,
    sha256, size, body, trace FROM given JOIN new USING (key);

-- alias: those that are not bound; in the same order
INSERT INTO alias (source, name, event, sha256)
  SELECT * FROM unnest(
    :source::text[], :name::text[], :event::bigint[], :sha256::bytea[]
  ) AS given (source, name, event, sha256)
  ORDER BY source, name, event
ON CONFLICT DO NOTHING;

-- attempt: those that are not on record, of the claims that hold: nobody overtakes one while this is written
INSERT INTO attempt (
    event, endpoint, number, started_at, duration_ms, status, error, response, replay, state, due_at, step)
  SELECT event, endpoint, number, started_at, duration_ms, status, error, response, replay, state, due_at, step
  FROM unnest(
    :event::bigint[], :endpoint::bigint[], :number::bigint[], :started_at::bigint[], :duration_ms::bigint[],
    :status::bigint[], :error::text[], :response::bytea[], :replay::bigint[], :state::text[], :due_at::bigint[],
    :step::bigint[], :fence::bigint[]
  ) AS given (event, endpoint, number, started_at, duration_ms, status, error, response, replay, state, due_at, step, fence)
  JOIN claim USING (endpoint, fence)
  ORDER BY event, endpoint, number
ON CONFLICT DO NOTHING;
