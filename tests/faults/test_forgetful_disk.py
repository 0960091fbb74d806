"""The disk of the power cuts forgets what it may, and nothing else."""

import errno
import os
import random
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from tests.faults.disk import Disk, forgetful_disk
from tests.faults.platter import SECTOR_BYTES, Directory, File, Platter
from tests.faults.short_life import Tell, live

DICE = random.Random(1)
PAGE = b"a" * SECTOR_BYTES + b"b" * SECTOR_BYTES


def made(*names: str) -> Platter:
    platter = Platter()
    for name in names:
        platter.make(name, File(0o600))
    platter.sync_all()
    return platter


def file(platter: Platter, name: str) -> File:
    node = platter.find(name)
    assert isinstance(node, File)
    return node


def names(platter: Platter) -> set[str]:
    return set(platter.root.entries)


# --- The rules


def test_what_was_synced_is_there_and_what_was_not_need_not_be():
    platter = made("a")
    file(platter, "a").write(0, PAGE)
    assert file(platter.after_cut(DICE, 0.0), "a").content == b""
    file(platter, "a").sync()
    file(platter, "a").write(0, b"later")
    assert file(platter.after_cut(DICE, 0.0), "a").content == PAGE
    assert file(platter.after_cut(DICE, 1.0), "a").content == b"later" + PAGE[5:]


def test_a_write_may_be_torn_between_its_sectors_and_made_in_any_order():
    """Also a later one without the one before it."""
    platter = made("a")
    file(platter, "a").write(0, bytes(len(PAGE)))
    file(platter, "a").sync()
    file(platter, "a").write(0, PAGE)
    left = {bytes(file(platter.after_cut(DICE), "a").content) for _ in range(200)}
    old = bytes(SECTOR_BYTES)
    a, b = PAGE[:SECTOR_BYTES], PAGE[SECTOR_BYTES:]
    assert left == {old + old, a + old, old + b, a + b}


def test_a_file_may_be_as_long_as_it_ever_was_and_what_was_not_written_is_zeros():
    platter = made("a")
    file(platter, "a").write(0, PAGE)
    file(platter, "a").sync()
    file(platter, "a").resize(0)
    file(platter, "a").write(2 * SECTOR_BYTES, b"end")
    left = {bytes(file(platter.after_cut(DICE), "a").content) for _ in range(500)}
    assert {PAGE, b"", PAGE + b"end", PAGE + bytes(3), bytes(2 * SECTOR_BYTES) + b"end"} <= left


def test_a_name_is_safe_once_its_directory_was_synced_and_not_with_its_file():
    platter = made()
    platter.make("a", File(0o600))
    platter.sync(platter.find("a"))
    assert names(platter.after_cut(DICE, 0.0)) == set()
    platter.sync(platter.root)
    assert names(platter.after_cut(DICE, 0.0)) == {"a"}


def test_what_was_removed_may_be_there_again_with_what_it_held():
    platter = made("a")
    file(platter, "a").write(0, b"held")
    file(platter, "a").sync()
    platter.remove("a")
    assert file(platter.after_cut(DICE, 0.0), "a").content == b"held"
    platter.sync(platter.root)
    assert names(platter.after_cut(DICE, 0.0)) == set()


def test_a_rename_is_made_or_not_and_others_are_made_before_it_or_after():
    platter = made("draft", "a", "b")
    platter.rename("draft", "a")
    platter.remove("b")
    left = {frozenset(names(platter.after_cut(DICE))) for _ in range(200)}
    assert left == {frozenset(each) for each in ({"draft", "a", "b"}, {"a", "b"}, {"draft", "a"}, {"a"})}


def test_what_is_in_a_new_directory_is_nowhere_without_the_directory():
    platter = made()
    platter.make("new", Directory(0o700))
    platter.make("new/a", File(0o600))
    platter.sync(platter.find("new"))
    assert names(platter.after_cut(DICE, 0.0)) == set()
    platter.sync(platter.root)
    assert file(platter.after_cut(DICE, 0.0), "new/a").content == b""


