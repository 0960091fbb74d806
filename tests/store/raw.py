"""Rows as they are kept, for what no protocol tells: in SQL that every engine understands."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, TypeVar, cast

import asyncpg

from tests.store.site import Store
from webhookd.core.delivery import DeliveryKey, Settlement
from webhookd.store.postgres import connection as postgres
from webhookd.store.sql.connection import Connection, Given, Rows, Table, Write
from webhookd.store.sqlite import statements as sqlite
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.store import SqliteStore

T = TypeVar("T")
Database = Callable[[], AbstractContextManager[Connection]]
"""An empty one; what is written to it is gone when it is left."""


async def read(store: Store, sql: str) -> list[Any]:
    """As the store's readers have it."""
    found: list[Any] = await cast(Any, store)._history_reader.query(sql)
    return found


async def write(store: Store, *statements: str) -> None:
    """One change, as any other of the store."""

    def change(connection: Connection) -> None:
        for statement in statements:
            ask(connection, statement)

    await make(store, change)


async def make(store: Store, change: Callable[[Connection], object]) -> object:
    made: object = await cast(Any, store)._change(change)
    return made


def blob(store: Store, content: bytes) -> str:
    """These bytes in SQL, which each engine says in its own way."""
    return f"x'{content.hex()}'" if isinstance(store, SqliteStore) else f"'\\x{content.hex()}'::bytea"


async def together(store: Store, *writes: Write) -> list[Any]:
    """In one batch: they queue before the first commit begins. What each gave, or raised."""
    futures = [cast(Any, store)._writes.submit(each) for each in writes]
    return await asyncio.gather(*futures, return_exceptions=True)


def ask(connection: Connection, sql: str) -> list[Any]:
    """SQL that is no statement of the store's; the rows that it gives."""
    if isinstance(connection, sqlite.Speaking):
        return connection.connection.execute(sql).fetchall()
    return cast(AtOnce, connection).ask(sql).fetchall()


@contextmanager
def in_memory() -> Iterator[Connection]:
    """An empty database of SQLite's."""
    with closing(driver.connect(":memory:", isolation_level=None, check_same_thread=False)) as connection:
        connection.executescript(sqlite.schema())
        yield sqlite.Speaking(connection)


class AtOnce:
    """A connection to PostgreSQL for who is in no session's function: each question is waited for where it is asked.

    Fits `store.sql.connection.Connection`.
    """

    def __init__(self, connection: asyncpg.Connection, runner: asyncio.Runner) -> None:
        self._speaking, self._runner = postgres.Speaking(connection, {}), runner

    @property
    def changes(self) -> int:
        return self._speaking.changes

    def execute(self, statement: str, given: Given = (), /) -> Rows:
        return self._wait(lambda: self._speaking.execute(statement, given))

    def execute_many(self, statement: str, given: Sequence[Given], /) -> Rows:
        return self._wait(lambda: self._speaking.execute_many(statement, given))

    def add(self, table: Table, nouns: Sequence[Any], /) -> int:
        return self._wait(lambda: self._speaking.add(table, nouns))

    def fenced(self, settlements: Sequence[Settlement], /) -> Collection[DeliveryKey]:
        return self._wait(lambda: self._speaking.fenced(settlements))

    def ask(self, sql: str) -> Rows:
        return self._wait(lambda: self._speaking.ask(sql))

    def _wait(self, question: Callable[[], T]) -> T:
        return self._runner.run(postgres.spoken(question))
