-- An outbox for PostgreSQL: run it in your application's database, as who owns the application's tables.
-- What webhookd needs: id, type, body, refused; taken_at where rows are marked. The others may be left out.

CREATE TABLE webhookd_outbox (
    position   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- the order in which rows are taken
    id         uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),   -- the event's id: never the same twice
    type       text NOT NULL,                                    -- such as payment.captured
    body       json NOT NULL,                                    -- what merchants get, byte for byte: a JSON object
    created_at timestamptz NOT NULL DEFAULT now(),
    payment_id text,                                             -- from here on: what the ledger is told, if anything
    status     text,            -- pending, failed, authorized, cancelled, captured, partially_refunded, refunded
    amount     bigint,                                           -- smallest units: 1050 is 10.50 USD
    currency   text,                                             -- ISO 4217
    refunded   bigint,                                           -- all of it so far, smallest units
    reference  text,                                             -- your own name for the payment, such as the order's
    taken_at   timestamptz,                                      -- when webhookd had it, with taken = "mark"
    refused    text             -- why it cannot be taken; once that is put right, set it to NULL
);
CREATE INDEX webhookd_outbox_waiting ON webhookd_outbox (position) WHERE taken_at IS NULL AND refused IS NULL;

-- Wakes webhookd at once. Without it rows are found within a second.
CREATE FUNCTION webhookd_outbox_calls() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NOTIFY webhookd_outbox;
    RETURN NULL;
END $$;
CREATE TRIGGER webhookd_outbox_calls AFTER INSERT ON webhookd_outbox
    FOR EACH STATEMENT EXECUTE FUNCTION webhookd_outbox_calls();
