"""What retention leaves of a SQLite database: books that `verify` and a rebuild agree with, and a shorter file."""

import asyncio
from typing import Any

import pytest

from tests.making import event
from tests.store.history import (
    ALL,
    BODIES,
    LATER_MS,
    books,
    captured,
    counts,
    finished,
    refunded,
    reread,
    rows,
    settle,
    take,
    told,
)
from tests.store.raw import write
from tests.store.statements import of
from webhookd.core.event import OPERATIONAL
from webhookd.store.sqlite import shorten
from webhookd.store.sqlite.audit import Finding, audit
from webhookd.store.sqlite.recount import Recount
from webhookd.store.sqlite.store import SqliteStore

RETENTION = of("retention")
MUCH = 2**20


@pytest.fixture
def store(sqlite_store: SqliteStore) -> SqliteStore:
    return sqlite_store


def verified(store: SqliteStore) -> list[Finding]:
    return list(audit(store._path, reread))


# --- The ledger


async def test_without_the_bytes_the_books_are_as_verify_and_a_rebuild_have_them(store: SqliteStore):
    await finished(store, captured(), refunded())
    before = await books(store)
    await take(store, BODIES)
    assert verified(store) == []
    assert await store.rebuild_ledger(reread, lambda _done, _total: None) == 0
    assert await books(store) == before


async def test_verify_and_the_books_are_the_same_before_and_after(store: SqliteStore):
    said_itself = event(source=OPERATIONAL, provider=OPERATIONAL, type="webhookd.endpoint.disabled")
    await finished(store, captured(), refunded(), captured("pay_2"), refunded("pay_3", "re_3"), told(), said_itself)
    before = await books(store)
    assert (await take(store)).events == 6
    await finished(store, refunded("pay_2", "re_2"))
    assert verified(store) == []
    assert await store.rebuild_ledger(reread, lambda _done, _total: None) == 0
    assert (await books(store))[:1] == before[:1]


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
    store: SqliteStore, statement: str, detail: str
):
    await finished(store, captured(), refunded())
    await take(store)
    await write(store, statement)
    found = verified(store)
    assert [each for each in found if detail in each.detail], found
    await store.rebuild_ledger(reread, lambda _done, _total: None)
    assert verified(store) == []


async def test_what_is_taken_while_the_log_is_counted_is_counted_once(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("webhookd.store.sqlite.recount.CHUNK_EVENTS", 2)
    await finished(store, *(captured(f"pay_{n}") for n in range(6)))
    before = await books(store)
    recount = Recount(store._path, reread)
    counting = recount.follow()
    assert next(counting) == 2
    await take(store)
    assert list(counting) == [4, 6]
    assert list(recount.differences()) == []
    recount.close()
    assert await books(store) == before


async def test_what_a_rebuild_reads_otherwise_is_kept_right_though_it_was_taken_meanwhile(store: SqliteStore):
    once_unreadable = told(body=b"now readable", type="payment.teleported")
    await finished(store, once_unreadable)
    reading = captured("pay_9", body=b"now readable")
    counted: list[int] = []
    loop = asyncio.get_running_loop()

    def take_it(done: int, _total: int) -> None:
        counted.append(done)

    follow = Recount.follow

    def followed(recount: Recount, *told: Any) -> Any:
        for done in follow(recount, *told):
            asyncio.run_coroutine_threadsafe(take(store), loop).result()
            assert (
                asyncio.run_coroutine_threadsafe(store.retention.forget(ALL.below, MUCH), loop).result().tallies == {}
            )
            yield done

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Recount, "follow", followed)
        await store.rebuild_ledger(reread, take_it)
    assert reading.fact is not None
    assert await rows(store, "past", "kind, object_id") == [("payment", "pay_9")]
    assert [each for each in verified(store) if each.check == "ledger"] == []
    found = await store.ledger.payment("stripe", "pay_9")
    assert found is not None
    assert (found.status, found.events) == ("captured", [])


