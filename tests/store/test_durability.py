"""What makes 200 mean fsynced, and what happens when the disk does not play along."""

import asyncio
import threading
from pathlib import Path

import pytest

from tests.making import NOW_MS, event, spec
from tests.store.statements import of
from webhookd.store.data_dir import DataDir, DataDirError, file_system_of
from webhookd.store.group_commit import COMMIT_WRITES_MAX, GroupCommit
from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError
from webhookd.store.sqlite.connection import WrongDatabaseError, open_reader, open_writer
from webhookd.store.sqlite.driver import driver, has_wal_reset_bug, sorted_error
from webhookd.store.sqlite.store import SqliteStore

SQL = of("log", "due", "ledger")


@pytest.fixture
def store(sqlite_store: SqliteStore) -> SqliteStore:
    return sqlite_store


async def test_the_writer_leaves_only_the_sync_of_a_commit_to_us_and_checks_that_sqlite_agreed(store: SqliteStore):
    assert await store._writer.query("PRAGMA journal_mode") == [("wal",)]
    assert await store._writer.query("PRAGMA synchronous") == [(1,)]
    assert await store._writer.query("PRAGMA foreign_keys") == [(1,)]


async def test_a_reader_cannot_write(store: SqliteStore):
    with pytest.raises(Exception, match=r"readonly|read-only"):
        await store._history_reader.query("DELETE FROM event")


async def test_many_waiters_share_a_commit(tmp_path: Path):
    commits: list[float] = []
    store = SqliteStore(tmp_path / "webhookd.db", told=lambda seconds, _writes: commits.append(seconds))
    await store.open()
    await asyncio.gather(*(store.append(event()) for _ in range(500)))
    await store.close()
    assert 500 / COMMIT_WRITES_MAX <= len(commits) < 50


async def test_closing_commits_what_has_queued(tmp_path: Path):
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    waiting = [asyncio.ensure_future(store.append(event())) for _ in range(300)]
    await store.close()
    assert {(await each).status for each in waiting} == {"accepted"}
    with pytest.raises(StoreUnavailableError):
        await store.append(event())


async def test_a_waiter_that_is_cancelled_does_not_cut_the_commit_in_half(store: SqliteStore):
    waiting = [asyncio.ensure_future(store.append(event())) for _ in range(100)]
    await asyncio.sleep(0)
    for each in waiting[::2]:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (await store.append(event())).status == "accepted"
    assert not store._writer._conn.in_transaction


@pytest.mark.fault(8)
async def test_a_full_disk_refuses_the_event_and_the_next_one_is_taken_when_there_is_room(store: SqliteStore):
    [(pages,)] = await store._writer.query("PRAGMA page_count")
    await store._writer.query(f"PRAGMA max_page_count = {pages}")
    refused = event(body=b"x" * 100_000)
    with pytest.raises(StoreUnavailableError, match="SQLITE_FULL"):
        await store.append(refused)
    assert await store.event(refused.key, refused.salt) is None
    assert store.broken is None
    await store._writer.query("PRAGMA max_page_count = 1000000")
    assert (await store.append(refused)).status == "accepted"


async def test_a_write_that_cannot_be_made_fails_alone(store: SqliteStore):
    bad = event(sha256=b"too short")
    answers = await asyncio.gather(
        store.append(event()), store.append(bad), store.append(event()), return_exceptions=True
    )
    assert [getattr(answer, "status", "refused") for answer in answers] == ["accepted", "refused", "accepted"]


@pytest.mark.fault(7)
async def test_after_an_io_error_nothing_is_accepted_any_more():
    async def commit(_batch: object) -> list[object]:
        raise StoreBrokenError("SQLITE_IOERR_FSYNC")

    writes: GroupCommit[str] = GroupCommit(commit, queue_max=10, bytes_max=10)
    writes.start()
    with pytest.raises(StoreBrokenError):
        await writes.submit("a")
    with pytest.raises(StoreBrokenError):
        writes.submit("b")
    assert writes.broken is not None
    await writes.stop()


