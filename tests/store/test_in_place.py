"""The store notices what was done to its files from outside, and does nothing that would make it worse."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.making import event
from tests.store.old_files import ask
from webhookd.providers import reread
from webhookd.store.protocol.errors import StoreBrokenError
from webhookd.store.sqlite import durable
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.connection import WrongDatabaseError, open_alone, open_writer
from webhookd.store.sqlite.store import SqliteStore

FILES = ("webhookd.db", "webhookd.db-wal", "webhookd.db-shm")


def removed(file: Path) -> None:
    file.unlink()


def moved(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))


def replaced(file: Path) -> None:
    file.with_name("other").touch()
    file.with_name("other").rename(file)


def cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def emptied(file: Path) -> None:
    os.truncate(file, 0)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """With something in its WAL."""
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    await store.append(event())
    yield store
    await store.close()


@pytest.mark.fault(15)
@pytest.mark.parametrize(
    ("name", "mishap"),
    [
        *((name, mishap) for name in FILES for mishap in (removed, moved, replaced)),
        *((name, mishap) for name in FILES[:2] for mishap in (cut_short, emptied)),
    ],
)
async def test_a_look_at_the_files_finds_what_happened_to_them(
    tmp_path: Path, store: SqliteStore, name: str, mishap: Callable[[Path], None]
):
    await store.upkeep.look()
    assert store.broken is None
    mishap(tmp_path / name)
    await store.upkeep.look()
    assert name in str(store.broken)
    with pytest.raises(StoreBrokenError, match=name):
        await store.append(event())


@pytest.mark.fault(15)
@pytest.mark.parametrize("mishap", [cut_short, emptied])
async def test_a_commit_into_a_wal_that_was_cut_short_is_none(
    tmp_path: Path, store: SqliteStore, mishap: Callable[[Path], None]
):
    mishap(tmp_path / "webhookd.db-wal")
    with pytest.raises(StoreBrokenError, match=r"webhookd\.db-wal was"):
        await store.append(event())
    assert store.broken is not None


@pytest.mark.fault(15)
async def test_a_commit_whose_wal_is_emptied_while_it_is_synced_is_none(
    tmp_path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    fdatasync = os.fdatasync

    def sync(descriptor: int) -> None:
        emptied(tmp_path / "webhookd.db-wal")
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", sync)
    with pytest.raises(StoreBrokenError, match=r"webhookd\.db-wal was cut short"):
        await store.append(event())


@pytest.mark.parametrize("mishap", [removed, moved, replaced])
async def test_what_is_in_a_wal_that_has_lost_its_place_is_saved_when_the_store_is_closed(
    tmp_path: Path, mishap: Callable[[Path], None]
):
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    made = [await store.append(event()) for _ in range(20)]
    mishap(tmp_path / "webhookd.db-wal")
    await store.upkeep.look()
    await store.close()
    assert ask(tmp_path / "webhookd.db", "SELECT count(*) FROM event") == [(len(made),)]
    assert list(audit(tmp_path / "webhookd.db", reread)) == []


@pytest.mark.parametrize("mishap", [cut_short, emptied])
async def test_a_wal_that_was_cut_short_is_not_moved_into_the_database(tmp_path: Path, mishap: Callable[[Path], None]):
    """There would be pages of it without anything in them."""
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    await store.append(event())
    mishap(tmp_path / "webhookd.db-wal")
    before = (tmp_path / "webhookd.db").stat()
    await store.upkeep.look()
    await store.close()
    after = (tmp_path / "webhookd.db").stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


@pytest.mark.fault(5)
async def test_of_a_disk_whose_sync_failed_nothing_more_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Not even when it is closed: to move the WAL would take the sync of it that has failed."""
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    await store.append(event())
    fdatasync = os.fdatasync

    def fails(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)
    with pytest.raises(StoreBrokenError):
        await store.append(event())
    monkeypatch.setattr(os, "fdatasync", fdatasync)
    left = [(tmp_path / name).read_bytes() for name in FILES[:2]]
    await store.close()
    assert [(tmp_path / name).read_bytes() for name in FILES[:2]] == left


async def test_the_wal_is_moved_into_the_database_once_it_is_long_and_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(durable, "CHECKPOINT_FRAMES", 50)
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    wal, longest = tmp_path / "webhookd.db-wal", 0
    await store.append(event())
    schema = wal.stat().st_size
    for _ in range(100):
        await asyncio.gather(*(store.append(event()) for _ in range(5)))
        longest = max(longest, wal.stat().st_size)
    assert longest < schema + 200 * 4_096
    assert (tmp_path / "webhookd.db").stat().st_size > longest / 2
    assert store.broken is None
    await store.close()


@pytest.mark.fault(15)
@pytest.mark.parametrize("mishap", [removed, emptied])
async def test_without_its_database_a_wal_is_left_alone_by_whoever_comes(
    tmp_path: Path, mishap: Callable[[Path], None]
):
    """SQLite would remove it, and what was acknowledged last with it."""
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    await store.append(event())
    (left := tmp_path / "left").mkdir()
    shutil.copy(tmp_path / "webhookd.db-wal", left)
    await store.close()
    database = left / "webhookd.db"
    database.touch()
    mishap(database)
    wal = (left / "webhookd.db-wal").read_bytes()
    refused = pytest.raises(WrongDatabaseError, match="put the database back")
    with refused:
        await open_writer(database)
    with refused:
        open_alone(database, read_only=True)
    with refused:
        list(audit(database, reread))
    assert (left / "webhookd.db-wal").read_bytes() == wal
