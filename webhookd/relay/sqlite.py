"""An outbox in an application's file of SQLite's.

All is done in short transactions of a thread of its own. The file is the application's: it is never made here, its
journal mode is left as it is, and its WAL is never checkpointed by this process while the application has it open.
"""

import asyncio
import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from webhookd.relay.sqlite_shape import shape_of
from webhookd.relay.statements import for_sqlite
from webhookd.relay.table import LOOK_S, AwayError, OutboxError, Row, UnfitError

T = TypeVar("T")
BUSY_TIMEOUT_S = 2.0
"""So long a transaction of the application's is waited for."""
WORDS_CHARS_MAX = 200
GLANCE_S = 0.1
"""Between two looks at whether another connection has committed anything: a word of shared memory, or of the header."""
_AWAY = ("SQLITE_IOERR", "SQLITE_FULL", "SQLITE_NOMEM", "SQLITE_PROTOCOL")


class SqliteTable:
    """Fits `table.Table`. `own` is the file of webhookd's own store, if that is in one: it is nobody's outbox."""

    def __init__(self, file: str, name: str, *, is_marked: bool, own: Path | None) -> None:
        self._file = Path(file)
        self._name = name
        self._is_marked = is_marked
        self._own = own
        self._connection: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._seen: tuple[int, int] | None = None
        """What the last glance saw before rows were read; None: it is to be read anew."""

    async def open(self) -> None:
        self._thread = ThreadPoolExecutor(1, "outbox")
        self._seen = None
        await self._run(self._open)

    async def waiting(self, known: Collection[Any], body_bytes_max: int) -> Sequence[Row]:
        return await self._run(lambda: self._read(known, body_bytes_max))

    async def backlog(self) -> tuple[int, int | None]:
        return await self._run(self._backlog)

    async def take(self, keys: Collection[Any], refused: Mapping[Any, str]) -> Collection[Any]:
        keys, refused = list(keys), dict(refused)
        return await self._run(lambda: self._take(keys, refused))

    async def changed(self) -> None:
        """Return soon after the application's next commit, whatever it is of."""
        until = asyncio.get_running_loop().time() + LOOK_S
        while asyncio.get_running_loop().time() < until:
            if await self._run(self._glance) != self._seen:
                return
            await asyncio.sleep(GLANCE_S)

    async def close(self) -> None:
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        thread.submit(self._close)  # after what a cancelled task has left running
        thread.shutdown(wait=False)

    async def _run(self, function: Callable[[], T]) -> T:
        assert self._thread is not None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function)
        except sqlite3.Error as error:
            raise self._sorted(error) from error
        except OSError as error:
            raise AwayError(f"{self._file}: {error.strerror}") from error

    # --- On its thread

    def _open(self) -> None:
        status = self._file.stat()
        if self._own is not None and self._own.exists() and self._own.samefile(self._file):
            # Before it is opened: closing it again would drop the store's locks.
            raise UnfitError(f"{self._file} is webhookd's own store: name the application's file")
        self._place = (status.st_dev, status.st_ino)
        self._connection = connection = sqlite3.connect(
            f"{self._file.resolve().as_uri()}?mode=rw",
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
            check_same_thread=False,
            uri=True,
        )
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
        for pragma in ("wal_autocheckpoint = 0", "trusted_schema = 0", "cell_size_check = 1", "mmap_size = 0"):
            connection.execute(f"PRAGMA {pragma}")
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            # What is taken and not kept so is taken again; the application's own next commit syncs it, too.
            connection.execute("PRAGMA synchronous = NORMAL")
        self._shape = shape_of(connection, str(self._file), self._name, is_marked=self._is_marked)
        self._statements = for_sqlite(self._shape)

    def _read(self, known: Collection[Any], body_bytes_max: int) -> Sequence[Row]:
        self._seen = self._glance()
        assert self._connection is not None
        passed_over = json.dumps([key for key in known if isinstance(key, str | int)])
        rows = self._connection.execute(self._statements.waiting, (passed_over, body_bytes_max))
        return [self._row(*row) for row in rows]

    def _backlog(self) -> tuple[int, int | None]:
        assert self._connection is not None
        count, oldest = self._connection.execute(self._statements.backlog).fetchone()
        return count, oldest if isinstance(oldest, int) else None

    def _row(self, key: Any, size: int, body: Any, *values: Any) -> Row:
        said = zip(self._shape.read, values, strict=True)
        columns = {name: str(value) for name, value in said if isinstance(value, str | int)}
        body = _bytes(body) if isinstance(body, str) else body
        return Row(key, columns, body if isinstance(body, bytes) else None, size)

    def _take(self, keys: Sequence[Any], refused: Mapping[Any, str]) -> Collection[Any]:
        connection = self._connection
        assert connection is not None
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if _is_busy(error):
                return [*keys, *refused]  # a transaction of the application's has it
            raise
        try:
            connection.executemany(self._statements.take, map(_key, keys))
            connection.executemany(self._statements.refuse, [(*_key(key), why) for key, why in refused.items()])
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return ()

    def _glance(self) -> tuple[int, int]:
        """What changes when another connection has committed. Raises AwayError when another file is in its place."""
        assert self._connection is not None
        status = self._file.stat()
        if (status.st_dev, status.st_ino) != self._place:
            raise AwayError(f"{self._file} was replaced: it is opened again")
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return version, status.st_ino

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _sorted(self, error: sqlite3.Error) -> OutboxError:
        name = getattr(error, "sqlite_errorname", None) or type(error).__name__
        if _is_busy(error):
            return AwayError(f"{self._file} is locked by another process: its transaction is waited for")
        if name.startswith(_AWAY):
            return AwayError(f"{self._file}: {name}")
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
            return UnfitError(
                f"{self._file} cannot be written ({name}): let the user of this process write to it and to its "
                "directory, for example by a group that it shares with the application"
            )
        if name == "SQLITE_NOTADB":
            return UnfitError(f"{self._file} is no database of SQLite's")
        return UnfitError(f"{self._file}: {str(error)[:WORDS_CHARS_MAX]}")


def _is_busy(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorname", None) or "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _key(key: Any) -> tuple[Any, Any]:
    """As a statement takes it: itself, or the bytes of a text."""
    return (None, _bytes(key)) if isinstance(key, str) else (key, None)
