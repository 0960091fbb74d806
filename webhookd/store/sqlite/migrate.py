"""Brings a database of an earlier schema to the present one: a verified copy first, then one transaction.

What came of it is compared with `schema.sql` before it is committed: a file that was brought up to date and a new one
are made of the same. Only for who holds the data directory.
"""

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from webhookd.store.protocol.backups import Told
from webhookd.store.protocol.errors import StoreBrokenError, StoreError
from webhookd.store.protocol.store import Reread
from webhookd.store.seal import Seal, secret_of
from webhookd.store.sqlite.backup import DIRECTORY, check_room, copy, size_of
from webhookd.store.sqlite.connection import SCHEMA_VERSION, WrongDatabaseError, open_alone, schema_version
from webhookd.store.sqlite.driver import driver, in_its_words, sorted_error
from webhookd.store.sqlite.migrations import LEDGER_OF, step
from webhookd.store.sqlite.recount import Recount
from webhookd.store.sqlite.statements import schema

_PRAGMAS: dict[str, Any] = {
    "synchronous": 2,
    "foreign_keys": 0,  # tables are made anew in their place; all references are checked at the end
    "legacy_alter_table": 1,  # and what points to one goes on pointing to its name
    "secure_delete": 1,  # a secret that was sealed must not be left in a page that nothing uses
    "cell_size_check": 1,
    "journal_size_limit": 64 * 2**20,
}
_TICK_INSTRUCTIONS = 1_000_000
_COMMENT = re.compile(r"--[^\n]*")
_SPACE, _AROUND = re.compile(r"\s+"), re.compile(r"\s*([(),])\s*")


class Migrated(NamedTuple):
    schema: int
    """What it was."""
    backup: Path
    """The copy from before."""


class _Object(NamedTuple):
    """A row of sqlite_schema."""

    type: str
    name: str
    table: str
    sql: str | None


def outdated(path: Path) -> int | None:
    """The schema of a database that is to be brought up to date; None where there is none, or nothing to do.

    Raises WrongDatabaseError for one that is not ours, or newer.
    """
    if not path.exists():
        return None
    with closing(open_alone(path, read_only=True)) as connection:
        try:
            found = schema_version(connection)
        except (driver.Error, sqlite3.Error) as error:
            raise sorted_error(error) from error
    return found if 0 < found < SCHEMA_VERSION else None


def migrate(path: Path, seal: Seal, reread: Reread, told: Told, *, stamp: str, keep_free: int = 0) -> Migrated | None:
    """None when there was nothing to do. `stamp` is the time, in the copy's name.

    A crash, and whatever `told` raises, leaves the old schema or the new one; the copy stays if it may be the new one.
    Raises WrongDatabaseError, StoreError, OSError.
    """
    found = outdated(path)
    if found is None:
        return None
    directory = path.parent / DIRECTORY
    backup = _free_name(directory, f"before-schema-{SCHEMA_VERSION}-{stamp}")
    # The copy, and in the WAL at the most as much again.
    check_room(path, directory, 2 * size_of(path) + keep_free)
    # A checkpoint that SQLite makes by itself keeps its errors to itself.
    with closing(open_alone(path, wal_autocheckpoint=0, **_PRAGMAS)) as connection:
        copy(connection, backup, told, version=found)
        try:
            bring_up_to_date(connection, found, seal, reread, told)
        except StoreBrokenError:
            raise  # what the disk holds is unknown: the copy stays
        except BaseException:
            backup.unlink()  # nothing was changed; whoever tries again and again would fill the disk with copies
            raise
        told("writing", 0, 0)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except (driver.Error, sqlite3.Error) as error:
            raise sorted_error(error) from error
    return Migrated(found, backup)


def _free_name(directory: Path, stem: str) -> Path:
    """Who was killed after he had made a copy may be started again within the same second: his stays."""
    path, number = directory / f"{stem}.db", 1
    while path.exists():
        number += 1
        path = directory / f"{stem}-{number}.db"
    return path


