-- An outbox for SQLite: run it on your application's file.
-- What webhookd needs: id, type, body, refused; taken_at where rows are marked. The others may be left out.

CREATE TABLE webhookd_outbox (
    position   INTEGER PRIMARY KEY,                                 -- the order in which rows are taken
    id         TEXT NOT NULL UNIQUE DEFAULT (lower(hex(randomblob(16)))),  -- the event's id: never the same twice
    type       TEXT NOT NULL,                                       -- such as payment.captured
    body       TEXT NOT NULL,                                       -- what merchants get, byte for byte: a JSON object
    created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
    payment_id TEXT,                                                -- from here on: what the ledger is told, if anything
    status     TEXT,            -- pending, failed, authorized, cancelled, captured, partially_refunded, refunded
    amount     INTEGER,                                             -- smallest units: 1050 is 10.50 USD
    currency   TEXT,                                                -- ISO 4217
    refunded   INTEGER,                                             -- all of it so far, smallest units
    reference  TEXT,                                                -- your own name for the payment, such as the order's
    taken_at   TEXT,                                                -- when webhookd had it, with taken = "mark"
    refused    TEXT             -- why it cannot be taken; once that is put right, set it to NULL
);
CREATE INDEX webhookd_outbox_waiting ON webhookd_outbox (position) WHERE taken_at IS NULL AND refused IS NULL;
