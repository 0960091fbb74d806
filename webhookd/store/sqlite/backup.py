"""A copy of the database, made while it is in use, and called a backup only once it was read back and is on the disk.

SQLite's backup API, on the writer's own connection: whatever is committed meanwhile is carried along, so that it never
begins anew, and no reader keeps the WAL from being used again. It goes a few pages at a time, between two commits.
"""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Protocol

from webhookd.store.protocol.backups import BackupMade, NameTakenError, NoRoomError, Told
from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError
from webhookd.store.sqlite.connection import SCHEMA_VERSION, SerialConnection, open_alone, schema_version
from webhookd.store.sqlite.driver import driver, sorted_error
from webhookd.store.sqlite.statements import STATEMENTS
from webhookd.store.sqlite.uncut import to_its_end

DIRECTORY = "backups"
PAGES_TOGETHER = 64
"""Copied between two commits: 256 KiB, about a millisecond."""
REST_S = 0.001
"""At least so long between two turns; longer where a turn takes longer, so that commits have half of the time."""
SYNCED_BYTES = 4 * 2**20
"""Written to the disk so much at a time: a commit's own sync would have to wait for all that has piled up."""
_DRAFT = ".unfinished"
_CHECK_INSTRUCTIONS = 1_000_000


class Turns(Protocol):
    """When the source may be read: never while its own thread writes."""

    def take(self) -> None: ...

    def give_back(self) -> None: ...


class AlwaysOurs:
    """Nobody else has the connection."""

    def take(self) -> None:
        pass

    def give_back(self) -> None:
        pass


class WritersTurns:
    """The writer's thread stands aside for a moment, between two of the functions it is given."""

    def __init__(self, writer: SerialConnection, loop: asyncio.AbstractEventLoop) -> None:
        self._writer, self._loop = writer, loop
        self._over = Event()
        self._began = 0.0
        self._took_s = 0.0

    def take(self) -> None:
        """Raises StoreUnavailableError when there is no writer any more."""
        time.sleep(max(REST_S, self._took_s))
        granted, self._over = Event(), Event()
        standing_aside = self._writer.run(self._stand_aside(granted, self._over))
        stood_aside = asyncio.run_coroutine_threadsafe(standing_aside, self._loop)

        def ended(_future: "Future[None]") -> None:
            granted.set()

        stood_aside.add_done_callback(ended)
        granted.wait()
        if stood_aside.done():
            self._over.set()
            raise StoreUnavailableError("the store is being closed")
        self._began = time.monotonic()

    def give_back(self) -> None:
        self._took_s = time.monotonic() - self._began
        self._over.set()

    @staticmethod
    def _stand_aside(granted: Event, over: Event) -> Callable[[sqlite3.Connection], None]:
        def wait(_connection: sqlite3.Connection) -> None:
            granted.set()
            over.wait()

        return wait


class SqliteBackups:
    """Fits `store.protocol.backups.Backups`. `keep_free` bytes of the disk are not for backups."""

    def __init__(self, path: Path, writer: SerialConnection, reader: SerialConnection, keep_free: int) -> None:
        self._path, self._writer, self._reader, self._keep_free = path, writer, reader, keep_free

    def check(self, name: str) -> None:
        target = self._target(name)
        if target.exists():
            raise NameTakenError(f"{target} is there already: give another name")
        check_room(self._path, target.parent, size_of(self._path) + self._keep_free)

    async def make(self, name: str, told: Told) -> BackupMade:
        self.check(name)
        [(last_key,)] = await self._reader.read("log.last_key")
        source, turns = self._writer._conn, WritersTurns(self._writer, asyncio.get_running_loop())  # noqa: SLF001
        return await to_its_end(lambda: copy(source, self._target(name), told, turns, last_key=last_key))

    def _target(self, name: str) -> Path:
        return self._path.parent / DIRECTORY / name


def size_of(path: Path) -> int:
    """The database's bytes, with those that are still in its WAL."""
    return sum(each.stat().st_size for each in (path, path.with_name(f"{path.name}-wal")) if each.exists())


def check_room(path: Path, directory: Path, wanted: int) -> None:
    """Raises NoRoomError when there is not so much free where the directory is, or is going to be."""
    found = os.statvfs(directory if directory.exists() else path.parent)
    if (free := found.f_bavail * found.f_frsize) < wanted:
        raise NoRoomError(f"a copy of {path} takes {wanted} bytes of free disk and there are {free}: make room first")