def bring_up_to_date(connection: sqlite3.Connection, found: int, seal: Seal, reread: Reread, told: Told) -> None:
    """From schema `found` to the present one, in one transaction. Raises WrongDatabaseError, StoreError."""

    def sealed(text: str, endpoint: int, created_at: int) -> bytes:
        return seal.seal(text, secret_of(endpoint, created_at))

    def tick() -> None:
        told(doing, 0, 0)

    doing = "moving tables"
    connection.create_function("seal", 3, sealed)
    connection.set_progress_handler(tick, _TICK_INSTRUCTIONS)  # what it raises interrupts the statement
    try:
        connection.execute("BEGIN IMMEDIATE")
        blueprint = _blueprint()
        _drop(connection, ("trigger", "view"), lambda _object: True)
        for version in range(found + 1, SCHEMA_VERSION + 1):
            for statement in _statements(step(version)):
                connection.execute(statement)
        doing = "making indexes"
        _build(connection, blueprint)
        if found < LEDGER_OF:
            _count_again(connection, reread, told)
        doing = "checking references"
        _compare(connection, blueprint)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        doing = "writing"
        connection.execute("COMMIT")
    except (driver.Error, sqlite3.Error) as error:
        reason = sorted_error(error)
        if isinstance(reason, StoreError):
            raise reason from error
        raise WrongDatabaseError(
            f"the database says that it has schema {found}, and is not as a release of webhookd made that one "
            f"({in_its_words(error)}): use the version that wrote it; nothing was changed"
        ) from error
    finally:
        connection.set_progress_handler(None, 0)
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _count_again(connection: sqlite3.Connection, reread: Reread, told: Told) -> None:
    (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
    with closing(Recount(None, reread)) as recount:
        for done in recount.make_anew(connection):
            told("reading events again", done, events)


def _build(connection: sqlite3.Connection, blueprint: list[_Object]) -> None:
    """Whatever is not a table, as the blueprint has it, and the tables that are not there."""
    wanted = {(each.type, each.name): _plain(each.sql) for each in blueprint}
    _drop(connection, ("index",), lambda found: wanted.get((found.type, found.name)) != _plain(found.sql))
    there = {(each.type, each.name) for each in _objects(connection)}
    for each in blueprint:
        if each.sql is not None and (each.type, each.name) not in there:
            connection.execute(each.sql)


def _compare(connection: sqlite3.Connection, blueprint: list[_Object]) -> None:
    """Raises WrongDatabaseError unless it is what a new file would be, but for tables that are not ours."""
    ours = {each.table for each in blueprint}
    found = {(each.type, each.name, _plain(each.sql)) for each in _objects(connection) if each.table in ours}
    wanted = {(each.type, each.name, _plain(each.sql)) for each in blueprint}
    if differing := sorted({f"{kind} {name}" for kind, name, _sql in found ^ wanted}):
        raise driver.DatabaseError(f"what it is made of differs: {', '.join(differing)}")
    if (dangling := connection.execute("PRAGMA foreign_key_check").fetchone()) is not None:
        raise driver.DatabaseError(f"a row of {dangling[0]} points to nothing")


def _blueprint() -> list[_Object]:
    with closing(open_alone(Path(":memory:"))) as connection:
        connection.executescript(schema())
        return _objects(connection)


def _objects(connection: sqlite3.Connection) -> list[_Object]:
    rows = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid")
    return [_Object(*row) for row in rows.fetchall() if row[1] != "sqlite_sequence"]


def _drop(connection: sqlite3.Connection, types: tuple[str, ...], which: Callable[[_Object], bool]) -> None:
    for kind in types:  # triggers before views: those of a view go with it
        for each in _objects(connection):
            if each.type == kind and each.sql is not None and which(each):
                connection.execute(f'DROP {kind} "{each.name}"')


def _statements(script: str) -> Iterator[str]:
    """One at a time: the driver's executescript would commit first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if driver.complete_statement(statement):
            yield statement
            statement = ""


def _plain(sql: str | None) -> str | None:
    """Without what does not matter: comments and spaces."""
    return None if sql is None else _AROUND.sub(r"\1", _SPACE.sub(" ", _COMMENT.sub("", sql))).strip()
