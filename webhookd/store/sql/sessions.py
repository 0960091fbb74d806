"""Sessions, by the hashes of their cookies."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from webhookd.store.protocol.sessions import SESSIONS_MAX, Session
from webhookd.store.sql.connection import Change, Connection, Reader


class SqlSessions:
    """Fits `protocol.sessions.Sessions`. `change` runs a function in the transaction of a commit."""

    def __init__(self, reader: Reader, change: Callable[[Change], Awaitable[object]]) -> None:
        self._read = reader.read
        self._change = change

    async def all(self) -> Sequence[Session]:
        return [Session(*row) for row in await self._read("access.sessions")]

    async def add(self, session: Session) -> None:
        def add(connection: Connection) -> int:
            connection.execute("access.add_session", msgspec.structs.astuple(session))
            return connection.execute("access.drop_sessions", (SESSIONS_MAX,)).rowcount

        await self._change(add)

    async def remove(self, sha256: Sequence[bytes]) -> None:
        rows = [(each,) for each in sha256]
        await self._change(lambda connection: connection.execute_many("access.remove_session", rows).rowcount)

    async def note_uses(self, seen_at: Mapping[bytes, int]) -> None:
        rows = [(at, sha256) for sha256, at in seen_at.items()]
        await self._change(lambda connection: connection.execute_many("access.note_session_use", rows).rowcount)