def copy(
    source: sqlite3.Connection,
    target: Path,
    told: Told,
    turns: Turns | None = None,
    *,
    version: int = SCHEMA_VERSION,
    last_key: int = 0,
) -> BackupMade:
    """Make `target` a verified copy, mode 0600, fsynced with its directory. A crash leaves it, or a draft.

    `version` is the schema it must have, `last_key` an event that must be in it.
    Raises StoreError, OSError, and what `told` raises; then nothing is left.
    """
    target.parent.mkdir(mode=0o700, exist_ok=True)
    draft = target.with_name(f".{target.name}{_DRAFT}")
    remove_draft(draft)
    try:
        draft.touch(mode=0o600, exist_ok=False)
        _fill(source, draft, told, turns or AlwaysOurs())
        events = verified(draft, version, last_key, told)
        sync(draft)
        if target.exists():
            raise NameTakenError(f"{target} is there already: give another name")
        size = draft.stat().st_size
        draft.rename(target)
        for directory in (target.parent, target.parent.parent):
            sync(directory)
    except (driver.Error, sqlite3.Error, StoreBrokenError) as error:
        # The disk under the copy is no part of the store: whatever is wrong there, the store goes on.
        raise StoreUnavailableError(f"the copy was not made: {sorted_error(error)}") from error
    finally:
        remove_draft(draft)
    return BackupMade(str(target.resolve()), size, events)


def remove_drafts(data_dir: Path) -> int:
    """What a crash has left of copies; how many there were. Only for who holds the data directory."""
    drafts = [*(data_dir / DIRECTORY).glob(f".*{_DRAFT}")]
    for draft in drafts:
        remove_draft(draft)
    return len(drafts)


def _fill(source: sqlite3.Connection, draft: Path, told: Told, turns: Turns) -> None:
    # Neither a journal nor a sync: what is not whole is thrown away.
    with (
        _descriptor(draft) as descriptor,
        closing(open_alone(draft, journal_mode="OFF", synchronous="OFF")) as destination,
    ):
        (page_size,) = destination.execute("PRAGMA page_size").fetchone()
        synced = 0

        def between(_status: int, left: int, pages: int) -> None:
            nonlocal synced
            turns.give_back()
            done = (pages - left) * page_size
            told("copying", done, pages * page_size)
            if done > synced + SYNCED_BYTES:
                os.fdatasync(descriptor)
                synced = done
            turns.take()

        turns.take()
        try:
            source.backup(destination, pages=PAGES_TOGETHER, progress=between)
        finally:
            turns.give_back()


def verified(draft: Path, version: int, last_key: int, told: Told) -> int:
    """Events in it, once it has been read back. Raises StoreUnavailableError when it is not what it should be."""
    # One file, that may be moved about: there is no WAL beside it.
    with closing(open_alone(draft, journal_mode="DELETE", cell_size_check=1)) as connection:
        size = draft.stat().st_size

        def ask() -> None:
            told("verifying", 0, size)

        ask()
        # What it raises interrupts the statement.
        connection.set_progress_handler(ask, _CHECK_INSTRUCTIONS)
        found = schema_version(connection)
        [(line,), *_] = connection.execute("PRAGMA integrity_check(1)").fetchall()
        dangling = connection.execute("PRAGMA foreign_key_check").fetchone()
        (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
        # Only where it is asked for: before schema 4 nothing was past.
        last = connection.execute(STATEMENTS["log.last_key"]).fetchone()[0] if last_key else 0
    wrong = next(
        (
            text
            for text, is_so in (
                (str(line), line != "ok"),
                (f"a row of {dangling and dangling[0]} points to nothing", dangling is not None),
                (f"its schema is {found} and should be {version}", found != version),
                ("its log ends before the copy was begun", last < last_key),
            )
            if is_so
        ),
        None,
    )
    if wrong is not None:
        raise StoreUnavailableError(f"the copy is not whole and was thrown away: {wrong}; see `webhookd verify`")
    return int(events)


def remove_draft(draft: Path) -> None:
    for each in draft.parent.glob(f"{draft.name}*"):
        each.unlink(missing_ok=True)


def sync(path: Path) -> None:
    with _descriptor(path) as descriptor:
        os.fsync(descriptor)


@contextmanager
def _descriptor(path: Path) -> Iterator[int]:
    """Never of a database in use: closing it lets go of SQLite's locks."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
