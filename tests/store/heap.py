"""A store with a long past in which the oldest rows are unlike all others, for tests of what is rare."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from tests.making import NOW_MS
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.statements import schema

MANY = 50_000
AT = [(NOW_MS - MANY + place) << 21 for place in range(MANY)]
"""The keys of the events, a millisecond apart."""
DEAD, CANCELLED, PENDING, DELIVERED = range(4)
"""The oldest delivery of each state; the events of these four are unlike all others."""


def make_heap(path: Path) -> None:
    """A file of SQLite's with HEAP in it."""
    with closing(driver.connect(path)) as connection:
        connection.executescript(schema())
        for statement in heap(lambda content: f"x'{content.hex()}'"):
            connection.execute(statement)
        connection.commit()


def heap(blob: Callable[[bytes], str]) -> Sequence[str]:
    """So many events with a delivery each, in every state, and as many payments and refunds, as SQL.

    `blob` is how the engine says bytes.
    """
    return [
        *(
            f"INSERT INTO endpoint (name, url, managed_by, created_at) VALUES ('{name}', '', 'api', 0)"
            for name in ("shop", "audit")
        ),
        f"""
        INSERT INTO event (key, salt, source, provider, provider_event_id, type, state, received_at, headers, sha256,
                           size, body)
        {_PLACES}
        SELECT {_KEY}, place, CASE WHEN place < 4 THEN 'other' ELSE 'stripe' END, 'stripe', 'evt_' || place,
               CASE WHEN place < 4 THEN 'rare' WHEN place = {MANY - 1} THEN 'last' ELSE 'usual' END, 'unrouted',
               {NOW_MS - MANY} + place, '[]', {blob(bytes(32))}, 1, {blob(bytes(1))}
        FROM places
        """,
        "UPDATE event SET state = 'accepted' WHERE salt % 2 = 0",
        f"""
        INSERT INTO delivery (event, endpoint, state, due_at, last_error, last_status, created_at)
        {_PLACES}
        SELECT {_KEY}, CASE WHEN place = {DELIVERED} THEN 2 ELSE 1 END,
               CASE place % 4 WHEN 0 THEN 'dead' WHEN 1 THEN 'cancelled' WHEN 2 THEN 'pending' ELSE 'delivered' END,
               CASE place % 4 WHEN 2 THEN 1 END, CASE place % 16 WHEN 12 THEN 'status' ELSE 'tls' END,
               CASE place % 16 WHEN 12 THEN 500 END, 0
        FROM places
        """,
        _objects("payment", "pay", "'captured'", "CASE place WHEN 0 THEN 1000 ELSE 0 END"),
        _objects("refund", "re", "CASE place WHEN 0 THEN 'failed' ELSE 'succeeded' END", "NULL"),
        """
        INSERT INTO reference (name, provider, payment_id)
        SELECT 'gold', provider, id FROM ledger WHERE kind = 'payment'
        """,
    ]


_PLACES = f"""
    WITH RECURSIVE places(place) AS (
      SELECT CAST(0 AS bigint) UNION ALL SELECT place + 1 FROM places WHERE place < {MANY - 1})
"""
_KEY = f"({NOW_MS - MANY} + place) * {2**21}"


def _objects(kind: str, prefix: str, status: str, refunded: str) -> str:
    return f"""
        INSERT INTO ledger (provider, kind, id, status, major, minor, tie, amount, currency, exponent, reference,
                            refunded, first_event)
        {_PLACES}
        SELECT CASE place WHEN 1 THEN 'paypal' ELSE 'stripe' END, '{kind}', '{prefix}_' || place, {status}, 5, 0, '',
               1000, 'USD', 2, 'gold', {refunded}, {_KEY}
        FROM places
    """
