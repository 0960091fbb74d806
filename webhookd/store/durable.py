"""One fdatasync of the WAL in every commit: what makes 200 mean that the event is on the disk.

SQLite would do it itself (`synchronous = FULL`), and does it with fsync unless it was built with HAVE_FDATASYNC, which
the `pysqlite3` wheel's was not. The WAL is overwritten in place, so that all fsync adds is the time of its last change:
for that a file system with a journal commits its journal (500 lone commits on ext4: 512 times with fsync, 200 times
with fdatasync, and each took a seventh less). Without a journal the two are alike.

So SQLite runs with `synchronous = NORMAL`, which is FULL without the sync of the WAL after each commit
(sqlite.org/pragma.html#pragma_synchronous), and that one sync is made here. SQLite still syncs the rest: the WAL before
a checkpoint reads it, the database after it, and a WAL's new header, with its directory, before anything follows it
(`sqlite3WalFrames`, `walCheckpoint` in wal.c; `unixSync` in os_unix.c).

What is left if it ends there:

- before COMMIT: nothing of the transaction;
- between COMMIT and the end of the sync: nobody has been told. If the process dies, all of it: the kernel has the WAL.
  If the machine does, all of it or nothing, and what came before in any case;
- after the sync: all of it, always.

Since SQLite no longer waits, other connections see a commit before it is durable. Who only looks may. Who acts on what
he sees, so that it cannot be taken back, must begin his reads here: `shown`.

To open and close the WAL here lets go of no lock of SQLite's, as it would with the database (howtocorrupt.html, 2.2):
SQLite locks the database and the `-shm`, and never the WAL (`noLock` in `unixOpen`, os_unix.c).
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import TypeVar

from webhookd.store.protocol import StoreBrokenError

T = TypeVar("T")
Read = Callable[[sqlite3.Connection], T]


def synchronous() -> int:
    """What SQLite is set to: NORMAL, or where there is no fdatasync, as on macOS, FULL: then it makes every sync."""
    return 1 if hasattr(os, "fdatasync") else 2


class DurableWal:
    """The WAL of the one connection that writes: `open` once that has read something, `close` after it.

    `open` and `commit` are called on the writer's thread, what `shown` gives on a reader's. After StoreBrokenError what
    the disk holds is unknown until a restart reads it: a sync that failed is never tried again, since the kernel may
    have dropped what it could not write.
    """

    def __init__(self) -> None:
        self._path: Path
        self._file: os.stat_result
        self._descriptor: int | None = None
        self._broken: StoreBrokenError | None = None
        self._being_committed = Lock()

    def open(self, connection: sqlite3.Connection) -> None:
        """Sync what a process that died may have left in it, before anybody reads that. Raises StoreBrokenError."""
        if synchronous() > 1:
            return
        # SQLite's own name for it, which may be in another directory: that of what a symbolic link points to.
        [(database,)] = connection.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchall()
        self._path = Path(f"{database}-wal")
        try:
            # Linux syncs what is open for reading, too.
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            self._file = os.fstat(self._descriptor)
        except OSError as error:
            raise StoreBrokenError(f"the WAL cannot be opened: {error}") from error
        try:
            self._sync(self._descriptor)
        except StoreBrokenError:
            self.close()
            raise

    def commit(self, last: Callable[[], T]) -> T:
        """Do what ends a transaction, or is one or several; durable on return. What it gives is given back.

        Raises StoreBrokenError when it was committed and may not be durable, and what it raises itself: what had been
        committed by then is durable, too, before anybody is shown it.
        """
        with self._being_committed:
            try:
                return last()
            finally:
                if self._descriptor is not None:
                    self._sync(self._descriptor)

    def shown(self, read: Read[T]) -> Read[T]:
        """The same read, of one snapshot in which all is durable. It waits for a commit that is being synced.

        It raises StoreBrokenError, too, once a sync has failed.
        """

        def within(connection: sqlite3.Connection) -> T:
            with self._being_committed:
                if self._broken is not None:
                    raise self._broken
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the snapshot begins with it
            try:
                return read(connection)
            finally:
                connection.execute("ROLLBACK")

        return within

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _sync(self, descriptor: int) -> None:
        try:
            os.fdatasync(descriptor)
            is_in_place = os.path.samestat(self._file, self._path.stat())
        except OSError as error:
            self._broken = StoreBrokenError(f"the WAL could not be synced: {error}")
            raise self._broken from error
        if not is_in_place:
            # SQLite does not look: it would go on writing to a file that no restart can find.
            self._broken = StoreBrokenError(f"{self._path} was replaced while it was in use")
            raise self._broken
