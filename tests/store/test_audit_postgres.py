"""What `verify` and a rebuild do in PostgreSQL alone: in tables that are one connection's own, beside nodes that commit
out of order.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

from tests.making import event
from tests.postgres import Server
from tests.store.history import ALL, books, finished, rows, take
from tests.store.postgres_site import PostgresSite
from tests.store.raw import write
from tests.store.test_audit import USD, broken, captured, put_right, refunded, reread, sold, told
from tests.store.test_weeks import somebody
from tests.store.verifying import verified
from webhookd.core.event import Event
from webhookd.core.identifier import event_id
from webhookd.core.ledger import Fact
from webhookd.core.money import Money
from webhookd.store.postgres import recount as recounts
from webhookd.store.postgres.audit import audit
from webhookd.store.postgres.connection import Session, _await
from webhookd.store.postgres.database import UnfitDatabaseError, connect
from webhookd.store.postgres.recount import Recount
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.sql import retention


@pytest.fixture
def url(postgres: Server) -> str:
    return postgres.url()


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    opened = await PostgresSite(url).open()
    yield opened
    await opened.close()


@pytest.fixture
async def shop(store: PostgresStore) -> PostgresStore:
    await sold(store)
    return store


class Counting:
    """A recount that a test takes step by step."""

    def __init__(self, session: Session, recount: Recount) -> None:
        self._session, self._recount = session, recount

    async def step(self, steps: Callable[[Recount], Any]) -> Any:
        return await self._session.run(lambda _connection: steps(self._recount))


@asynccontextmanager
async def counting(url: str) -> AsyncIterator[Counting]:
    session = Session(connect(url, "test"))
    try:
        yield Counting(session, await session.run(lambda connection: Recount(connection, reread)))
    finally:
        await session.close()


def one_more(monkeypatch: pytest.MonkeyPatch, store: PostgresStore, late: Event) -> None:
    """It is committed while nobody looks: between the comparison and what is put right."""
    differences = Recount.differences

    def differences_and_one_more(recount: Recount) -> Any:
        found = list(differences(recount))
        _await(store.append(late))
        return found

    monkeypatch.setattr(Recount, "differences", differences_and_one_more)


# --- What is there


async def test_where_there_is_no_store_nothing_is_verified_and_none_is_made(url: str):
    with pytest.raises(UnfitDatabaseError, match="there is no store"):
        await audit(url, reread)
    with pytest.raises(UnfitDatabaseError, match="there is no store"):
        await audit(url, reread)


async def test_a_store_of_another_version_is_not_judged(url: str, store: PostgresStore):
    await write(store, "UPDATE webhookd SET schema_version = 9")
    with pytest.raises(UnfitDatabaseError, match="version 9"):
        await audit(url, reread)


async def test_a_role_that_may_make_no_tables_of_its_own_is_told_so(url: str, store: PostgresStore):
    name = url.rpartition("=")[2]
    async with somebody(url, f"CREATE ROLE {name} LOGIN", f"GRANT USAGE ON SCHEMA {name} TO {name}") as owner:
        await owner.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO {name}")
    async with somebody(url, "REVOKE TEMPORARY ON DATABASE postgres FROM PUBLIC"):
        pass
    try:
        with pytest.raises(UnfitDatabaseError, match="GRANT TEMPORARY"):
            await audit(url.replace("webhookd@", f"{name}@"), reread)
    finally:
        async with somebody(url, "GRANT TEMPORARY ON DATABASE postgres TO PUBLIC"):
            pass
    assert await audit(url.replace("webhookd@", f"{name}@"), reread) == []


async def test_nothing_is_left_of_what_was_counted(shop: PostgresStore):
    before = await books(shop)
    await verified(shop, reread)
    await put_right(shop)
    assert await books(shop) == before
    assert (
        await rows(shop, "pg_class", "relname", "WHERE relpersistence = 't' AND relname IN ('ledger', 'counted')") == []
    )


# --- Integrity


@pytest.mark.parametrize(
    ("statement", "detail"),
    [
        ("DELETE FROM identity", "is there, and not known by its id"),
        ("UPDATE identity SET key = key + 1", "is there, and not known by its id"),
        (
            "INSERT INTO identity VALUES ('stripe', 'evt_lost', 7, 7, '')",
            "is known by its id, and neither in the log nor",
        ),
        ("DELETE FROM event WHERE kind = 'refund'", "points to nothing in event"),
    ],
)
async def test_what_does_not_belong_together_is_found(shop: PostgresStore, statement: str, detail: str):
    findings = await broken(shop, statement)
    assert any(each.check == "integrity" and detail in each.detail for each in findings)


async def test_an_attempt_that_points_to_nothing_is_found_though_the_server_does_not_let_that_be(shop: PostgresStore):
    findings = await broken(shop, "SET LOCAL session_replication_role = replica", "DELETE FROM delivery")
    assert [each.detail for each in findings if each.check == "integrity"] == ["points to nothing in delivery"] * 2


async def test_an_id_that_is_known_of_an_event_that_is_nowhere_is_named(shop: PostgresStore):
    [found] = await broken(shop, "INSERT INTO identity VALUES ('stripe', 'evt_lost', 7, 8, '')")
    assert (found.check, found.subject) == ("integrity", event_id(7, 8))


async def unindexed(store: PostgresStore, index: str, *statements: str) -> None:
    """Done behind the back of an index, as only a fault of the disk, or of a sort order, has it."""
    await write(
        store,
        f"UPDATE pg_index SET indisready = false WHERE indexrelid = '{index}'::regclass",
        *statements,
        f"UPDATE pg_index SET indisready = true WHERE indexrelid = '{index}'::regclass",
    )


async def test_a_delivery_that_is_there_twice_is_found_past_its_damaged_index(shop: PostgresStore):
    await unindexed(shop, "delivery_pkey", "INSERT INTO delivery SELECT * FROM delivery")
    details = [each.detail for each in await verified(shop, reread)]
    assert details.count("is there more than once") == 2


async def test_a_damaged_index_is_found_where_the_server_can_be_asked(url: str, shop: PostgresStore):
    await unindexed(shop, "ledger_recent", "UPDATE ledger SET first_event = first_event + 1")
    assert await verified(shop, reread) == []
    async with somebody(url, "CREATE EXTENSION amcheck SCHEMA public"):
        pass
    try:
        [found] = await verified(shop, reread)
        assert (found.check, found.subject) == ("integrity", "index ledger_recent")
    finally:
        async with somebody(url, "DROP EXTENSION amcheck"):
            pass


async def test_a_row_that_cannot_be_read_ends_the_search_and_is_told(shop: PostgresStore):
    findings = await broken(shop, "UPDATE event SET headers = 'nonsense'")
    assert findings[-1].detail.startswith("cannot be read further: event")


# --- Out of order


async def test_what_another_node_commits_late_is_counted(url: str, shop: PostgresStore):
    async with counting(url) as recount:
        assert await recount.step(lambda its: list(its.follow())) == [2]
        await shop.append(refunded(2, "pay_1", key=5))
        assert await recount.step(lambda its: list(its.differences())) == []
        assert await recount.step(lambda its: its.events) == 3


@pytest.mark.parametrize("is_late", [False, True])
async def test_an_event_that_comes_during_a_rebuild_is_in_the_ledger_after_it(
    shop: PostgresStore, monkeypatch: pytest.MonkeyPatch, is_late: bool
):
    await broken(shop, "UPDATE ledger SET status = 'failed'")
    keys = {"key": 5} if is_late else {}
    one_more(monkeypatch, shop, told(Fact("payment", "pay_1", "refunded", money=USD), **keys))
    await put_right(shop)
    monkeypatch.undo()
    assert await rows(shop, "ledger", "status", "WHERE id = 'pay_1'") == [("refunded",)]
    assert [each for each in await verified(shop, reread) if each.check == "ledger"] == []


# --- Beside retention


@pytest.mark.parametrize(
    ("statement", "detail"),
    [
        ("UPDATE ledger SET status = 'failed' WHERE id = 'pay_1'", "is not as the log has it: status"),
        ("DELETE FROM ledger WHERE id = 're_1'", "is missing in the ledger"),
        ("DELETE FROM reference", "is missing"),
        ("INSERT INTO reference VALUES ('x', 'stripe', 'pay_1')", "reference 'x' is extra"),
        ("UPDATE past SET amount = 7 WHERE object_id = 'pay_1'", "is not as the log has it: amount"),
    ],
)
async def test_what_is_wrong_in_the_books_of_what_is_past_is_found_and_put_right(
    shop: PostgresStore, statement: str, detail: str
):
    assert (await take(shop)).events == 2
    assert await verified(shop, reread) == []
    found = await broken(shop, statement)
    assert [each for each in found if detail in each.detail], found
    await put_right(shop)
    assert await verified(shop, reread) == []


async def test_what_is_taken_while_the_log_is_counted_is_counted_once(
    url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recounts, "CHUNK_EVENTS", 2)
    await finished(store, *(captured(f"pay_{number}") for number in range(6)))
    async with counting(url) as recount:
        following = await recount.step(lambda its: its.follow())
        assert await recount.step(lambda _its: next(following)) == 2
        await take(store)
        assert await recount.step(lambda _its: list(following)) == [4, 6]
        assert await recount.step(lambda its: list(its.differences())) == []


@pytest.mark.parametrize("is_taken_meanwhile", [False, True])
async def test_what_says_otherwise_now_is_kept_right_though_it_was_taken_meanwhile(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, is_taken_meanwhile: bool
):
    await finished(store, captured())
    await write(store, "UPDATE event SET amount = 7, names = NULL", "DELETE FROM ledger")
    count = Recount._count

    def count_while_somebody_takes(recount: Recount, *given: Any) -> int:
        monkeypatch.undo()
        counted = count(recount, *given)
        _await(take(store))
        return counted

    if is_taken_meanwhile:
        monkeypatch.setattr(Recount, "_count", count_while_somebody_takes)
    assert await put_right(store) == 1
    where = "past" if is_taken_meanwhile else "event"
    assert await rows(store, where, "amount, names IS NULL") == [(1000, False)]
    assert await verified(store, reread) == []


async def test_nothing_is_forgotten_while_the_ledger_is_counted_again(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
):
    await finished(store, each := event())
    await take(store)
    differences, forgotten = Recount.differences, []

    def differences_while_somebody_forgets(recount: Recount) -> Any:
        forgotten.append(_await(store.retention.forget(ALL.below, 9)).tallies)
        found_before = partial(retention._forget, keys=[each.key])
        forgotten.append(_await(store._change(found_before)).tallies[""].events)
        return differences(recount)

    monkeypatch.setattr(Recount, "differences", differences_while_somebody_forgets)
    await put_right(store)
    assert forgotten == [{}, 0]
    assert await rows(store, "past", "key") == [(each.key,)]
    assert (await store.retention.forget(ALL.below, 9)).tallies[""].events == 1


# --- A chunk at a time


async def test_no_more_bodies_are_read_at_once_than_fit(
    url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recounts, "CHUNK_BYTES", 100)
    for size in (60, 60, 500, 1, 1):
        await store.append(event(body=b"x" * size))
    async with counting(url) as recount:
        assert await recount.step(lambda its: list(its.follow())) == [2, 3, 5]


async def test_what_postgresql_cannot_hold_of_a_text_is_not_told_as_a_difference(url: str, store: PostgresStore):
    fact = Fact("payment", "pay_1", "captured", money=Money(5, "USD", 2), reference="a\0b", references=("c\0d",))
    await store.append(told(fact))
    assert [each.check for each in await verified(store, reread)] == ["payments"]
    async with counting(url) as recount:
        await recount.step(lambda its: next(its.follow()))
        assert await recount.step(lambda its: its.outdated) == []


async def test_a_rebuild_whose_connection_is_lost_fails_and_the_next_one_does_it_all(shop: PostgresStore):
    await broken(shop, "DELETE FROM ledger")

    def cut(done: int, _total: int) -> None:
        shop._sessions[-1]._connection.terminate()

    with pytest.raises(StoreUnavailableError):
        await shop.rebuild_ledger(reread, cut)
    assert await put_right(shop) == 2
    assert await verified(shop, reread) == []
