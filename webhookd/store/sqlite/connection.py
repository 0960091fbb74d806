"""Opening the database so that 200 can mean fsynced: pragmas are read back, and nothing but this file opens it.

To close another descriptor of it would drop SQLite's locks (sqlite.org/howtocorrupt.html, 2.2).
"""

import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from webhookd.store.protocol.errors import StoreError
from webhookd.store.sql.connection import Connection, Given
from webhookd.store.sqlite.driver import driver, has_wal_reset_bug, sorted_error
from webhookd.store.sqlite.durable import WAL_BYTES_KEPT, DurableWal, synchronous
from webhookd.store.sqlite.patience import in_turn
from webhookd.store.sqlite.statements import STATEMENTS, Speaking, schema

T = TypeVar("T")
C = TypeVar("C", bound="SerialConnection")
APPLICATION_ID = 0x57484B44
SCHEMA_VERSION = 5
MOVED = 1_000_000
"""Added to the schema of a file whose log has moved elsewhere: no webhookd, not an older one either, opens it."""
_BUSY_TIMEOUT_MS = 5_000
_BESIDE_CACHE_KIB = 64 * 2**10
_WRITER_PRAGMAS = {
    "journal_mode": "wal",
    "busy_timeout": _BUSY_TIMEOUT_MS,
    "foreign_keys": 1,
    "trusted_schema": 0,
    "cell_size_check": 1,
    "mmap_size": 0,
    "temp_store": 2,
    "journal_size_limit": WAL_BYTES_KEPT,
    "wal_autocheckpoint": 0,
}
_READER_PRAGMAS = {"query_only": 1, "busy_timeout": _BUSY_TIMEOUT_MS, "wal_autocheckpoint": 0, "mmap_size": 0}


class WrongDatabaseError(StoreError):
    """The file is not webhookd's, or was written by a newer webhookd, or the disk does not keep to the settings."""


class OutdatedDatabaseError(WrongDatabaseError):
    """The file is webhookd's, of an earlier schema."""


class MovedDatabaseError(WrongDatabaseError):
    """The log that was in the file is in PostgreSQL now."""


