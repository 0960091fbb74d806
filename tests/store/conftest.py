"""A real store of each kind: SQLite on a real file, PostgreSQL on a real server, in a schema of its own.

What asks a store only what its protocols offer takes `store`, and runs on both. What looks into one kind's own means
takes a store of that kind.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.making import SEAL
from tests.postgres import Server
from tests.store.postgres_site import PostgresSite
from tests.store.raw import AtOnce, Database, in_memory
from tests.store.site import NewSite, Site, Store
from tests.store.sqlite_site import SqliteSite
from webhookd.store.postgres.database import connect, prepare
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.sql.connection import Connection
from webhookd.store.sqlite.store import SqliteStore

pytest.register_assert_rewrite(
    *(f"tests.store.{name}" for name in ("agreement", "machine", "machine_people", "machine_traffic"))
)
"""What the model and the store said is told when they differ."""
KINDS = ("sqlite", "postgres")
Found = Callable[[], SqliteStore | PostgresStore]


@pytest.fixture(scope="module", params=KINDS)
def new_site(request: pytest.FixtureRequest) -> NewSite:
    """Of each kind; what it keeps in files goes into the directory that it is given."""
    if request.param == "sqlite":
        return SqliteSite
    server: Server = request.getfixturevalue("postgres")
    return lambda _directory: PostgresSite(server.url())


@pytest.fixture
def site(new_site: NewSite, tmp_path: Path) -> Site:
    """Where a store of each kind is kept, for tests that open it themselves, or once more."""
    return new_site(tmp_path)


@pytest.fixture(params=KINDS)
def found(request: pytest.FixtureRequest, tmp_path: Path) -> Found:
    """The store as each next process finds it, neither opened nor unlocked."""
    if request.param == "sqlite":
        return partial(SqliteStore, tmp_path / "webhookd.db")
    server: Server = request.getfixturevalue("postgres")
    return partial(PostgresStore, server.url())


@pytest.fixture
async def store(site: Site) -> AsyncIterator[Store]:
    opened = await site.open()
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite_store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "webhookd.db")
    await opened.open()
    await opened.unlock(SEAL)
    yield opened
    await opened.close()


@pytest.fixture(scope="module", params=KINDS)
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An empty database each time it is asked for, on a connection: what is written is gone when the test leaves it."""
    if request.param == "sqlite":
        yield in_memory
        return
    server: Server = request.getfixturevalue("postgres")
    make = connect(server.url(), "test")
    with asyncio.Runner() as runner:
        runner.run(prepare(make))
        connection = runner.run(make())

        @contextmanager
        def in_a_transaction() -> Iterator[Connection]:
            at_once = AtOnce(connection, runner)
            at_once.ask("BEGIN")
            try:
                yield at_once
            finally:
                at_once.ask("ROLLBACK")

        yield in_a_transaction
        runner.run(connection.close())
