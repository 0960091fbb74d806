"""What `verify` does with a file, and a rebuild beside its one writer."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.store.statements import of
from tests.store.test_audit import broken, put_right, refunded, reread, sold
from webhookd.core.event import Event
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.connection import WrongDatabaseError
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.recount import Recount
from webhookd.store.sqlite.store import SqliteStore

AUDIT = of("audit")


@pytest.fixture
def store(sqlite_store: SqliteStore) -> SqliteStore:
    return sqlite_store


@pytest.fixture
async def shop(store: SqliteStore) -> SqliteStore:
    await sold(store)
    return store


def path_of(store: SqliteStore) -> Path:
    return store._path


async def test_a_strangers_database_is_refused(tmp_path: Path):
    path = tmp_path / "other.db"
    connection = driver.connect(path)
    connection.execute("CREATE TABLE x (y)")
    connection.close()
    with pytest.raises(WrongDatabaseError):
        list(audit(path, reread))


async def test_a_copy_can_be_verified_where_nobody_runs(shop: SqliteStore, tmp_path: Path):
    copy = tmp_path / "copy with a space?.db"
    await shop._change_file(lambda _connection: None)
    connection = driver.connect(path_of(shop))
    connection.execute("VACUUM INTO ?", (str(copy),))
    connection.close()
    assert list(audit(copy, reread)) == []


@pytest.mark.parametrize("name", sorted(AUDIT))
async def test_every_query_of_the_audit_fits_the_schema(store: SqliteStore, name: str):
    recount = Recount(path_of(store), reread)
    recount.connection.execute("EXPLAIN " + AUDIT[name])
    recount.close()


async def test_what_is_counted_again_is_on_disk_and_leaves_no_file_behind(shop: SqliteStore):
    recount = Recount(path_of(shop), reread)
    [file] = [row[2] for row in recount.connection.execute("PRAGMA database_list") if row[1] == "main"]
    assert file
    assert not Path(file).exists()
    recount.close()


async def test_who_was_given_up_on_is_looked_for_among_what_was_given_up(shop: SqliteStore):
    recount = Recount(path_of(shop), reread)
    query = f"EXPLAIN QUERY PLAN {AUDIT['captured_untold']}"
    steps = [row[3] for row in recount.connection.execute(query)]
    recount.close()
    assert any("delivery_given_up" in step for step in steps)
    assert not any("ledger_recent (kind=?)" in step for step in steps)


async def test_events_that_come_during_a_rebuild_are_in_the_ledger_after_it(
    shop: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    await broken(shop, "UPDATE ledger SET status = 'failed' WHERE kind = 'payment'")
    loop = asyncio.get_running_loop()
    differences = Recount.differences

    def differences_and_one_more(recount: Recount) -> Any:
        found = list(differences(recount))
        asyncio.run_coroutine_threadsafe(_append(shop, refunded(2)), loop).result()
        return found

    monkeypatch.setattr(Recount, "differences", differences_and_one_more)
    await put_right(shop)
    monkeypatch.undo()
    found = await shop.ledger.payment("stripe", "pay_1")
    assert found is not None
    assert (found.status, found.refunded) == ("partially_refunded", 200)
    assert [each.check for each in audit(path_of(shop), reread) if each.check == "ledger"] == []


async def test_what_came_while_the_ledgers_were_compared_is_counted_before_the_writer_is_asked(
    shop: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    await broken(shop, "UPDATE ledger SET status = 'failed' WHERE kind = 'payment'")
    loop = asyncio.get_running_loop()
    differences, follow_within = Recount.differences, Recount.follow_within
    counted_by_the_writer: list[int] = []

    def differences_and_one_more(recount: Recount) -> Any:
        found = list(differences(recount))
        asyncio.run_coroutine_threadsafe(_append(shop, refunded(2)), loop).result()
        return found

    def noted(recount: Recount, writer: Any) -> None:
        before = recount.events
        follow_within(recount, writer)
        counted_by_the_writer.append(recount.events - before)

    monkeypatch.setattr(Recount, "differences", differences_and_one_more)
    monkeypatch.setattr(Recount, "follow_within", noted)
    await put_right(shop)
    assert counted_by_the_writer == [0]


async def _append(store: SqliteStore, each: Event) -> None:
    await store.append(each)