class SerialConnection(aiosqlite.Connection):
    """aiosqlite's connection on its own thread, run a whole function at a time. Fits `store.sql.connection.Reader`.

    A transaction of several awaited statements can be cut in half by a cancelled task; one function cannot.
    """

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Run it on the connection's thread. Once begun it ends, whether or not anyone still waits."""
        try:
            result: T = await self._execute(function, self._conn)  # type: ignore[no-untyped-call]
        except (driver.Error, sqlite3.Error) as error:
            raise sorted_error(error) from error
        return result

    async def read(self, statement: str, given: Given = (), /) -> list[Any]:
        """One statement as one short snapshot, read as `in_turn` has it. Raises StoreUnavailableError."""
        return await self.query(STATEMENTS[statement], given)

    async def query(self, sql: str, given: Given = ()) -> list[Any]:
        """The same of SQL that is no statement of the store's."""
        return await in_turn(self.run, lambda connection: connection.execute(sql, given).fetchall())

    async def look(self, function: Callable[[Connection], T], /) -> T:
        """The same of all that a function reads: one snapshot, of several statements."""

        def within(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN")
            try:
                return function(Speaking(connection))
            finally:
                connection.execute("ROLLBACK")

        return await in_turn(self.run, within)


class Writer(SerialConnection):
    """The one connection that writes. A transaction of it ends with `wal.commit`."""

    wal: DurableWal

    async def close(self) -> None:
        await super().close()
        self.wal.close()


async def open_writer(path: Path, *, checkpoints: bool = True) -> Writer:
    """The one connection that writes and, unless another process does, checkpoints. Makes the schema of a new file.

    Raises WrongDatabaseError for a file that is not ours to write, and for a SQLite that must not share checkpoints.
    """
    if not checkpoints and has_wal_reset_bug(driver.sqlite_version_info):
        raise WrongDatabaseError(
            f'store.checkpoint: "external" would lose commits with SQLite {driver.sqlite_version} '
            '(sqlite.org/wal.html, the WAL-reset bug): it takes 3.51.3, or set it to "own"'
        )
    pragmas = _WRITER_PRAGMAS | {"synchronous": synchronous()}
    _must_have_its_database(path)
    # SQLite gives the WAL the mode of the database.
    if not path.exists():
        path.touch(mode=0o600)
    wal = DurableWal(shared=not checkpoints)
    writer = await _open(Writer, str(path), _recognise, _give_back_space, _set(path, pragmas), _create, wal.open)
    writer.wal = wal
    return writer


async def open_reader(path: Path) -> SerialConnection:
    """A connection that cannot write and never checkpoints, not even if it is the last to close; it is one of those."""
    return await _open(SerialConnection, _read_only(path), _set(path, _READER_PRAGMAS), _is_empty)


def open_alone(path: Path, *, read_only: bool = False, **pragmas: object) -> sqlite3.Connection:
    """A file that no daemon has open: a copy, or the database before the store is opened. Raises StoreError.

    What was opened read only leaves the WAL as it is when it is closed.
    """
    _must_have_its_database(path)
    name = _read_only(path) if read_only else str(path)
    connection = driver.connect(name, isolation_level=None, check_same_thread=False, uri=read_only)
    try:
        for name, value in {"busy_timeout": _BUSY_TIMEOUT_MS, "mmap_size": 0, **pragmas}.items():
            connection.execute(f"PRAGMA {name} = {value}")
    except Exception as error:
        connection.close()
        raise sorted_error(error) from error
    return connection


def schema_version(connection: sqlite3.Connection) -> int:
    """0 for an empty file. Raises WrongDatabaseError for one that is another program's, or newer."""
    if _is_empty(connection):
        return 0
    with suppress(OutdatedDatabaseError):
        _recognise(connection)
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def open_beside(path: Path | None) -> sqlite3.Connection:
    """An empty database of its own, in a file without a name, with the log attached as `log`, if there is to be one.

    The log is read only here, whoever else has it open; without a daemon, too. Raises WrongDatabaseError, StoreError,
    OSError.
    """
    # SQLite's own temporary databases are in memory alone where it was built so, as the wheel is.
    with tempfile.NamedTemporaryFile(prefix="webhookd-", dir=_roomy_dir()) as file:
        connection = driver.connect(file.name, isolation_level=None, check_same_thread=False, uri=True)
        try:
            connection.execute("PRAGMA main.journal_mode = MEMORY")
            connection.execute("PRAGMA main.synchronous = 0")
            connection.execute(f"PRAGMA main.cache_size = -{_BESIDE_CACHE_KIB}")
            connection.executescript(schema())
        except Exception as error:
            connection.close()
            raise sorted_error(error) from error
    try:
        connection.execute("DROP TRIGGER event_is_owed")  # there is nobody to owe it to
        if path is not None:
            _must_have_its_database(path)
            connection.execute("ATTACH ? AS log", (_read_only(path),))
            if _is_empty(connection, "log."):
                raise WrongDatabaseError(
                    "the file holds no log; a copy of a database in use needs the file that ends in -wal beside it"
                )
            _recognise(connection, "log.")
        connection.execute("PRAGMA synchronous = 0")
    except Exception as error:
        connection.close()
        raise sorted_error(error) from error
    return connection


def _roomy_dir() -> str | None:
    """Where a file may grow: /tmp is memory on many a machine. None for the default."""
    roomy = "/var/tmp"  # noqa: S108 - the file is made by tempfile
    return roomy if "TMPDIR" not in os.environ and os.access(roomy, os.W_OK) else None


def _read_only(path: Path) -> str:
    return f"{path.resolve().as_uri()}?mode=ro"


def _must_have_its_database(path: Path) -> None:
    """SQLite takes the WAL of an empty database for a leftover and removes it (`pagerOpenWalIfPresent` in pager.c).

    Raises WrongDatabaseError.
    """
    database = path.resolve()
    size, left = (each.stat().st_size if each.exists() else 0 for each in (database, Path(f"{database}-wal")))
    if not size and left:
        raise WrongDatabaseError(
            f"{database} is missing or empty, but not its WAL, with what was acknowledged last: put the database back"
        )


async def _open(kind: type[C], name: str, *steps: Callable[[sqlite3.Connection], object]) -> C:
    def connect() -> sqlite3.Connection:
        is_uri = name.startswith("file:")
        return driver.connect(name, isolation_level=None, check_same_thread=False, cached_statements=300, uri=is_uri)

    connection = kind(connect, 64)
    try:
        await connection
        for step in steps:
            await connection.run(step)
    except BaseException as error:
        await aiosqlite.Connection.close(connection)
        raise (sorted_error(error) if isinstance(error, Exception) else error) from error
    return connection


def _set(path: Path, pragmas: dict[str, Any]) -> Callable[[sqlite3.Connection], None]:
    def set_and_read_back(connection: sqlite3.Connection) -> None:
        for name, wanted in pragmas.items():
            connection.execute(f"PRAGMA {name} = {wanted}")
            (found,) = connection.execute(f"PRAGMA {name}").fetchone()
            if found != wanted:
                raise WrongDatabaseError(f"{path}: SQLite keeps {name} at {found!r}, not {wanted!r}")

    return set_and_read_back


def _is_empty(connection: sqlite3.Connection, database: str = "") -> bool:
    """Raises WrongDatabaseError for what is no database at all."""
    try:
        (tables,) = connection.execute(f"SELECT count(*) FROM {database}sqlite_schema").fetchone()  # noqa: S608
    except driver.DatabaseError as error:
        if getattr(error, "sqlite_errorname", None) != "SQLITE_NOTADB":
            raise
        raise WrongDatabaseError(
            "the database file is no SQLite database: it was overwritten, or is another's; put it back from a backup"
        ) from None
    return bool(tables == 0)


def _give_back_space(connection: sqlite3.Connection) -> None:
    """A new file is made so that retention can shorten it: that is decided before anything is written to it."""
    if _is_empty(connection):
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")


def _create(connection: sqlite3.Connection) -> None:
    if _is_empty(connection):
        # In one transaction, so that a crash leaves no schema or the whole one.
        connection.executescript(f"BEGIN IMMEDIATE; {schema()} COMMIT;")


def _recognise(connection: sqlite3.Connection, database: str = "") -> None:
    """Before anything is set in it: a stranger's file stays as it is."""
    if _is_empty(connection, database):
        return
    (application_id,) = connection.execute(f"PRAGMA {database}application_id").fetchone()
    (version,) = connection.execute(f"PRAGMA {database}user_version").fetchone()
    if application_id != APPLICATION_ID:
        raise WrongDatabaseError("the database file is another program's (its application_id is not webhookd's)")
    if version > MOVED:
        raise MovedDatabaseError(_where_it_is(connection, database))
    if version > SCHEMA_VERSION or version < 1:
        raise WrongDatabaseError(
            f"the database has schema {version} and this webhookd knows {SCHEMA_VERSION}: use the version that wrote it"
            ", or a backup that was made before that one"
        )
    if version < SCHEMA_VERSION:
        raise OutdatedDatabaseError(
            f"the database has schema {version} and this webhookd works with {SCHEMA_VERSION}: `webhookd serve` brings "
            "it up to date when it starts, `webhookd migrate` does so and no more"
        )


def _where_it_is(connection: sqlite3.Connection, database: str) -> str:
    target, at = connection.execute(
        f"SELECT target, strftime('%Y-%m-%dT%H:%M:%SZ', at / 1000, 'unixepoch') FROM {database}moved"  # noqa: S608
    ).fetchone()
    return (
        f"the log of this file was moved to {target} at {at}: set store.url to that, and store.key to the key that was "
        "used here; or go back with `webhookd move --undo`, as long as no daemon has been started there"
    )
