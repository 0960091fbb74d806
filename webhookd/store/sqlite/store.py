"""The event log and its outbox in SQLite: one connection writes, group-committed; two others only read."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from webhookd.store.protocol.errors import StoreBrokenError, StoreError
from webhookd.store.protocol.log import DueBatch
from webhookd.store.protocol.store import Reread
from webhookd.store.seal import holds_secrets
from webhookd.store.sql.batch import Committed
from webhookd.store.sql.connection import Write
from webhookd.store.sql.rebuild import rebuild
from webhookd.store.sql.retention import SqlRetention
from webhookd.store.sql.schedule import Look
from webhookd.store.sql.store import SqlStore, Told
from webhookd.store.sqlite.backup import SqliteBackups
from webhookd.store.sqlite.batch import apply
from webhookd.store.sqlite.connection import SerialConnection, Writer, open_reader, open_writer
from webhookd.store.sqlite.due import read_due
from webhookd.store.sqlite.recount import Recount
from webhookd.store.sqlite.shorten import give_back
from webhookd.store.sqlite.statements import Speaking, speaking
from webhookd.store.sqlite.uncut import to_its_end
from webhookd.store.sqlite.upkeep import Upkeep

T = TypeVar("T")


class SqliteStore(SqlStore):
    """Fits every protocol of `store.protocol`. `open()` first; `close()` commits what is queued."""

    _history_reader: SerialConnection

    def __init__(self, path: Path, told: Told = lambda _seconds, _writes: None, *, checkpoints: bool = True) -> None:
        """Without `checkpoints` another process moves the WAL into the database."""
        super().__init__(told)
        self._path = path
        self._checkpoints = checkpoints
        self._broken_read: StoreBrokenError | None = None
        self._counting = 0
        self._writer: Writer
        self._due_reader: SerialConnection
        self.upkeep: Upkeep

    @property
    def broken(self) -> StoreError | None:
        """Set once the disk has failed under the database; the process must stop then."""
        return self._writes.broken or self._broken_read or self.upkeep.broken

    async def answers(self) -> None:
        """Return once the writer has done nothing at all, in its turn: a sign that it lives."""
        await self._writer.run(lambda _connection: None)

    async def open(self) -> None:
        self._writer = await open_writer(self._path, checkpoints=self._checkpoints)
        self._due_reader = await open_reader(self._path)
        self._history_reader = await open_reader(self._path)
        self.upkeep = Upkeep(self._writer)
        self._writes.start()

    async def close(self) -> None:
        await self._writes.stop()
        await self.upkeep.ended()
        readers, writer = (self._history_reader, self._due_reader), self._writer
        # The writer, if it is last, moves the WAL into the database. Of a disk that has failed nothing more is asked;
        # but what is in a WAL that has lost its place would be gone.
        leaves_the_wal = not self._checkpoints or (self.broken is not None and not writer.wal.is_elsewhere)
        for connection in (writer, *readers) if leaves_the_wal else (*readers, writer):
            await connection.close()

    async def holds_secrets(self) -> bool:
        return await self._history_reader.run(speaking(holds_secrets))

    @property
    def retention(self) -> SqlRetention:
        return SqlRetention(
            self._history_reader,
            self._change,
            lambda: self._writes.queued[0],
            lambda: self._counting > 0,
            lambda pages, kept: self._change_file(partial(give_back, pages=pages, kept=kept)),
        )

    def backups(self, keep_free: int) -> SqliteBackups:
        """`keep_free` bytes of the disk are not for backups."""
        return SqliteBackups(self._path, self._writer, self._history_reader, keep_free)

    async def rebuild_ledger(self, reread: Reread, told: Callable[[int, int], None]) -> int:
        """Count the log again and put right what the ledger has otherwise; how many objects that were."""
        self._counting += 1
        try:
            recount = await to_its_end(lambda: Recount(self._path, reread))
            try:
                return await rebuild(recount, to_its_end, self._change, told, self._put_right)
            finally:
                # After what the writer may still do with it, if nobody waited for that to its end.
                await self._writer.run(lambda _connection: recount.close())
        finally:
            self._counting -= 1

    # --- The one writer

    async def _change_file(self, change: Callable[[sqlite3.Connection], T]) -> T:
        return await self._change(lambda connection: change(cast(Speaking, connection).connection))

    async def _apply(self, batch: Sequence[Write]) -> Committed:
        committed = await self._writer.run(lambda connection: apply(connection, batch, self._writer.wal.commit))
        self.upkeep.after_commit()
        return committed

    async def _read_due(self, look: Look) -> DueBatch:
        try:
            return await self._due_reader.run(self._writer.wal.shown(speaking(partial(read_due, look=look))))
        except StoreBrokenError as error:
            self._broken_read = error
            raise