@pytest.mark.fault(21)
async def test_a_full_queue_refuses_at_once_in_writes_and_in_bytes():
    go_on = asyncio.Event()

    async def commit(batch: object) -> list[object]:
        await go_on.wait()
        return list(batch)  # type: ignore[call-overload]

    writes: GroupCommit[int] = GroupCommit(commit, queue_max=3, bytes_max=100)
    taken = [writes.submit(number) for number in range(3)]
    with pytest.raises(StoreUnavailableError):
        writes.submit(4)
    writes.start()
    go_on.set()
    assert await asyncio.gather(*taken) == [0, 1, 2]
    big = writes.submit(5, size=100)
    with pytest.raises(StoreUnavailableError):
        writes.submit(6, size=1)
    await big
    await writes.stop()


@pytest.mark.fault(12)
async def test_a_disk_that_hangs_frees_its_waiters_without_a_yes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("webhookd.store.group_commit.COMMIT_S_MAX", 0.01)
    go_on = asyncio.Event()

    async def commit(batch: object) -> list[object]:
        await go_on.wait()
        return list(batch)  # type: ignore[call-overload]

    writes: GroupCommit[int] = GroupCommit(commit, queue_max=10, bytes_max=10)
    writes.start()
    with pytest.raises(StoreUnavailableError, match="too long"):
        await writes.submit(1)
    assert writes.stalled
    with pytest.raises(StoreUnavailableError, match="too long"):
        writes.submit(2)  # at once: it must not wait behind a commit that hangs
    go_on.set()
    while writes.stalled:
        await asyncio.sleep(0)
    assert await writes.submit(3) == 3
    await writes.stop()


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    ("statement", "message"),
    [("PRAGMA application_id = 7", "another program"), ("PRAGMA user_version = 99", "schema 99")],
)
async def test_a_file_that_is_not_ours_or_too_new_is_refused(tmp_path: Path, statement: str, message: str):
    path = tmp_path / "webhookd.db"
    store = SqliteStore(path)
    await store.open()
    await store.close()
    connection = driver.connect(path)
    connection.execute(statement)
    connection.close()
    with pytest.raises(WrongDatabaseError, match=message):
        await open_writer(path)


@pytest.mark.fault(18)
async def test_what_is_not_a_database_is_refused_and_left_alone(tmp_path: Path):
    path = tmp_path / "webhookd.db"
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    with pytest.raises(WrongDatabaseError):
        await open_writer(path)


async def test_the_database_can_be_read_by_its_owner_only(tmp_path: Path):
    writer = await open_writer(tmp_path / "webhookd.db")
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
    await writer.close()


@pytest.mark.fault(13)
async def test_a_read_that_takes_too_long_is_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("webhookd.store.sqlite.patience.READ_SECONDS_MAX", 0.05)
    writer = await open_writer(tmp_path / "webhookd.db")
    reader = await open_reader(tmp_path / "webhookd.db")
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(StoreUnavailableError, match="SQLITE_INTERRUPT"):
        await reader.query(endless)
    assert await reader.query("SELECT 1") == [(1,)]
    await reader.close()
    await writer.close()


async def test_a_read_that_nobody_waits_for_any_more_is_not_made(tmp_path: Path):
    writer = await open_writer(tmp_path / "webhookd.db")
    reader = await open_reader(tmp_path / "webhookd.db")
    go_on = threading.Event()
    before = asyncio.create_task(reader.run(lambda _connection: go_on.wait()))
    made: list[int] = []
    left = [asyncio.create_task(reader.look(lambda _connection, each=each: made.append(each))) for each in range(100)]
    await asyncio.sleep(0)
    for each in left[1:]:
        each.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(before, left[0])
    assert await reader.query("SELECT 1") == [(1,)]
    assert made == [0]
    await reader.close()
    await writer.close()


