"""Looks into the log by what people have at hand: first the keys, from indexes; then those that match."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from webhookd.core.identifier import UnknownIdError, parse_delivery_id, parse_event_id
from webhookd.store.protocol.history import DeliveryRow, EventRow, Filter, Looked
from webhookd.store.protocol.lookup import TooManyError
from webhookd.store.sql.connection import Connection, Reader
from webhookd.store.sql.looks import deliveries, end_of, is_of_some_events, looked, looked_at
from webhookd.store.sql.rows import event_row, parameters

FOUND_MAX = 2_000
"""Events that one text may name."""
PENDING_MAX = 20_000
"""So much is put in order for one page of what is owed; where there is more, it is looked for along the outbox."""
LOOKS = 2_000
"""Events at the log's end that are looked through for the last of each source."""


class SqlLookup:
    """Fits `protocol.lookup.Lookup`."""

    def __init__(self, reader: Reader) -> None:
        self._read, self._look = reader.read, reader.look

    async def bearing(self, text: str) -> Sequence[int]:
        rows = await self._read("lookup.bearing", {"text": text, "limit": FOUND_MAX + 1})
        if len(rows) > FOUND_MAX:
            raise TooManyError
        return sorted({*(key for (key,) in rows), *await self._of_our_own(text)})

    async def events(self, keys: Sequence[int], narrowed: Filter, limit: int) -> Looked[EventRow]:
        rows = [event_row(row) for row in await self._read("lookup.events", _given(keys, narrowed, limit))]
        return looked(rows, limit, lambda row: (row.key,), None)

    async def deliveries(self, keys: Sequence[int], narrowed: Filter, limit: int) -> Looked[DeliveryRow]:
        rows = await self._read("lookup.deliveries", _given(keys, narrowed, limit))
        return looked_at([DeliveryRow(*row) for row in rows], limit, None)

    async def pending(self, narrowed: Filter, limit: int) -> Looked[DeliveryRow]:
        def look(connection: Connection) -> Looked[DeliveryRow]:
            counted = {"endpoint": narrowed.endpoint, "limit": PENDING_MAX + 1}
            if connection.execute("lookup.count_pending", counted).fetchone()[0] > PENDING_MAX:
                return deliveries(connection, msgspec.structs.replace(narrowed, state="pending"), limit)
            given, end = parameters(narrowed, limit), None
            if is_of_some_events(narrowed) or narrowed.error is not None or narrowed.status is not None:
                end = end_of(connection, "lookup.pending_back_to", given)
            if end is not None:
                given["since"] = end
            rows = [DeliveryRow(*row) for row in connection.execute("lookup.pending", given)]
            return looked_at(rows, limit, end)

        return await self._look(look)

    async def delivery_states(self, keys: Sequence[int]) -> Mapping[int, Mapping[str, int]]:
        found: dict[int, dict[str, int]] = {}
        for key, state, count in await self._read("lookup.delivery_states", {"keys": _json(keys)}):
            found.setdefault(key, {})[state] = count
        return found

    async def last_events(self) -> Mapping[str, int]:
        return dict(await self._read("lookup.last_events", (LOOKS,)))

    async def _of_our_own(self, text: str) -> Sequence[int]:
        """A provider's id may look the same."""
        try:
            if text.startswith("dlv_"):
                rows = await self._read("lookup.with_delivery", parse_delivery_id(text))
            else:
                rows = await self._read("lookup.with_id", parse_event_id(text))
        except UnknownIdError:
            return []
        return [key for (key,) in rows]


def _given(keys: Sequence[int], narrowed: Filter, limit: int) -> dict[str, Any]:
    return {**parameters(narrowed, limit), "keys": _json(keys)}


def _json(keys: Sequence[int]) -> str:
    return msgspec.json.encode(keys).decode()