async def test_a_capture_that_is_past_was_told_to_whom_it_was_owed(store: SqliteStore):
    await finished(store, captured())
    await take(store)
    assert verified(store) == []
    # Of what came of the same capture later it is no longer known who had heard of it before.
    await store.append(second := captured(type="charge.succeeded"))
    await settle(store, second, 1, "dead")
    assert verified(store) == []


async def test_a_capture_that_was_owed_to_nobody_is_still_found_when_it_is_past(store: SqliteStore):
    await store.append(captured())
    before = verified(store)
    await take(store)
    assert verified(store) == before
    assert [each.detail for each in before] == ["was captured, and no endpoint was ever owed that"]


# --- Space


async def test_the_file_gets_shorter_by_what_is_free_and_some_is_kept(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    assert await rows(store, "pragma_auto_vacuum") == [(2,)]
    monkeypatch.setattr(shorten, "KEPT_PAGES_MIN", 10)
    await finished(store, *(event(body=bytes(50_000)) for _ in range(20)))
    [(pages,)] = await rows(store, "pragma_page_count")
    await take(store)
    freed = await store.retention.give_back(7, 0.0)
    assert (freed.pages, freed.page_bytes) == (7, 4096)
    [(free,)] = await rows(store, "pragma_freelist_count")
    assert freed.left == free - 10
    while (freed := await store.retention.give_back(64, 0.0)).pages:
        pass
    assert await rows(store, "pragma_freelist_count") == [(10,)]
    assert (await rows(store, "pragma_page_count"))[0][0] < pages - 200
    assert verified(store) == []
    # The file itself follows when the WAL is moved into it.
    await store._writer.query("PRAGMA wal_checkpoint(RESTART)")
    assert store._path.stat().st_size < (pages - 200) * 4096


async def test_the_wal_stays_short_while_very_much_is_taken_out(store: SqliteStore):
    await finished(store, *(event(body=bytes(1_000_000)) for _ in range(30)))
    wal, longest = store._path.with_name("webhookd.db-wal"), 0
    for key, _ in await rows(store, "event", "key, salt", "ORDER BY key"):
        await store.retention.take(ALL, [key], LATER_MS)
        longest = max(longest, wal.stat().st_size)
    while (await store.retention.give_back(256, 0.0)).pages:
        longest = max(longest, wal.stat().st_size)
    assert await counts(store, "event") == {"event": 0}
    assert longest <= 8 * 2**20


async def test_a_share_of_the_file_is_left_free(store: SqliteStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shorten, "KEPT_PAGES_MIN", 0)
    await finished(store, *(event(body=bytes(50_000)) for _ in range(20)))
    await take(store)
    [(pages,)], [(free,)] = await rows(store, "pragma_page_count"), await rows(store, "pragma_freelist_count")
    assert (await store.retention.give_back(1, 0.5)).left == free - int(0.5 * pages) - 1


# --- How it is looked for


_GIVEN = {
    "after": 0,
    "below": 9,
    "looks": 5,
    "provider": None,
    "bodies": False,
    "finished_before": 0,
    "counted": True,
    "keys": "[1]",
    "now": 0,
    "rows": 1,
    "before": 0,
}


@pytest.mark.parametrize("name", sorted(RETENTION))
async def test_no_table_is_scanned_for_it(store: SqliteStore, name: str):
    statement = RETENTION[name]
    given: Any = _GIVEN if ":" in statement else (1,) * max(statement.count("?"), 0)
    if "?1" in statement:
        given = (1, 1)
    plan = await store._writer.run(
        lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {statement}", given).fetchall()
    )
    scanned = [step[3] for step in plan if step[3].startswith("SCAN")]
    small = ("SCAN json_each", "SCAN k ", "SCAN looked", "SCAN audit", "SCAN r ", "SCAN replay", "SCAN token")
    assert not [each for each in scanned if not f"{each} ".startswith(small)], plan
