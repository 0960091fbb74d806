"""The minutes of the last day."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from webhookd.core.minute import KEPT, Minute
from webhookd.store.sql.connection import Change, Connection, Reader


class SqlMinutes:
    """Fits `protocol.minutes.Minutes`. `change` runs a function in the transaction of a commit."""

    def __init__(self, reader: Reader, change: Callable[[Change], Awaitable[object]]) -> None:
        self._read = reader.read
        self._change = change

    async def all(self) -> Sequence[Minute]:
        return [Minute(*row) for row in await self._read("log.minutes", (KEPT,))]

    async def keep(self, minute: Minute) -> None:
        def keep(connection: Connection) -> int:
            connection.execute("log.keep_minute", msgspec.structs.astuple(minute))
            return connection.execute("log.drop_minutes", (minute.number - KEPT,)).rowcount

        await self._change(keep)
