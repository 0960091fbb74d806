"""Partitions of the weeks: made ahead, beside all that goes on, and dropped once nothing is in them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from tests.making import NOW_MS, event
from tests.postgres import Server
from tests.store.history import LATER_MS, finished, rows, take
from tests.store.postgres_site import PostgresSite
from tests.store.raw import read, write
from webhookd.core.identifier import KeyMint, key_floor
from webhookd.store.postgres import weeks
from webhookd.store.postgres.connection import Speaking
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.postgres.transaction import TOGETHER
from webhookd.store.postgres.weeks import AHEAD, TABLES_MS_MAX, WEEK_MS, Weeks, tried, week_begins, week_of
from webhookd.store.protocol.retention import Extent

WEEK = NOW_MS // WEEK_MS
KINDS = ("attempt", "event")


@pytest.fixture
def url(postgres: Server) -> str:
    return postgres.url()


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    opened = await PostgresSite(url).open()
    yield opened
    await opened.close()


def made(store: PostgresStore) -> Weeks:
    return Weeks(store._upkeep)


async def partitions(store: PostgresStore) -> set[tuple[str, int]]:
    found = await read(
        store,
        "SELECT inhparent::regclass::text, split_part(inhrelid::regclass::text, '_w', 2)::bigint FROM pg_inherits "
        "WHERE inhrelid::regclass::text ~ '^(event|attempt)_w[0-9]+$'",
    )
    return set(found)


async def lies_in(store: PostgresStore, kind: str) -> list[str]:
    return [name for (name,) in await rows(store, kind, "tableoid::regclass::text", "ORDER BY 1")]


def these(*numbers: int) -> set[tuple[str, int]]:
    return {(kind, week) for kind in KINDS for week in numbers}


@asynccontextmanager
async def somebody(url: str, *statements: str) -> AsyncIterator[asyncpg.Connection]:
    """In the middle of a transaction that has begun so; what it wrote is not committed."""
    schema = url.rpartition("=")[2]
    connection = await asyncpg.connect(url, server_settings={"search_path": schema})
    try:
        async with connection.transaction():
            for statement in statements:
                await connection.fetch(statement)
            yield connection
    finally:
        await connection.close()


# --- Made


async def test_who_opens_a_store_finds_this_week_and_the_next_ones(store: PostgresStore):
    [(this_week,)] = await read(store, "SELECT server_ms() / 604800000")
    assert await partitions(store) == these(*range(this_week, this_week + AHEAD + 1))


async def test_an_event_and_its_attempts_lie_in_the_week_of_its_key(store: PostgresStore):
    assert await made(store).make(NOW_MS) == 2 * (AHEAD + 1)
    first, last = week_begins(WEEK), week_begins(WEEK + 1) - 1
    await finished(store, event(key=first), event(key=last), event(key=last + 1))
    assert [week_of(key) for key in (first, last, last + 1)] == [WEEK, WEEK, WEEK + 1]
    for kind in KINDS:
        assert await lies_in(store, kind) == [f"{kind}_w{WEEK}", f"{kind}_w{WEEK}", f"{kind}_w{WEEK + 1}"]


async def test_what_falls_into_no_week_is_taken_in_all_the_same(store: PostgresStore):
    await finished(store, event(key=KeyMint().next(NOW_MS + 900 * WEEK_MS)))
    assert await lies_in(store, "event") == ["event_of_no_week"]
    assert await lies_in(store, "attempt") == ["attempt_of_no_week"]


async def test_weeks_that_are_there_are_not_made_again(store: PostgresStore):
    await made(store).make(NOW_MS)
    assert await made(store).make(NOW_MS) == 0
    assert await made(store).make(NOW_MS + WEEK_MS) == 2


async def test_nodes_that_start_at_once_make_each_week_once(url: str):
    stores = await asyncio.gather(*(PostgresSite(url).open() for _ in range(4)))
    counts = await asyncio.gather(*(made(each).make(NOW_MS) for each in stores))
    assert sum(counts) == 2 * (AHEAD + 1)
    for each in stores:
        await each.close()


async def test_a_week_of_which_something_lies_in_no_week_is_left_and_the_others_are_made(store: PostgresStore):
    await finished(store, early := event(key=KeyMint().next(NOW_MS + WEEK_MS)))
    await made(store).make(NOW_MS)
    found = {each for each in await partitions(store) if each[1] >= WEEK}
    assert found == these(WEEK, WEEK + 2)
    assert await lies_in(store, "event") == ["event_of_no_week"]
    assert await store.body(early.key) == early.body


LOCKS = """SELECT relation::regclass::text, mode FROM pg_locks
           WHERE pid = pg_backend_pid() AND relation::regclass::text = ANY ($1)"""


async def test_a_week_is_made_with_locks_beside_which_others_read_and_write(url: str, store: PostgresStore):
    """As the comment of `make_week` has it."""
    tables = ["event", "event_of_no_week", "attempt", "attempt_of_no_week", "delivery"]
    async with somebody(url, "SELECT make_week('event', 7)", "SELECT make_week('attempt', 7)") as other:
        found = {tuple(row) for row in await other.fetch(LOCKS, tables)}
    assert found >= {
        ("event", "ShareUpdateExclusiveLock"),
        ("attempt", "ShareUpdateExclusiveLock"),
        ("event_of_no_week", "AccessExclusiveLock"),
        ("delivery", "ShareRowExclusiveLock"),
    }
    assert not found & {(table, "AccessExclusiveLock") for table in ("event", "attempt", "delivery")}


async def test_a_week_is_not_waited_for_by_who_commits_while_somebody_reads_for_long(url: str, store: PostgresStore):
    async with somebody(url, "SELECT count(*) FROM event_of_no_week"):
        making = asyncio.ensure_future(made(store).make(NOW_MS))
        mint = KeyMint()
        while not making.done():
            await store.append(event(key=mint.next(0)))
        assert await making == 0
    assert await made(store).make(NOW_MS) == 2 * (AHEAD + 1)


async def test_nobody_who_reads_waits_long_for_a_change_of_tables(store: PostgresStore):
    def settings(connection: Speaking) -> list[str]:
        return [connection.ask(f"SHOW {name}").fetchone()[0] for name in ("lock_timeout", "statement_timeout")]

    assert await tried(store._upkeep, settings) == [f"{TABLES_MS_MAX}ms", "1s"]


async def test_a_week_is_not_made_in_the_middle_of_another_nodes_commit(
    url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(weeks, "LOG_MS_MAX", 20)
    monkeypatch.setattr(weeks, "TRIES", 2)
    async with somebody(url, TOGETHER):
        assert await made(store).make(NOW_MS) == 0
    assert await made(store).make(NOW_MS) == 2 * (AHEAD + 1)


async def test_a_role_that_may_not_make_tables_takes_events_in_without_weeks(url: str, store: PostgresStore):
    schema = url.rpartition("=")[2]
    async with somebody(url, f"CREATE ROLE {schema} LOGIN", f"GRANT USAGE ON SCHEMA {schema} TO {schema}") as owner:
        await owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {schema}")
    other = PostgresStore(url.replace("webhookd@", f"{schema}@"))
    assert await made(other).make(NOW_MS) == 0
    await other.close()


# --- Dropped


async def test_a_week_in_which_nothing_is_left_is_dropped_once_it_is_over(store: PostgresStore):
    await made(store).make(NOW_MS)
    await finished(store, event(), event(key=KeyMint().next(NOW_MS + WEEK_MS)))
    later_ms = NOW_MS + 2 * WEEK_MS
    await take(store)
    dropped = []
    for at_ms in (NOW_MS + WEEK_MS, later_ms):
        while (emptied := await made(store).drop_empty(at_ms)) is not None:
            assert emptied.bytes > 0
            dropped.append((at_ms, emptied.week))
    assert [each for each in dropped if each[1] >= WEEK - 1] == [
        (later_ms, WEEK)
    ]  # a week ago it could be written to yet
    assert await partitions(store) == these(WEEK + 1, WEEK + 2)


async def test_who_gives_space_back_drops_weeks_that_are_empty_and_makes_the_next_ones(store: PostgresStore):
    [(now_ms,)] = await read(store, "SELECT server_ms()")
    long_ago_ms = now_ms - 9 * WEEK_MS
    await made(store).make(long_ago_ms)
    await finished(store, event(key=KeyMint().next(long_ago_ms)), event(key=KeyMint().next(long_ago_ms + WEEK_MS)))
    await take(store, Extent(key_floor(long_ago_ms + WEEK_MS), LATER_MS))
    this_week = now_ms // WEEK_MS
    await write(store, f"DROP TABLE attempt_w{this_week + 1}")
    freed = []
    while (each := await store.retention.give_back(1, 0.0)).pages:
        freed.append(each.pages * each.page_bytes)
    assert len(freed) == AHEAD
    assert min(freed) > 0
    assert await partitions(store) == these(this_week - 8, *range(this_week, this_week + AHEAD + 1))