async def test_a_read_that_waited_too_long_is_refused_and_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("webhookd.store.sqlite.patience.WAIT_SECONDS_MAX", -1.0)
    writer = await open_writer(tmp_path / "webhookd.db")
    reader = await open_reader(tmp_path / "webhookd.db")
    with pytest.raises(StoreUnavailableError, match="waited"):
        await reader.query("SELECT 1")
    await reader.close()
    await writer.close()


@pytest.mark.fault(19)
def test_a_second_process_on_the_same_directory_is_refused(tmp_path: Path):
    refused = pytest.raises(DataDirError, match="in use by another webhookd")
    with DataDir(tmp_path / "data"), refused, DataDir(tmp_path / "data"):
        pass
    with DataDir(tmp_path / "data"):
        pass


def test_a_directory_on_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert file_system_of(Path("/proc")) == "proc"
    monkeypatch.setattr("webhookd.store.data_dir.file_system_of", lambda _path: "nfs4")
    with pytest.raises(DataDirError, match="nfs4"), DataDir(tmp_path):
        pass


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 4), False),
    ],
)
def test_the_sqlite_versions_that_can_lose_commits_are_known(version: tuple[int, ...], affected: bool):
    assert has_wal_reset_bug(version) is affected


def test_a_programming_error_is_not_taken_for_a_disk_error(tmp_path: Path):
    connection = driver.connect(tmp_path / "x.db")
    with pytest.raises(driver.Error) as caught:
        connection.execute("SELECT nothing")
    assert sorted_error(caught.value) is caught.value
    connection.close()


@pytest.mark.parametrize("name", sorted(SQL))
async def test_every_named_query_fits_the_schema(store: SqliteStore, name: str):
    def explain(connection: object) -> None:
        parameters: object = (None,) * SQL[name].count("?") if "?" in SQL[name] else dict.fromkeys(_NAMED)
        connection.execute("EXPLAIN " + SQL[name], parameters)  # type: ignore[attr-defined]

    await store._writer.run(explain)


_NAMED = (
    *("before", "before_endpoint", "after", "since", "source", "provider", "type", "state", "endpoint", "limit"),
    *("status", "reference", "payment", "providers", "kind", "removed", "name", "error", "part", "unusable", "looks"),
    "until",
)


@pytest.mark.parametrize(
    "name",
    [
        *("due", "next_due_at", "known_event", "event", "attempts", "deliveries_of", "owed", "event_of_alias"),
        *("payment", "gross", "refunded", "unitemised", "counted_until"),
    ],
)
async def test_the_queries_of_every_event_look_things_up_and_never_scan_a_table(store: SqliteStore, name: str):
    await store.adopt([spec()], NOW_MS)
    rows = await store._history_reader.query("EXPLAIN QUERY PLAN " + SQL[name], (1,) * SQL[name].count("?"))
    plan = [row[3] for row in rows]
    assert not [
        line for line in plan if line.startswith("SCAN") and "json_each" not in line and "subquery" not in line
    ], plan


@pytest.mark.fault(8)
async def test_what_was_committed_alone_is_announced_even_when_the_disk_fills_up_right_after(store: SqliteStore):
    """A batch with a bad write is made again one by one; what then fits is owed, and its lane must hear of it."""
    await store.adopt([spec()], NOW_MS)
    heard: list[int] = []
    store.announce(lambda owed, _complete: heard.extend(due.event.key for due in owed))
    [(pages,)] = await store._writer.query("PRAGMA page_count")
    await store._writer.query(f"PRAGMA max_page_count = {pages + 8}")
    fits, bad, too_large = event(), event(sha256=b"too short"), event(body=b"x" * 1_000_000)
    answers = await asyncio.gather(*map(store.append, (fits, bad, too_large)), return_exceptions=True)
    assert getattr(answers[0], "status", None) == "accepted", answers
    assert [isinstance(answer, Exception) for answer in answers[1:]] == [True, True]
    assert heard == [fits.key]
