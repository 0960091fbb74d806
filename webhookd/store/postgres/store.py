"""The event log and its outbox in PostgreSQL: one session writes, group-committed; two others only read."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from webhookd.store.postgres.calls import Calls
from webhookd.store.postgres.claims import PostgresClaims
from webhookd.store.postgres.clocks import why_off
from webhookd.store.postgres.commit import Committer
from webhookd.store.postgres.connection import Session
from webhookd.store.postgres.database import UnfitDatabaseError, connect, fit, prepare
from webhookd.store.postgres.due import DueReader
from webhookd.store.postgres.recount import rebuild_on
from webhookd.store.postgres.retention import PostgresRetention
from webhookd.store.postgres.weeks import Weeks
from webhookd.store.protocol.claims import Listener
from webhookd.store.protocol.errors import StoreError, StoreUnavailableError
from webhookd.store.protocol.log import DueBatch
from webhookd.store.protocol.store import Reread
from webhookd.store.seal import holds_secrets
from webhookd.store.sql.batch import Committed
from webhookd.store.sql.connection import Write
from webhookd.store.sql.schedule import Look
from webhookd.store.sql.store import SqlStore, Told

CLOSE_S_MAX = 5.0
ALWAYS_THE_SAME_PLAN = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
"""Made once, and of indexes: what the planner knows of a table may be of when it was empty."""


class PostgresStore(SqlStore):
    """Fits every protocol of `store.protocol`. `open()` first; `close()` commits what is queued."""

    _history_reader: Session

    def __init__(
        self, url: str, told: Told = lambda _seconds, _writes: None, now_ms: Callable[[], int] | None = None
    ) -> None:
        super().__init__(told)
        self._url = url
        self._now_ms = now_ms
        self._writer = Session(fit(connect(url, "commits")))
        self._committer = Committer(self._writer)
        due_reader = Session(connect(url, "dispatch", reads=True, **ALWAYS_THE_SAME_PLAN))
        self._due = DueReader(due_reader)
        self._history_reader = Session(connect(url, "admin", reads=True))
        self._upkeep = Session(fit(connect(url, "upkeep")))
        self._sessions = [self._writer, due_reader, self._history_reader, self._upkeep]
        self.server_version = ""
        self.node_file: Path | None = None
        """Where the next process on this data directory reads which node this one was."""
        self.away: str | None = None
        """Why there is no connection to write with, as of the last `look`; None: there is one."""

    @property
    def broken(self) -> StoreError | None:
        """Nothing that goes wrong with the server is mended by ending this process."""
        return self._writes.broken

    @property
    def stalled(self) -> bool:
        return super().stalled or self.away is not None

    async def answers(self) -> None:
        """What commits is on the loop that asks; that a server does not answer is not mended by another process."""

    async def look(self) -> None:
        """See that there is a connection to write with, or make one before it is needed."""
        try:
            await self._writer.run(lambda _connection: None)
        except StoreUnavailableError as error:
            self.away = str(error)
        else:
            self.away = None

    async def open(self) -> None:
        """Raises UnfitDatabaseError, StoreUnavailableError."""
        self.server_version = await prepare(connect(self._url, "start"))
        if off := await self.why_clock_is_off():
            raise UnfitDatabaseError(f"store.url: {off}")
        await Weeks(self._upkeep).make()
        self._writes.start()

    async def why_clock_is_off(self) -> str | None:
        """What is wrong with the clock that this store was given. Raises StoreUnavailableError."""
        return await why_off(self._history_reader, self._now_ms) if self._now_ms else None

    async def holds_secrets(self) -> bool:
        return await self._history_reader.run(holds_secrets)

    async def rebuild_ledger(self, reread: Reread, told: Callable[[int, int], None]) -> int:
        """On a connection of its own, on which all is gone when it is lost: then this raises StoreUnavailableError."""
        session = Session(fit(connect(self._url, "rebuild")))
        self._sessions.append(session)
        try:
            return await rebuild_on(session, reread, told, self._put_right)
        finally:
            self._sessions.remove(session)
            await session.close()

    def abandon(self) -> None:
        """Leave everything as a kill of the process would."""
        self._committer.is_closing = True
        for session in self._sessions:
            session.abandon()

    async def close(self) -> None:
        """A server that does not answer is waited for no longer than CLOSE_S_MAX: nobody was told that it had."""
        self._committer.is_closing = True
        stopping = asyncio.ensure_future(self._writes.stop())
        await asyncio.wait([stopping], timeout=CLOSE_S_MAX)
        if not stopping.done():
            self.abandon()
        await stopping
        await asyncio.gather(*(session.close() for session in self._sessions))

    @property
    def retention(self) -> PostgresRetention:
        return PostgresRetention(self._history_reader, self._change, lambda: self._writes.queued[0], self._upkeep)

    def claims(self, *, name: str, version: str, role: str) -> PostgresClaims:
        """Of a node that is called so."""
        session = Session(connect(self._url, "claims"))
        self._sessions.append(session)
        return PostgresClaims(session, self.node_file, name=name, version=version, role=role)

    def calls(self, listener: Listener) -> Calls:
        """To and from other nodes, once it is started."""
        return Calls(connect(self._url, "calls", synchronous_commit="off"), listener)

    async def _apply(self, batch: Sequence[Write]) -> Committed:
        return await self._committer.apply(batch)

    async def _read_due(self, look: Look) -> DueBatch:
        return await self._due.due(look)