def test_what_a_sync_failed_to_write_is_read_still_and_written_by_none_that_follows():
    left = set()
    for seed in range(50):
        platter = made("a")
        file(platter, "a").write(0, PAGE)
        file(platter, "a").fail_to_sync(random.Random(seed))
        file(platter, "a").sync()
        assert file(platter, "a").content == PAGE
        left.add(bytes(file(platter.after_cut(DICE, 1.0), "a").content))
    assert {b"", PAGE} < left


# --- The same, mounted


@pytest.fixture(scope="module")
def mounted() -> Iterator[Disk]:
    with forgetful_disk() as disk:
        yield disk


@pytest.fixture
def disk(mounted: Disk) -> Disk:
    mounted.erase()
    return mounted


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def test_through_the_kernel_a_cut_takes_what_was_not_synced_and_fails_all_until_the_power_is_back(disk: Disk):
    (disk.root / "kept").write_bytes(PAGE)
    sync(disk.root / "kept")
    sync(disk.root)
    (disk.root / "kept").write_bytes(b"other")
    (disk.root / "lost").write_bytes(PAGE)
    assert {each.name for each in disk.root.iterdir()} == {"kept", "lost"}
    disk.cut(1, 0.0)
    with pytest.raises(OSError, match="Input/output error"):
        (disk.root / "kept").read_bytes()
    disk.power_on()
    assert {each.name for each in disk.root.iterdir()} == {"kept"}
    assert (disk.root / "kept").read_bytes() == PAGE


def test_it_is_cut_at_the_step_that_was_named(disk: Disk):
    disk.cut_at(2, 1, 1.0, doing="write", name="*.db")
    (disk.root / "other").write_bytes(b"1")
    (disk.root / "a.db").write_bytes(b"1")
    with pytest.raises(OSError, match="Input/output error"):
        (disk.root / "a.db").write_bytes(b"2")
    assert not disk.has_power
    disk.power_on()
    assert (disk.root / "other").read_bytes() == b"1"


def test_who_takes_the_step_is_killed_before_it_is_made(disk: Disk):
    async def two_files(tell: Tell) -> None:
        for name in ("first", "second"):
            (disk.root / name).touch()
            tell(name)

    disk.kill_at(2, "name")
    life = live(two_files)
    assert (life.said, life.was_killed) == ([["first"]], True)
    assert [each.name for each in disk.root.iterdir()] == ["first"]


def test_a_sync_hangs_until_it_is_healed(disk: Disk):
    disk.hold("sync", "a")
    (disk.root / "a").write_bytes(b"1")
    (disk.root / "b").write_bytes(b"1")
    sync(disk.root / "b")
    (waits := Thread(target=sync, args=(disk.root / "a",))).start()
    disk.until_held()
    assert (disk.root / "b").read_bytes() == b"1"
    assert waits.is_alive()
    disk.heal()
    waits.join()


@pytest.mark.parametrize("error", ["EIO", "ENOSPC", "EROFS"])
def test_a_step_fails_as_often_as_it_is_told_to(disk: Disk, error: str):
    (disk.root / "a").touch()
    disk.fail("write", "a", nth=2, times=1, error=error)
    (disk.root / "a").write_bytes(b"1")
    with (disk.root / "a").open("ab", buffering=0) as file:
        with pytest.raises(OSError, match=os.strerror(getattr(errno, error))):
            file.write(b"2")
        file.write(b"3")
    assert (disk.root / "a").read_bytes() == b"13"


def test_it_is_full_when_it_is_told_how_much_there_is(disk: Disk):
    disk.has_room_for(2 * 4096)
    (disk.root / "a").write_bytes(b"x" * 4096)
    found = os.statvfs(disk.root)
    assert found.f_bavail * found.f_frsize == 4096
    with pytest.raises(OSError, match="No space left"):
        (disk.root / "b").write_bytes(b"x" * 4097)
    disk.has_room_for(None)
    (disk.root / "b").write_bytes(b"x" * 4097)
