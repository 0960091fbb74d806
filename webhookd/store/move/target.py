"""Where the log moves to: a schema of PostgreSQL's that no daemon opens before all of the log is in it.

A stretch is written in one transaction, which also holds its gist, and takes the place of what was there of it before.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Self

import asyncpg

from webhookd.postgres_errors import LOST, in_its_words
from webhookd.store.move.source import FEW, HANGING, KEY_MAX, Read, Stretch
from webhookd.store.move.writing import NotTakenError, Rows, Writing, as_kept
from webhookd.store.postgres.database import (
    SCHEMA_VERSION,
    UNFINISHED,
    UnfitDatabaseError,
    connect,
    make_if_empty,
    prepare,
)
from webhookd.store.postgres.weeks import week_of
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.store import WrongStoreError

WEEKS_MAX = 1_040
"""Partitions are made for so many weeks at most, which are twenty years; the rest lies in that of no week."""
TABLES = {"past": "line"}
"""What is called otherwise than in SQLite."""
NUMBERED = ("endpoint", "replay", "token", "audit")
ALL = ("event", "line", "identity", "alias", "conflict", "delivery", "attempt", "ledger", "reference")
_IDENTITY = ("source", "provider_event_id", "key", "salt", "sha256")
_MAKE = """
    CREATE TABLE origin (log text NOT NULL, begun_at bigint NOT NULL, is_whole boolean NOT NULL DEFAULT false);
    UPDATE webhookd SET schema_version = {unfinished};
"""
_MAKE_READY = """
    CREATE TABLE IF NOT EXISTS stretch (
      after bigint NOT NULL, last bigint PRIMARY KEY, gist text NOT NULL, events bigint NOT NULL);
    ALTER TABLE event DISABLE TRIGGER USER;
    ALTER TABLE attempt DISABLE TRIGGER USER;
"""
_BESIDE = """
    SET idle_in_transaction_session_timeout = 0;
    CREATE TEMPORARY TABLE said_ledger (LIKE ledger) ON COMMIT DELETE ROWS;
    CREATE TEMPORARY TABLE said_reference (LIKE reference) ON COMMIT DELETE ROWS;
"""
_OF_LEDGER = ("provider", "kind", "id")
_OF_REFERENCE = ("name", "provider", "payment_id")
_FORGET = "DELETE FROM stretch WHERE last = (SELECT max(last) FROM stretch) AND (events < $1 OR last = $2)"
_WEEKS = """
    SELECT split_part(c.relname, '_w', 2)::bigint FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'event'::regclass AND c.relname ~ '_w\\d+$'
"""
_STILL_OFF = """
    SELECT count(*) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal AND t.tgenabled <> 'O'
