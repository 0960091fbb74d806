"""Looks into the log by what people have at hand: first the keys, from indexes; then those that match."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from webhookd.core.identifier import UnknownIdError, parse_delivery_id, parse_event_id
from webhookd.store.lookup_protocol import TooManyError
from webhookd.store.protocol import DeliveryRow, EventRow, Filter
from webhookd.store.queries import LOOKUP
from webhookd.store.rows import event_row, parameters

FOUND_MAX = 2_000
"""Events that one text may name."""
LOOKS = 2_000
"""Events at the log's end that are looked through for the last of each source."""
Read = Callable[[str, Any], Awaitable[list[Any]]]


class SqliteLookup:
    """Fits `lookup_protocol.Lookup`. `read` runs one statement as one snapshot."""

    def __init__(self, read: Read) -> None:
        self._read = read

    async def bearing(self, text: str) -> Sequence[int]:
        rows = await self._read(LOOKUP["bearing"], {"text": text, "limit": FOUND_MAX + 1})
        if len(rows) > FOUND_MAX:
            raise TooManyError
        return sorted({*(key for (key,) in rows), *await self._of_our_own(text)})

    async def events(self, keys: Sequence[int], narrowed: Filter, limit: int) -> Sequence[EventRow]:
        return [event_row(row) for row in await self._read(LOOKUP["events"], _given(keys, narrowed, limit))]

    async def deliveries(self, keys: Sequence[int], narrowed: Filter, limit: int) -> Sequence[DeliveryRow]:
        return [DeliveryRow(*row) for row in await self._read(LOOKUP["deliveries"], _given(keys, narrowed, limit))]

    async def pending(self, narrowed: Filter, limit: int) -> Sequence[DeliveryRow]:
        return [DeliveryRow(*row) for row in await self._read(LOOKUP["pending"], parameters(narrowed, limit))]

    async def delivery_states(self, keys: Sequence[int]) -> Mapping[int, Mapping[str, int]]:
        found: dict[int, dict[str, int]] = {}
        for key, state, count in await self._read(LOOKUP["delivery_states"], {"keys": _json(keys)}):
            found.setdefault(key, {})[state] = count
        return found

    async def last_events(self) -> Mapping[str, int]:
        return dict(await self._read(LOOKUP["last_events"], (LOOKS,)))

    async def _of_our_own(self, text: str) -> Sequence[int]:
        """A provider's id may look the same."""
        try:
            if text.startswith("dlv_"):
                rows = await self._read(LOOKUP["with_delivery"], parse_delivery_id(text))
            else:
                rows = await self._read(LOOKUP["with_id"], parse_event_id(text))
        except UnknownIdError:
            return []
        return [key for (key,) in rows]


def _given(keys: Sequence[int], narrowed: Filter, limit: int) -> dict[str, Any]:
    return {**parameters(narrowed, limit), "keys": _json(keys)}


def _json(keys: Sequence[int]) -> str:
    return msgspec.json.encode(keys).decode()
