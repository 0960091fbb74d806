"""A payment's history: what was said of it, event by event, put once more through the triggers that make the ledger.

So where it stood after each event is decided where the ledger is decided, and by nothing else.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import msgspec

from webhookd.core.ledger import effect
from webhookd.store.protocol.chronicles import (
    DELIVERIES_MAX,
    EVENTS_MAX,
    LEFT_OUT_MAX,
    ChronicleRow,
    OwedTo,
    SaidRow,
    StoodRow,
)
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.values import tie
from webhookd.store.sqlite.connection import open_beside
from webhookd.store.sqlite.statements import Speaking
from webhookd.store.sqlite.uncut import to_its_end

_FACT = (
    *("key", "salt", "source", "provider", "provider_event_id", "type", "received_at", "occurred_at", "payment_id"),
    *("kind", "object_id", "status", "detail", "major", "minor", "counts", "amount", "currency", "exponent"),
    *("refunded", "reference", "taken_at"),
)
_TOLD = [name for name in SaidRow.__struct_fields__ if name in _FACT]
_owed = msgspec.json.Decoder(list[OwedTo])
Read = Callable[[str, Any], Awaitable[list[Any]]]


async def chronicle(read: Read, provider: str, payment_id: str) -> ChronicleRow:
    """See `protocol.chronicles.Chronicles`."""
    given = {
        "provider": provider,
        "payment": payment_id,
        "limit": EVENTS_MAX,
        "counted": EVENTS_MAX + LEFT_OUT_MAX,
        "deliveries": DELIVERIES_MAX,
    }
    rows = await read("chronicle.said", given)
    if not rows:
        return ChronicleRow([], 0)
    told = await to_its_end(partial(_retold, rows, provider, payment_id))
    return ChronicleRow(told, rows[0][-1] - len(rows))


def _retold(rows: Sequence[Sequence[Any]], provider: str, payment_id: str) -> list[SaidRow]:
    with closing(open_beside(None)) as beside:
        return [_said(Speaking(beside), row, provider, payment_id) for row in rows]


def _said(beside: Connection, row: Sequence[Any], provider: str, payment_id: str) -> SaidRow:
    fact, (stands, owed, owed_count, _) = dict(zip(_FACT, row, strict=False)), row[len(_FACT) :]
    stood = beside.execute("chronicle.stood", fact).fetchone()
    beside.execute("chronicle.put", fact)
    after = beside.execute("chronicle.payment_stood", (provider, payment_id)).fetchone()
    deliveries = _owed.decode(owed)
    return SaidRow(
        **{name: fact[name] for name in _TOLD},
        effect=_effect(fact, stood),
        against=None if stood is None or stood[0] < 0 else stood[3],
        stands=bool(stands),
        after=None if after is None else StoodRow(*after),
        deliveries=deliveries,
        deliveries_left_out=owed_count - len(deliveries),
    )


def _effect(fact: dict[str, Any], stood: Sequence[Any] | None) -> Any:
    if fact["kind"] is None:
        return None
    said = fact["major"], fact["minor"], tie(fact["provider_event_id"], fact["source"])
    before = None if stood is None else (stood[0], stood[1], stood[2])
    return effect(fact["kind"], said, before, is_other=stood is not None and stood[3] != fact["status"])
