"""A file that keeps all it ever took is written anew once, or stays as it is."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.making import SEAL
from tests.store.old_files import ask, old_file
from webhookd.providers import reread
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.compact import NotNowError, compact, is_compact
from webhookd.store.sqlite.connection import open_reader, open_writer
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.migrate import migrate
from webhookd.store.sqlite.store import SqliteStore
from webhookd.upgrade import nobody

ALL = "SELECT * FROM event ORDER BY key"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = old_file(tmp_path / "webhookd.db", 2)
    migrate(path, SEAL, reread, nobody, stamp="now")
    assert not is_compact(path)
    return path


def test_all_is_in_it_and_it_can_give_back_space(old: Path):
    before = ask(old, ALL)
    compact(old, nobody, bytes_max=2**30)
    assert is_compact(old)
    assert ask(old, ALL) == before
    assert list(audit(old, reread)) == []
    assert old.stat().st_mode & 0o777 == 0o600
    assert not list(old.parent.glob(".*"))


async def test_a_new_file_and_none_need_nothing(tmp_path: Path):
    assert is_compact(tmp_path / "webhookd.db")
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    await store.close()
    assert is_compact(tmp_path / "webhookd.db")


def unchanged(old: Path, inode: int) -> bool:
    return (old.stat().st_ino, is_compact(old), [*old.parent.glob(".*")]) == (inode, False, [])


def test_a_large_one_is_left_for_when_there_is_time(old: Path):
    inode, size = old.stat().st_ino, old.stat().st_size
    with pytest.raises(NotNowError, match="webhookd migrate"):
        compact(old, nobody, bytes_max=size - 1)
    assert unchanged(old, inode)
    compact(old, nobody, bytes_max=size)


def test_one_that_the_disk_has_no_room_for_twice_is_left(old: Path, monkeypatch: pytest.MonkeyPatch):
    inode = old.stat().st_ino

    class Disk:
        f_bavail, f_frsize = old.stat().st_size - 1, 1

    monkeypatch.setattr("webhookd.store.sqlite.backup.os.statvfs", lambda _path: Disk)
    with pytest.raises(NotNowError, match="make room"):
        compact(old, nobody, bytes_max=2**30)
    assert unchanged(old, inode)


def test_one_that_somebody_else_reads_is_left(old: Path):
    inode = old.stat().st_ino
    with closing(driver.connect(old)) as other:
        other.execute(ALL).fetchone()
        with pytest.raises(NotNowError, match="another process"):
            compact(old, nobody, bytes_max=2**30)
        assert old.stat().st_ino == inode
    assert unchanged(old, inode)


def test_one_that_is_interrupted_is_left(old: Path):
    inode = old.stat().st_ino

    def told(what: str, _done: int, _total: int) -> None:
        if what == "verifying":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        compact(old, told, bytes_max=2**30)
    assert unchanged(old, inode)


async def test_what_was_committed_last_is_in_it(old: Path):
    """Commits that are in the WAL alone, as a crash leaves them."""
    writer = await open_writer(old)
    reader = await open_reader(old)
    await writer.query("PRAGMA wal_autocheckpoint = 0")
    await writer.query("UPDATE event SET detail = 'last' WHERE type = 'charge.refunded'")
    crashed = old.parent / "crashed"
    crashed.mkdir()
    for name in ("webhookd.db", "webhookd.db-wal"):
        (crashed / name).write_bytes((old.parent / name).read_bytes())
    await reader.close()
    await writer.close()
    compact(crashed / "webhookd.db", nobody, bytes_max=2**30)
    assert ask(crashed / "webhookd.db", "SELECT count(*) FROM event WHERE detail = 'last'") == [(1,)]
