"""What is done to the files between two commits: the WAL is moved into the database, and all of them are looked at.

SQLite would move the WAL within a COMMIT (`wal_autocheckpoint`), and tell nobody when that fails: the hook that does it
drops the error (`sqlite3WalDefaultHook` in main.c). Hooks would be answered 200 on a disk that has failed, and the sync
that failed would be tried again with the next commit.
"""

import asyncio
import sqlite3
from collections.abc import Callable

from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError
from webhookd.store.sqlite.connection import Writer
from webhookd.store.sqlite.driver import sorted_error


class Upkeep:
    """`broken` is set once one of the two has shown that what the disk holds is unknown."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._checkpoint: asyncio.Task[None] | None = None
        self.broken: StoreBrokenError | None = None

    def after_commit(self) -> None:
        """Nobody who waits for a commit waits for the checkpoint that comes after it."""
        if self._writer.wal.is_long and (self._checkpoint is None or self._checkpoint.done()):
            self._checkpoint = asyncio.create_task(self._run(self._move), name="checkpoint")

    async def look(self) -> None:
        """Whether each file is still in its place."""
        await self._run(lambda _connection: self._writer.wal.look())

    async def ended(self) -> None:
        """Return once no checkpoint is under way."""
        if self._checkpoint is not None:
            await asyncio.wait([self._checkpoint])

    async def _run(self, function: Callable[[sqlite3.Connection], None]) -> None:
        try:
            await self._writer.run(function)
        except StoreBrokenError as error:
            self.broken = error

    def _move(self, connection: sqlite3.Connection) -> None:
        """As far as readers let it. Where the disk is full it stays as long as it is until the next time."""
        wal = self._writer.wal
        wal.look()
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except Exception as error:
            reason = sorted_error(error)
            if isinstance(reason, StoreBrokenError):
                raise wal.breaks(reason) from error
            if not isinstance(reason, StoreUnavailableError):
                raise
        wal.note()
