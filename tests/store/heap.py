"""A file with a long past in which the oldest rows are unlike all others, for tests of what is rare."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.making import NOW_MS
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.statements import schema

MANY = 50_000
AT = [(NOW_MS - MANY + place) << 21 for place in range(MANY)]
"""The keys of the events, a millisecond apart."""
DEAD, CANCELLED, PENDING, DELIVERED = range(4)
"""The oldest delivery of each state; the events of these four are unlike all others."""
_TYPES = {0: "rare", 1: "rare", 2: "rare", 3: "rare", MANY - 1: "last"}


def make_heap(path: Path) -> None:
    """So many events with a delivery each, in every state, and as many payments and refunds."""
    with closing(driver.connect(path)) as connection:
        connection.executescript(schema())
        connection.executemany(
            "INSERT INTO endpoint (name, url, managed_by, created_at) VALUES (?, '', 'api', 0)", [("shop",), ("audit",)]
        )
        connection.executemany(
            "INSERT INTO event (key, salt, source, provider, provider_event_id, type, state, received_at, headers, "
            "sha256, size, body) VALUES (?, ?, ?, 'stripe', ?, ?, 'unrouted', ?, '[]', zeroblob(32), 1, x'00')",
            (
                (key, place, "other" if place < 4 else "stripe", f"evt_{place}", _TYPES.get(place, "usual"), key >> 21)
                for place, key in enumerate(AT)
            ),
        )
        connection.execute("UPDATE event SET state = 'accepted' WHERE salt % 2 = 0")
        connection.executemany(
            "INSERT INTO delivery (event, endpoint, state, due_at, last_error, last_status, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, 0)",
            (_delivery(place, key) for place, key in enumerate(AT)),
        )
        connection.executemany(
            "INSERT INTO ledger (provider, kind, id, status, major, minor, tie, amount, currency, exponent, reference, "
            "refunded, first_event) VALUES (?, ?, ?, ?, 5, 0, '', 1000, 'USD', 2, 'gold', ?, ?)",
            (row for place, key in enumerate(AT) for row in _objects(place, key)),
        )
        connection.execute("INSERT INTO reference SELECT 'gold', provider, id FROM ledger WHERE kind = 'payment'")
        connection.commit()


def _delivery(place: int, key: int) -> tuple[Any, ...]:
    state = ("dead", "cancelled", "pending", "delivered")[place % 4]
    error, status = ("status", 500) if place % 16 == 12 else ("tls", None)
    return key, 2 if place == DELIVERED else 1, state, 1 if state == "pending" else None, error, status


def _objects(place: int, key: int) -> Sequence[tuple[Any, ...]]:
    provider = "paypal" if place == 1 else "stripe"
    return [
        (provider, "payment", f"pay_{place}", "captured", 0 if place else 1000, key),
        (provider, "refund", f"re_{place}", "succeeded" if place else "failed", None, key),
    ]
