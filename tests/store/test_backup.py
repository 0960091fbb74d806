"""A backup is one whole file, made beside all else, or it is not there."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.making import event
from tests.store.history import take
from webhookd.providers import reread
from webhookd.store.protocol.backups import NameTakenError, NoRoomError, check_name
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.sqlite import backup
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.backup import copy, remove_drafts
from webhookd.store.sqlite.connection import SCHEMA_VERSION, open_alone
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.store import SqliteStore
from webhookd.upgrade import nobody

Told = Callable[[str, int, int], None]


def backups_of(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "backups").iterdir())


@pytest.fixture
def store(sqlite_store: SqliteStore) -> SqliteStore:
    return sqlite_store


@pytest.fixture
async def full(store: SqliteStore) -> SqliteStore:
    """Some hundred pages."""
    await asyncio.gather(*(store.append(event(body=b"x" * 20_000)) for _ in range(100)))
    return store


async def test_it_holds_all_that_was_acknowledged_and_nothing_is_wrong_with_it(full: SqliteStore, tmp_path: Path):
    made = await full.backups(0).make("monday.db", nobody)
    path = tmp_path / "backups" / "monday.db"
    assert (made.path, made.size, made.events) == (str(path), path.stat().st_size, 100)
    assert list(audit(path, reread)) == []
    assert backups_of(tmp_path) == ["monday.db"]


async def test_it_is_one_file_that_its_owner_alone_can_read(full: SqliteStore, tmp_path: Path):
    await full.backups(0).make("monday.db", nobody)
    path = tmp_path / "backups" / "monday.db"
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert path.read_bytes()[18:20] == b"\x01\x01"  # sqlite.org/fileformat: no WAL
    with closing(driver.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM event").fetchone() == (100,)


async def test_commits_go_on_between_its_steps_and_are_in_it(
    full: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(backup, "PAGES_TOGETHER", 4)
    going, committed = True, 0
    began = asyncio.Event()

    async def load() -> None:
        nonlocal committed
        while going:
            await full.append(event(body=b"y" * 5_000))
            committed += 1
            began.set()

    loading = asyncio.create_task(load())
    await began.wait()
    before, steps = committed, 0

    def told(what: str, _done: int, _total: int) -> None:
        nonlocal steps
        steps += what == "copying"

    made = await full.backups(0).make("monday.db", told)
    during, going = committed - before, False
    await loading
    assert steps > 100
    assert during > 10
    assert before <= made.events <= 100 + committed
    assert list(audit(tmp_path / "backups" / "monday.db", reread)) == []
    assert (await full.append(event())).status == "accepted"


async def test_it_does_not_keep_the_wal_from_being_used_again(full: SqliteStore, tmp_path: Path):
    paused, go_on = threading.Event(), threading.Event()

    def told(what: str, done: int, total: int) -> None:
        if what == "copying" and done > total // 2:
            paused.set()
            go_on.wait()

    making = asyncio.create_task(full.backups(0).make("monday.db", told))
    await asyncio.to_thread(paused.wait)
    await asyncio.gather(*(full.append(event(body=b"y" * 20_000)) for _ in range(50)))
    [(busy, *_)] = await full._writer.query("PRAGMA wal_checkpoint(RESTART)")
    go_on.set()
    assert busy == 0, "it can be written from its beginning again"
    assert (await making).events == 150


async def test_a_name_that_is_taken_is_left_alone(full: SqliteStore, tmp_path: Path):
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "monday.db").write_bytes(b"mine")
    with pytest.raises(NameTakenError):
        full.backups(0).check("monday.db")
    with pytest.raises(NameTakenError):
        await full.backups(0).make("monday.db", nobody)
    assert (tmp_path / "backups" / "monday.db").read_bytes() == b"mine"


async def test_a_name_that_is_taken_meanwhile_is_left_alone(full: SqliteStore, tmp_path: Path):
    def told(_what: str, _done: int, _total: int) -> None:
        (tmp_path / "backups" / "monday.db").write_bytes(b"mine")

    with pytest.raises(NameTakenError):
        await full.backups(0).make("monday.db", told)
    assert (tmp_path / "backups" / "monday.db").read_bytes() == b"mine"
    assert backups_of(tmp_path) == ["monday.db"]


async def test_it_is_not_begun_when_it_would_leave_too_little_of_the_disk(
    full: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Disk:
        f_bavail, f_frsize = 10_000_000, 1

    monkeypatch.setattr("webhookd.store.sqlite.backup.os.statvfs", lambda _path: Disk)
    size = sum((tmp_path / name).stat().st_size for name in ("webhookd.db", "webhookd.db-wal"))
    with pytest.raises(NoRoomError, match="10000000"):
        full.backups(10_000_001 - size).check("monday.db")
    full.backups(10_000_000 - size).check("monday.db")


def spoil(tmp_path: Path) -> Told:
    def told(what: str, done: int, total: int) -> None:
        if what == "copying" and done == total:
            [draft] = (tmp_path / "backups").glob(".monday.db.unfinished")
            with draft.open("r+b") as file:
                file.seek(total // 2)
                file.write(b"\xff" * 8192)

    return told


async def test_a_copy_that_is_not_whole_is_thrown_away_and_the_store_goes_on(full: SqliteStore, tmp_path: Path):
    with pytest.raises(StoreUnavailableError, match=r"not whole|was not made"):
        await full.backups(0).make("monday.db", spoil(tmp_path))
    assert backups_of(tmp_path) == []
    assert full.broken is None
    assert (await full.append(event())).status == "accepted"
    await full.backups(0).make("monday.db", nobody)


async def test_a_copy_that_ends_before_what_was_acknowledged_is_thrown_away(full: SqliteStore, tmp_path: Path):
    [(last,)] = await full._history_reader.query("SELECT max(key) FROM event")
    with closing(open_alone(tmp_path / "webhookd.db", read_only=True)) as source:
        with pytest.raises(StoreUnavailableError, match="ends before"):
            copy(source, tmp_path / "backups" / "a.db", nobody, last_key=last + 1)
        with pytest.raises(StoreUnavailableError, match=f"its schema is {SCHEMA_VERSION} and should be 3"):
            copy(source, tmp_path / "backups" / "a.db", nobody, version=3)
        copy(source, tmp_path / "backups" / "a.db", nobody, last_key=last)


async def test_where_the_log_ends_may_be_past(full: SqliteStore, tmp_path: Path):
    await take(full)
    made = await full.backups(0).make("monday.db", nobody)
    assert made.events == 0
    assert list(audit(tmp_path / "backups" / "monday.db", reread)) == []


async def test_when_its_disk_is_full_the_store_goes_on(
    full: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def small(path: Path, **pragmas: Any) -> Any:
        return open_alone(path, **{**pragmas, "max_page_count": 20} if "unfinished" in path.name else pragmas)

    monkeypatch.setattr(backup, "open_alone", small)
    with pytest.raises(StoreUnavailableError, match="disk is full"):
        await full.backups(0).make("monday.db", nobody)
    assert backups_of(tmp_path) == []
    assert full.broken is None
    assert (await full.append(event())).status == "accepted"


@pytest.mark.parametrize("where", ["copying", "verifying"])
async def test_one_that_is_stopped_leaves_nothing(full: SqliteStore, tmp_path: Path, where: str):
    def told(what: str, _done: int, _total: int) -> None:
        if what == where:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await full.backups(0).make("monday.db", told)
    assert backups_of(tmp_path) == []
    assert (await full.append(event())).status == "accepted"


async def test_one_whose_store_is_closed_ends(tmp_path: Path):
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    await asyncio.gather(*(store.append(event(body=b"x" * 20_000)) for _ in range(50)))
    paused, go_on = threading.Event(), threading.Event()

    def told(_what: str, _done: int, _total: int) -> None:
        paused.set()
        go_on.wait()

    making = asyncio.create_task(store.backups(0).make("monday.db", told))
    await asyncio.to_thread(paused.wait)
    closing_it = asyncio.create_task(store.close())
    while store._writer._running:
        await asyncio.sleep(0)
    go_on.set()
    with pytest.raises((StoreUnavailableError, ValueError)):
        await making
    await closing_it
    assert backups_of(tmp_path) == []


def test_what_a_crash_has_left_is_removed_and_nothing_else(tmp_path: Path):
    (tmp_path / "backups").mkdir()
    for name in (".monday.db.unfinished", ".monday.db.unfinished-wal", "monday.db", "x.unfinished"):
        (tmp_path / "backups" / name).touch()
    assert remove_drafts(tmp_path) == 1
    assert backups_of(tmp_path) == ["monday.db", "x.unfinished"]


@pytest.mark.parametrize("name", ["monday.db", "2026-01-01", "a" * 128, "_x", "x.unfinished"])
def test_a_plain_name_will_do(name: str):
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", ".hidden", "a/b", "../a", "a\\b", "a\n", "a b", "ä", "a" * 129, "-rf", "a\0b"),
        *("x.db-wal", "x.db-shm", "x.db-journal"),
    ],
)
def test_any_other_is_refused(name: str):
    with pytest.raises(ValueError, match="must"):
        check_name(name)
