"""The minutes of the last day, in SQLite."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from webhookd.core.minute import KEPT, Minute
from webhookd.store.batch import Change
from webhookd.store.connection import SerialConnection
from webhookd.store.queries import SQL


class SqliteMinutes:
    """Fits `minute_protocol.Minutes`. `change` runs a function on the writer's thread, in a transaction."""

    def __init__(self, reader: SerialConnection, change: Callable[[Change], Awaitable[object]]) -> None:
        self._read = reader.read
        self._change = change

    async def all(self) -> Sequence[Minute]:
        return [Minute(*row) for row in await self._read(SQL["minutes"], (KEPT,))]

    async def keep(self, minute: Minute) -> None:
        def keep(connection: sqlite3.Connection) -> int:
            connection.execute(SQL["keep_minute"], msgspec.structs.astuple(minute))
            return connection.execute(SQL["drop_minutes"], (minute.number - KEPT,)).rowcount

        await self._change(keep)
