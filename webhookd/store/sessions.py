"""Sessions in SQLite, by the hashes of their cookies."""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from webhookd.store.batch import Change
from webhookd.store.connection import SerialConnection
from webhookd.store.queries import ACCESS
from webhookd.store.session_protocol import SESSIONS_MAX, Session


class SqliteSessions:
    """Fits `session_protocol.Sessions`. `change` runs a function on the writer's thread, in a transaction."""

    def __init__(self, reader: SerialConnection, change: Callable[[Change], Awaitable[object]]) -> None:
        self._read = reader.read
        self._change = change

    async def all(self) -> Sequence[Session]:
        return [Session(*row) for row in await self._read(ACCESS["sessions"])]

    async def add(self, session: Session) -> None:
        def add(connection: sqlite3.Connection) -> int:
            connection.execute(ACCESS["add_session"], msgspec.structs.astuple(session))
            return connection.execute(ACCESS["drop_sessions"], (SESSIONS_MAX,)).rowcount

        await self._change(add)

    async def remove(self, sha256: Sequence[bytes]) -> None:
        rows = [(each,) for each in sha256]
        await self._change(lambda connection: connection.executemany(ACCESS["remove_session"], rows).rowcount)

    async def note_uses(self, seen_at: Mapping[bytes, int]) -> None:
        rows = [(at, sha256) for sha256, at in seen_at.items()]
        await self._change(lambda connection: connection.executemany(ACCESS["note_session_use"], rows).rowcount)
