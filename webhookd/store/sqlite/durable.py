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

from webhookd.store.protocol.errors import StoreBrokenError
from webhookd.store.sqlite.in_place import InPlace

WAL_BYTES_KEPT = 64 * 2**20
"""SQLite itself cuts a longer one down to this, once it is begun anew, and never a shorter one."""
CHECKPOINT_FRAMES = 1_000
"""Pages in the WAL from which on it is moved into the database: 4 MB, what SQLite itself would take."""
_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24
_HEADER_SALTS_AT, _FRAME_SALTS_AT, _SALTS_BYTES = 16, 8, 8
"""Where a WAL has the two random numbers of its header, and each frame those of the header that it was written under
(sqlite.org/fileformat2.html, 4.1): one that is begun anew, in its place, has others."""
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

    def __init__(self, *, shared: bool = False) -> None:
        """Where it is `shared`, another process checkpoints: it, too, may shorten the files."""
        self._shared = shared
        self._path: Path
        self._file: os.stat_result
        self._salts = b""
        self._others: InPlace
        self._descriptor: int | None = None
        self._broken: StoreBrokenError | None = None
        self._being_committed = Lock()
        self._far_at = 0
        """Where the salts of the frame are that is one too many."""
        self.is_long = False
        """Whether it is time for a checkpoint of ours: that frame is there, and of this round."""
        self.is_elsewhere = False
        """Whether it has lost its place: then only who has it open can still save what is in it."""

    def open(self, connection: sqlite3.Connection) -> None:
        """Sync what a process that died may have left in it, before anybody reads that. Raises StoreBrokenError."""
        # SQLite's own name for it, which may be in another directory: that of what a symbolic link points to.
        [(database,)] = connection.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchall()
        self._path = Path(f"{database}-wal")
        [(page_bytes,)] = connection.execute("PRAGMA page_size").fetchall()
        self._far_at = _HEADER_BYTES + (CHECKPOINT_FRAMES - 1) * (_FRAME_HEADER_BYTES + page_bytes) + _FRAME_SALTS_AT
        try:
            # Linux syncs what is open for reading, too.
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            self._file = os.fstat(self._descriptor)
            self._others = InPlace(Path(database), shared=self._shared)
        except OSError as error:
            self.close()
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
            descriptor = self._must_be_whole()
            try:
                return last()
            finally:
                self._sync(descriptor)

    def look(self) -> None:
        """At all the files, on the writer's thread. Raises StoreBrokenError when one is not as it was left."""
        self._see(self._must_be_whole())
        try:
            self._others.look()
        except StoreBrokenError as error:
            raise self.breaks(error) from error

    def note(self) -> None:
        """That the database is as long as it is now is our own doing. Raises StoreBrokenError."""
        try:
            self._others.note()
        except OSError as error:
            raise self.breaks(StoreBrokenError(f"the database cannot be found: {error}")) from error

    def breaks(self, error: StoreBrokenError) -> StoreBrokenError:
        """The same error; from now on every commit and every read that is `shown` raises it."""
        self._broken = error
        return error

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

    def _must_be_whole(self) -> int:
        """Its descriptor. Raises StoreBrokenError when it is shorter than it was left."""
        if self._broken is not None:
            raise self._broken
        assert self._descriptor is not None, "it is open"
        self._must_have(os.fstat(self._descriptor).st_size)
        return self._descriptor

    def _sync(self, descriptor: int) -> None:
        try:
            if synchronous() == 1:
                os.fdatasync(descriptor)
        except OSError as error:
            self._broken = StoreBrokenError(f"the WAL could not be synced: {error}")
            raise self._broken from error
        self._see(descriptor)

    def _see(self, descriptor: int) -> None:
        """Note how it is. Raises StoreBrokenError when its name is no longer its own, or its header is gone."""
        try:
            is_in_place = os.path.samestat(self._file, found := self._path.stat())
            salts = os.pread(descriptor, _SALTS_BYTES, _HEADER_SALTS_AT)
            is_long = found.st_size > self._far_at and salts == os.pread(descriptor, _SALTS_BYTES, self._far_at)
        except FileNotFoundError:
            is_in_place = False
        except OSError as error:
            raise self.breaks(StoreBrokenError(f"the WAL cannot be read: {error}")) from error
        if not is_in_place:
            # SQLite does not look: it would go on writing to a file that no restart can find.
            self.is_elsewhere = True
            raise self.breaks(StoreBrokenError(f"{self._path} was removed or replaced while it was in use"))
        self._must_have(found.st_size if any(salts) or not any(self._salts) else 0)
        self._file, self._salts, self.is_long = found, salts, is_long and not self._shared

    def _must_have(self, size: int) -> None:
        """Raises StoreBrokenError when that is less than SQLite left it with."""
        if size < min(self._file.st_size, WAL_BYTES_KEPT) and not self._shared:
            raise self.breaks(StoreBrokenError(f"{self._path} was cut short while it was in use"))