"""


class TargetTakenError(WrongStoreError):
    """There is something else where the log is to go. The message says what to do."""


class Target(Writing):
    """Holds a connection, and is the only one to move a log there."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        super().__init__(connection)
        self._weeks: set[int] = set()
        self.is_whole = False
        """Whether all is there, and it only has to be said so."""
        self.is_open = False
        """Whether a daemon may open it."""

    @classmethod
    async def open(cls, url: str, log: str, now_ms: int, *, may_make: bool = True) -> Self:
        """Go on with what a move of this log has left there; or make the schema, if that `may` be.

        Raises UnfitDatabaseError, TargetTakenError, StoreUnavailableError.
        """
        make = connect(url, "move")

        async def see(connection: asyncpg.Connection) -> None:
            is_made = await make_if_empty(connection)
            if is_made and not may_make:  # what was made is undone by this
                raise TargetTakenError("store.url: the log was moved, and not there: give the URL that it was moved to")
            if is_made:
                await connection.execute(_MAKE.format(unfinished=UNFINISHED) + _MAKE_READY)
                await connection.execute("INSERT INTO origin (log, begun_at) VALUES ($1, $2)", log, now_ms)
            else:
                await _see_that_it_is_ours(connection, log)

        await prepare(make, see)
        try:
            connection = await make()
        except (TimeoutError, asyncpg.PostgresError, *LOST) as error:
            raise StoreUnavailableError(f"store.url: PostgreSQL cannot be reached: {in_its_words(error)}") from error
        self = cls(connection)
        try:
            await self._begin()
        except BaseException:
            connection.terminate()
            raise
        return self

    async def close(self) -> None:
        try:
            await self.connection.close(timeout=5)
        except (TimeoutError, *LOST):
            self.connection.terminate()

    async def stretches(self) -> Sequence[tuple[Stretch, str]]:
        """What is there, with the gist of what it was read as, in the order of the log."""
        async with self.sorted():
            rows = await self.connection.fetch("SELECT after, last, gist FROM stretch ORDER BY last")
            return [(Stretch(row[0], row[1]), row[2]) for row in rows]

    async def forget_the_last(self, events: int) -> None:
        """If it has fewer events than that, or is open at its end: it is written again, with what has come."""
        async with self.sorted():
            await self.connection.execute(_FORGET, events, KEY_MAX)

    async def put(self, read: Read, columns: Mapping[str, Sequence[str]]) -> None:
        """In the place of what was there of the stretch. Raises TwiceError, NotTakenError, StoreUnavailableError."""
        stretch, rows = read.stretch, {table: as_kept(columns[table], each) for table, each in read.rows.items()}
        rows["identity"] = [
            tuple(row[columns[table].index(name)] for name in _IDENTITY)
            for table in ("event", "past")
            for row in rows[table]
        ]
        named = {**columns, "identity": _IDENTITY}
        hanging = {**HANGING, "identity": "key"}
        async with self.transaction():
            for table, key in reversed(hanging.items()):
                drop = f"DELETE FROM {TABLES.get(table, table)} WHERE {key} > $1 AND {key} <= $2"  # noqa: S608
                await self.execute(drop, *stretch)
            made = await self._make_weeks({week_of(row[columns["event"].index("key")]) for row in rows["event"]})
            for table in hanging:
                await self.copy(TABLES.get(table, table), named[table], rows[table])
            await self._merge("ledger", _OF_LEDGER, columns["ledger"], rows["ledger"])
            await self._merge("reference", _OF_REFERENCE, columns["reference"], rows["reference"])
            for table, key in hanging.items():
                where = f"WHERE {key} > $1 AND {key} <= $2"
                await self.see_same(TABLES.get(table, table), named[table], rows[table], where, *stretch)
            await self.execute(
                "INSERT INTO stretch VALUES ($1, $2, $3, $4) ON CONFLICT (last) DO UPDATE SET gist = $3, "
                "after = $1, events = $4",
                *stretch,
                read.gist,
                len(rows["event"]) + len(rows["past"]),
            )
        self._weeks |= made

    async def _merge(self, table: str, named_by: Sequence[str], columns: Sequence[str], rows: Rows) -> None:
        """Rows that other stretches may have brought, too. By the index, one by one: the table may be large."""
        listed, names = ", ".join(columns), ", ".join(named_by)
        await self.copy(f"said_{table}", columns, rows)
        changes = ", ".join(f"{name} = excluded.{name}" for name in columns)
        what = f"INSERT INTO {table} ({listed}) SELECT {listed} FROM said_{table}"  # noqa: S608
        await self.execute(f"{what} ON CONFLICT ({names}) DO UPDATE SET {changes}")
        these = " AND ".join(f"its.{name} = said.{name}" for name in named_by)
        one = f"SELECT its.* FROM {table} AS its WHERE {these} OFFSET 0"  # noqa: S608
        found = f"SELECT its.* FROM said_{table} AS said CROSS JOIN LATERAL ({one}) AS its"  # noqa: S608
        await self.see_same(f"({found}) AS its", columns, rows)

    async def put_trail(self, rows: Rows, columns: Sequence[str]) -> None:
        """More of the audit trail."""
        async with self.transaction():
            kept = as_kept(columns, rows)
            await self.copy("audit", columns, kept)
            await self.see_same("audit", columns, kept, "WHERE number >= $1", rows[0][0])

    async def end_of_trail(self) -> int:
        async with self.sorted():
            return int(await self.connection.fetchval("SELECT coalesce(max(number), 0) FROM audit"))

    async def analyze(self) -> None:
        """Tell the planner what is there: who opens it would otherwise read all of it for little."""
        async with self.sorted():
            for table in ALL:
                await self.connection.execute(f"ANALYZE {table}")

    async def counts(self) -> dict[str, int]:
        """How many rows each table has, by its name in SQLite."""
        ours = {theirs: name for name, theirs in TABLES.items()}
        async with self.sorted():
            return {
                ours.get(table, table): await self.connection.fetchval(f"SELECT count(*) FROM {table}")  # noqa: S608
                for table in (*ALL, *FEW, "audit")
            }

    async def put_anew(self, table: str, columns: Sequence[str], parts: Iterable[Rows]) -> None:
        """All of a table, as it is now, in one transaction."""
        async with self.transaction():
            await self.execute(f"DELETE FROM {table}")  # noqa: S608
            for part in parts:
                await self.copy(table, columns, as_kept(columns, part))

    async def complete(
        self, few: Mapping[str, Rows], columns: Mapping[str, Sequence[str]], numbers: Mapping[str, int], trail_from: int
    ) -> None:
        """The rest, in one transaction. After it all is there, and still no daemon opens it."""
        async with self.transaction():
            await self.execute("DELETE FROM audit WHERE number < $1", trail_from)
            await self.execute("DELETE FROM claim")
            for table in reversed(FEW):
                await self.execute(f"DELETE FROM {table}")  # noqa: S608
            for table in FEW:
                kept = as_kept(columns[table], few[table])
                await self.copy(table, columns[table], kept)
                await self.see_same(table, columns[table], kept)
            for table in NUMBERED:
                if (number := numbers.get(table, 0)) > 0:
                    await self.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'number'), $1)", number)
            for table in ("event", "attempt"):
                await self.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
            if await self.connection.fetchval(_STILL_OFF):
                raise NotTakenError("store.url: triggers that were off cannot be switched on again")
            await self.execute("UPDATE origin SET is_whole = true")
        self.is_whole = True

    async def take_more(self) -> None:
        """The contrary of `complete`: stretches may be written again. And no daemon opens it."""
        async with self.transaction():
            await self.execute("UPDATE webhookd SET schema_version = $1", UNFINISHED)
            await self.execute("UPDATE origin SET is_whole = false")
            await self.connection.execute(_MAKE_READY)
        self.is_whole = self.is_open = False

    async def let_in(self) -> None:
        """From the end of this on a daemon may open it. Raises NotTakenError when not all is there."""
        if not self.is_whole:
            raise NotTakenError("store.url: not all of the log is there")
        async with self.transaction():
            await self.execute("UPDATE webhookd SET schema_version = $1", SCHEMA_VERSION)
        self.is_open = True

    async def let_nobody_in(self) -> None:
        """The contrary."""
        async with self.transaction():
            await self.execute("UPDATE webhookd SET schema_version = $1", UNFINISHED)
        self.is_open = False

    async def tidy_up(self) -> None:
        """What nobody needs once a daemon has come."""
        async with self.transaction():
            await self.execute("DROP TABLE IF EXISTS stretch")

    async def is_untouched(self) -> bool:
        """Whether no daemon has ever had it open."""
        async with self.sorted():
            name = await self.connection.fetchval("SELECT pg_get_serial_sequence('node', 'number')")
            return not await self.connection.fetchval(f"SELECT is_called FROM {name}")  # noqa: S608

    # --- Within a transaction

    async def _begin(self) -> None:
        async with self.sorted():
            if not await self.connection.fetchval(
                "SELECT pg_try_advisory_lock(hashtextextended(current_schema() || ' move', 0))"
            ):
                raise TargetTakenError("store.url: another `webhookd move` is at work there: wait until it has ended")
            await self.connection.execute(_BESIDE)
            version = await self.connection.fetchval("SELECT schema_version FROM webhookd")
            self.is_whole = await self.connection.fetchval("SELECT is_whole FROM origin")
            self.is_open = version != UNFINISHED
            weeks = await self.connection.fetch(_WEEKS)
            self._weeks = {row[0] for row in weeks}

    async def _make_weeks(self, weeks: set[int]) -> set[int]:
        missing = sorted(weeks - self._weeks)[: max(0, WEEKS_MAX - len(self._weeks))]
        for week in missing:
            for table in ("event", "attempt"):
                await self.execute(f"SELECT make_week('{table}', $1)", week)
            await self.execute("ALTER TABLE event DISABLE TRIGGER USER")  # that of the new partition, too
        return {*missing}


async def _see_that_it_is_ours(connection: asyncpg.Connection, log: str) -> None:
    its = await connection.fetchval("SELECT quote_ident(current_schema())")
    if await connection.fetchval("SELECT to_regclass('origin') IS NULL"):
        raise TargetTakenError(
            f"store.url: the schema {its} is a store already, and a log moves where nothing is: name another one with "
            f"?search_path=, or, if nothing in it is worth keeping, DROP SCHEMA {its} CASCADE"
        )
    if await connection.fetchval("SELECT log FROM origin") != log:
        raise TargetTakenError(
            f"store.url: the schema {its} holds what was moved there of another log: name another with ?search_path="
        )
    if await connection.fetchval("SELECT schema_version FROM webhookd") not in (SCHEMA_VERSION, UNFINISHED):
        raise UnfitDatabaseError(f"store.url: the schema {its} is of another version of webhookd: use that one")
