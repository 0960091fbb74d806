"""Reading the ledger. What writes it is the triggers of `schema.sql`."""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from webhookd.core.identifier import event_id, key_floor
from webhookd.core.ledger import Kind
from webhookd.core.money import EXPONENTS
from webhookd.store.protocol.chronicles import ChronicleRow
from webhookd.store.protocol.history import Looked
from webhookd.store.protocol.ledger import LedgerFilter, ObjectRow, PaymentRow, RevenueRow
from webhookd.store.sql.chronicle import chronicle
from webhookd.store.sql.connection import Connection, Reader
from webhookd.store.sql.looks import end_of, looked

SCANNED_MAX = 50_000
"""Rows of one read for the revenue, so that other reads get their turn in between."""
LOOKED_UP_MAX = 1_000
"""Payments that may bear a name for them to be looked up one by one."""
LOOKS = 2_000
"""Objects that one look along a list goes through: what a payment's status is, is counted for each."""
_KEY_MAX = 2**63 - 1
_keys = msgspec.json.Decoder(list[tuple[int, int]])
Row = TypeVar("Row", PaymentRow, ObjectRow)
_PROVIDERS = msgspec.json.encode(sorted(EXPONENTS)).decode()


class LedgerReader:
    """Raises StoreUnavailableError when a read takes too long."""

    def __init__(self, reader: Reader) -> None:
        self._read, self._look = reader.read, reader.look

    async def payment(self, provider: str, payment_id: str) -> PaymentRow | None:
        rows = await self._read("ledger.payment", (provider, payment_id))
        return PaymentRow(*_with_ids(rows[0])) if rows else None

    async def chronicle(self, provider: str, payment_id: str) -> ChronicleRow:
        return await chronicle(self._read, provider, payment_id)

    async def payments(self, narrowed: LedgerFilter, limit: int) -> Looked[PaymentRow]:
        def look(connection: Connection) -> Looked[PaymentRow]:
            query, is_bounded = "payments", narrowed.provider is not None or narrowed.status is not None
            if narrowed.reference is not None:
                bearers = (narrowed.reference, LOOKED_UP_MAX + 1)
                is_bounded = connection.execute("ledger.bearers", bearers).fetchone()[0] > LOOKED_UP_MAX
                query = "payments_by_shared_reference" if is_bounded else "payments_by_reference"
            return _looked(connection, query, "payment", narrowed, limit, PaymentRow, is_bounded=is_bounded)

        return await self._look(look)

    async def objects(self, kind: Kind, narrowed: LedgerFilter, limit: int) -> Looked[ObjectRow]:
        def look(connection: Connection) -> Looked[ObjectRow]:
            query, is_bounded = "objects", narrowed.provider is not None or narrowed.status is not None
            if narrowed.payment is not None:
                query, is_bounded = "objects_looked_up", False
            elif narrowed.reference is not None:
                bearers = (narrowed.reference, kind, LOOKED_UP_MAX + 1)
                is_bounded = connection.execute("ledger.object_bearers", bearers).fetchone()[0] > LOOKED_UP_MAX
                query = "objects" if is_bounded else "objects_looked_up"
            return _looked(connection, query, kind, narrowed, limit, ObjectRow, is_bounded=is_bounded)

        return await self._look(look)

    async def revenue(self, since_ms: int, until_ms: int) -> Sequence[RevenueRow]:
        sums = _Sums()
        async for begin, end in self._pieces("counted_until", since_ms, until_ms):
            sums.add("gross", await self._read("ledger.gross", (begin, end)))
            sums.add("refunded", await self._read("ledger.refunded", (begin, end)))
            sums.add("disputed", await self._read("ledger.disputed", (begin, end)))
        async for begin, end in self._pieces("refunded_until", since_ms, until_ms):
            sums.add("refunded", await self._read("ledger.unitemised", (begin, end)))
        return sums.rows()

    async def _pieces(self, until_query: str, since_ms: int, until_ms: int) -> Any:
        """The time cut into pieces of about SCANNED_MAX rows."""
        begin = since_ms
        while begin < until_ms:
            rows = await self._read(f"ledger.{until_query}", (begin, until_ms, SCANNED_MAX))
            end = max(rows[0][0], begin + 1) if rows else until_ms
            yield begin, end
            begin = end


class _Sums:
    def __init__(self) -> None:
        self._sums: dict[tuple[Any, ...], dict[str, Any]] = {}

    def add(self, what: str, rows: Sequence[Any]) -> None:
        for day, provider, currency, exponent, high, low, unreadable in rows:
            found = self._sums.setdefault(
                (day, provider, currency, exponent), {"gross": 0, "refunded": 0, "disputed": 0, "unreadable": 0}
            )
            found[what] += (high or 0) * 10**9 + (low or 0)
            found["unreadable"] += unreadable

    def rows(self) -> list[RevenueRow]:
        return [RevenueRow(*key, **sums) for key, sums in self._sums.items()]


def _looked(
    connection: Connection,
    query: str,
    kind: Kind,
    narrowed: LedgerFilter,
    limit: int,
    row_type: type[Row],
    *,
    is_bounded: bool,
) -> Looked[Row]:
    given = {**_parameters(narrowed, limit), "kind": kind}
    end = end_of(connection, "ledger.first_heard_back_to", given, LOOKS) if is_bounded else None
    if end is not None:
        given["since"] = end
    rows = [row_type(*_with_ids(row)) for row in connection.execute(f"ledger.{query}", given)]
    return looked(rows, limit, lambda row: (row.first_event,), None if end is None else (end,))


def _with_ids(row: Sequence[Any]) -> list[Any]:
    """The row with the ids of its events, whose keys are its last column."""
    return [*row[:-1], [event_id(key, salt) for key, salt in sorted(_keys.decode(row[-1]))]]


def _parameters(narrowed: LedgerFilter, limit: int) -> dict[str, Any]:
    until = _KEY_MAX if narrowed.until_ms is None else key_floor(narrowed.until_ms)
    return {
        "provider": narrowed.provider,
        "providers": _PROVIDERS,
        "status": narrowed.status,
        "reference": narrowed.reference,
        "payment": narrowed.payment,
        "since": key_floor(narrowed.since_ms or 0),
        "before": min(until, _KEY_MAX if narrowed.before is None else narrowed.before),
        "limit": limit,
    }
