"""What has just been committed: told as it happens, and read in parts of the log, from wherever a listener is."""

from collections.abc import Callable, Sequence

import msgspec

from webhookd.core.delivery import DeliveryKey, Settlement
from webhookd.core.event import Event
from webhookd.store.protocol.feed import Landed, StandingRow, Stretch
from webhookd.store.protocol.history import DeliveryRow, EventRow, Filter
from webhookd.store.sql.connection import Connection, Reader, Write

LOOKS = 500
"""Events that one read looks through."""
_GONE = 410
_encode = msgspec.json.Encoder().encode
Watch = Callable[[Callable[[Landed], None] | None], None]


def landed(batch: Sequence[Write], results: Sequence[object]) -> Landed:
    """What a commit of this batch brought, each write with its result. A change may have moved any endpoint."""
    head, settlements, endpoints_moved = 0, [], False
    for write, result in zip(batch, results, strict=True):
        if isinstance(result, Exception):
            continue
        if isinstance(write, Event):
            head = max(head, write.key)
        elif isinstance(write, Settlement):
            settlements.append(write)
            endpoints_moved |= write.aftermath is not None or write.outcome.status == _GONE
            if write.aftermath is not None:
                head = max(head, *(notice.key for notice in write.aftermath.notices), 0)
        else:
            endpoints_moved = True
    return Landed(head, settlements, endpoints_moved)


class SqlFeed:
    """Fits `protocol.feed.Feed`."""

    def __init__(self, reader: Reader, watch: Watch) -> None:
        self._reader = reader
        self.watch_commits = watch

    async def head(self) -> int:
        [(key,)] = await self._reader.read("log.last_key")
        return int(key)

    async def stretch(self, after: int, narrowed: Filter) -> Stretch:
        given = {"after": after, "looks": LOOKS, **_narrowed(narrowed)}

        def read(connection: Connection) -> Stretch:
            (reached,) = connection.execute("feed.reached", given).fetchone()
            if reached is None:
                return Stretch((), after)
            rows = connection.execute("feed.stretch", {**given, "reached": reached})
            return Stretch([EventRow(*(*row, ())) for row in rows], reached)

        return await self._reader.look(read)

    async def deliveries(self, keys: Sequence[DeliveryKey], narrowed: Filter) -> Sequence[DeliveryRow]:
        given = {"keys": _encode(keys).decode(), "endpoint": narrowed.endpoint, **_narrowed(narrowed)}
        return [DeliveryRow(*row) for row in await self._reader.read("feed.deliveries", given)]

    async def standings(self) -> Sequence[StandingRow]:
        return [StandingRow(*row) for row in await self._reader.read("feed.standings")]


def _narrowed(narrowed: Filter) -> dict[str, str | None]:
    return {
        "source": narrowed.source,
        "provider": narrowed.provider,
        "type": narrowed.type,
        "state": narrowed.state,
    }
