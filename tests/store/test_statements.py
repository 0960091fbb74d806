"""The statements by name: every engine has each, and in words of its own only where those of all would not do."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from importlib import resources

import asyncpg
import pytest

from tests.postgres import Server
from webhookd.store.postgres import statements as of_postgres
from webhookd.store.postgres.database import connect, prepare
from webhookd.store.sql.statements import named
from webhookd.store.sqlite import statements as of_sqlite

SQLITE_ALONE = {"audit", "due", "recount"}
POSTGRES_ALONE = {"add", "audit", "change", "claims", "due", "leaving", "recount", "weeks"}
"""Files of what one engine alone is asked."""
BESIDE = {"chronicle.put", "chronicle.stood", "chronicle.payment_stood"}
"""What is asked of a database beside the store, which is SQLite's whatever the store is."""
SMALL = {
    *((f"log.{name}_back_to", "looks") for name in ("events", "odd_events", "deliveries", "deliveries_given_up")),
    *((name, "looks") for name in ("ledger.first_heard_back_to", "lookup.pending_back_to", "log.newer_events_up_to")),
    *((f"log.{name}", 2) for name in ("waits_until", "waits_from")),  # a priority
    ("log.retime", 3),
    *((f"log.{name}", 2) for name in ("route", "unroute", "set_routes")),  # yes or no
    ("log.route", 6),
    ("log.set_routes", 5),
    ("replay.begin", "total_is_exact"),
}
"""The parameters that PostgreSQL takes for less than 64 bits: a statement, and a name or a place in it. So they are."""


@pytest.fixture
async def connection(postgres: Server) -> AsyncIterator[asyncpg.Connection]:
    """To a schema as it is when it was made, with what a recount has beside it for itself."""
    make = connect(postgres.url(), "test")
    await prepare(make)
    made = await make()
    for name, statement in of_postgres.STATEMENTS.items():
        if name.startswith("recount.make_"):
            await made.execute(statement.sql)
    yield made
    await made.close()


def shared(names: Iterable[str], alone: set[str]) -> set[str]:
    return {name for name in names if name.partition(".")[0] not in alone}


def written_in(package: str) -> Mapping[str, str]:
    return {
        f"{file.name.removesuffix('.sql')}.{name}": sql
        for file in resources.files(f"webhookd.store.{package}").iterdir()
        if file.name.endswith(".sql") and file.name != "schema.sql"
        for name, sql in named(file.read_text(encoding="utf-8")).items()
    }


def test_every_engine_answers_to_the_same_names():
    sqlites = shared(of_sqlite.STATEMENTS, SQLITE_ALONE) - BESIDE
    postgress = shared(of_postgres.STATEMENTS, POSTGRES_ALONE)
    assert sqlites - postgress == postgress - sqlites == set()


@pytest.mark.parametrize(("package", "heard"), [("sqlite", str), ("postgres", of_postgres.spoken)])
def test_no_words_of_an_engine_say_what_those_of_all_say(package: str, heard: Callable[[str], object]):
    of_all = written_in("sql")
    its = written_in(package)
    assert [name for name in its.keys() & of_all.keys() if heard(its[name]) == heard(of_all[name])] == []


async def test_postgresql_understands_every_statement_and_numbers_of_any_size(connection: asyncpg.Connection):
    refused, small = {}, set()
    for name, statement in of_postgres.STATEMENTS.items():
        try:
            parameters = (await connection.prepare(statement.sql)).get_parameters()
        except asyncpg.PostgresError as error:
            refused[name] = str(error)
            continue
        places = statement.names or range(1, len(parameters) + 1)
        small |= {(name, place) for place, its in zip(places, parameters, strict=True) if its.name in ("int2", "int4")}
    assert refused == {}
    assert {each for each in small if shared([each[0]], POSTGRES_ALONE)} == SMALL
