"""The power fails when a file was just made, renamed or removed: a name is safe only once its directory was synced."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.faults.disk import Disk, forgetful_disk
from tests.faults.promises import Promises
from tests.faults.short_life import Life, Tell, live
from tests.faults.store_work import work
from tests.making import SEAL, event
from tests.running import configuration
from tests.store.old_files import ask, old_file
from webhookd.providers import reread
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.backup import remove_drafts
from webhookd.store.sqlite.compact import compact, is_compact
from webhookd.store.sqlite.connection import SCHEMA_VERSION
from webhookd.store.sqlite.migrate import migrate, outdated
from webhookd.store.sqlite.store import SqliteStore
from webhookd.upgrade import nobody

ONLY_WHAT_WAS_SYNCED = 0.0


@pytest.fixture(scope="module")
def mounted() -> Iterator[Disk]:
    with forgetful_disk() as disk:
        yield disk


@pytest.fixture
def disk(mounted: Disk) -> Disk:
    mounted.erase()
    return mounted


@pytest.fixture
def data_dir(disk: Disk) -> Path:
    """None of its parents is there either."""
    return disk.root / "srv" / "payments" / "webhookd"


def start(data_dir: Path, number: int) -> Life:
    return live(partial(work, data_dir=data_dir, life=number, dice=random.Random(number), turns=2, hooks_only=True))


def cut(disk: Disk, dice: random.Random, chance: float | None = None) -> None:
    disk.heal()
    disk.cut(dice.getrandbits(32), chance)
    disk.power_on()


@pytest.mark.fault(3)
def test_what_the_first_answer_rests_on_is_there_with_nothing_but_what_was_synced(
    disk: Disk, data_dir: Path, dice: random.Random
):
    """The directory, the database, its WAL, the key to its secrets, the token."""
    promises = Promises()
    promises.hear(start(data_dir, 0).said)
    cut(disk, dice, ONLY_WHAT_WAS_SYNCED)
    assert promises.acked
    assert promises.broken(data_dir) == []


@pytest.mark.fault(1, 3)
def test_who_goes_on_where_a_killed_process_left_off_makes_safe_what_that_one_did_not(
    disk: Disk, data_dir: Path, dice: random.Random, torture: bool, record_property: Callable[[str, Any], None]
):
    """The kernel has what was made, and shows it; whoever builds on it has to sync it, though he did not make it."""
    syncs_of_names = ("sync", data_dir.name)
    kills = 0
    for doing, name in (syncs_of_names, ("sync", "*"), ("name", "*")) if torture else (syncs_of_names,):
        step, was_killed = 0, True
        while was_killed:
            step += 1
            disk.erase()
            disk.kill_at(step, doing, name)
            promises = Promises()
            first = start(data_dir, 0)
            promises.hear(first.said)
            was_killed = first.was_killed
            disk.heal()
            second = start(data_dir, 1)
            promises.hear(second.said)
            assert (first.failure, second.failure) == ("", "")
            cut(disk, dice, ONLY_WHAT_WAS_SYNCED)
            assert promises.broken(data_dir) == [], f"after a kill in the place of {doing} {step} of {name}"
            kills += was_killed
        assert step > len(("of the WAL", "of the key", "of the token"))
    record_property("kills", kills)
    record_property("power_cuts", kills)


@pytest.mark.fault(3, 39)
@pytest.mark.parametrize("target", ["monday.db", "elsewhere/monday.db"])
def test_a_backup_is_whole_and_in_its_place_as_soon_as_the_command_has_said_so(
    disk: Disk, data_dir: Path, dice: random.Random, tmp_path: Path, target: str
):
    promises = Promises()
    promises.hear(start(data_dir, 0).said)
    (disk.root / "elsewhere").mkdir()
    disk.sync_all()
    (tmp_path / "webhookd.toml").write_text(configuration())
    where = str(disk.root / target) if "/" in target else target
    command = [sys.executable, "-m", "webhookd", "backup", where, "--data-dir", str(data_dir), "--json"]
    checkout = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    made = subprocess.run(command, cwd=tmp_path, env=checkout, check=True, capture_output=True)
    cut(disk, dice, ONLY_WHAT_WAS_SYNCED)
    promises.backups[Path(json.loads(made.stdout)["path"])] = set(promises.acked)
    assert promises.broken(data_dir) == []


@pytest.mark.fault(3, 4, 38)
def test_an_upgrade_leaves_the_old_schema_or_the_new_one_and_all_that_was_in_it(
    disk: Disk, dice: random.Random, tmp_path: Path, torture: bool, record_property: Callable[[str, Any], None]
):
    old = old_file(tmp_path / "old" / "webhookd.db", 2)
    events = ask(old, "SELECT key, sha256 FROM event ORDER BY key")
    path = disk.root / "webhookd.db"

    async def upgrade(tell: Tell) -> None:
        remove_drafts(path.parent)
        migrate(path, SEAL, reread, nobody, stamp=str(len(list(path.parent.glob("backups/*")))))
        tell("migrated")
        if not is_compact(path):
            compact(path, nobody, bytes_max=2**30)
        tell("compacted")

    def put() -> int:
        disk.erase()
        path.write_bytes(old.read_bytes())
        path.chmod(0o600)
        disk.sync_all()
        return disk.steps

    before = put()
    assert live(upgrade).failure == ""
    steps = disk.steps - before
    cuts = 200 if torture else 8
    for _ in range(cuts):
        put()
        # Most of the steps write pages; it is the last ones that put files in their places.
        step = steps + 1 - round(steps ** dice.random())
        disk.cut_at(step, dice.getrandbits(32))
        life = live(upgrade)
        cut(disk, dice)
        [(schema,)] = ask(path, "PRAGMA user_version")
        assert schema in ((SCHEMA_VERSION,) if ["migrated"] in life.said else (2, SCHEMA_VERSION)), step
        assert ask(path, "SELECT key, sha256 FROM event ORDER BY key") == events, step
        for backup in path.parent.glob("backups/[!.]*"):
            assert ask(backup, "SELECT key, sha256 FROM event ORDER BY key") == events, step
        assert live(upgrade).failure == "", step
        assert outdated(path) is None, step
        assert is_compact(path), step
        assert list(audit(path, reread)) == [], step
    record_property("power_cuts", cuts)


@pytest.mark.fault(1, 3, 4)
def test_a_file_that_is_put_in_the_databases_place_is_never_found_beside_the_wal_of_the_one_before(
    disk: Disk, dice: random.Random, tmp_path: Path, torture: bool, record_property: Callable[[str, Any], None]
):
    """That was emptied and removed before; if neither is safe and the new name is, it would be played into the file."""
    old = old_file(tmp_path / "webhookd.db", 2)

    async def leave_a_wal(tell: Tell) -> None:
        migrate(old, SEAL, reread, nobody, stamp="now")
        store = SqliteStore(old)
        await store.open()
        for _ in range(20):
            await store.append(event())

    async def put_anew(tell: Tell) -> None:
        compact(path, nobody, bytes_max=2**30)

    assert live(leave_a_wal).failure == ""
    left = {path.name: path.read_bytes() for path in (old, old.with_name("webhookd.db-wal"))}
    assert all(left.values())
    path = disk.root / "webhookd.db"
    cuts = 200 if torture else 16
    for number in range(cuts):
        disk.erase()
        for name, content in left.items():
            (disk.root / name).write_bytes(content)
        disk.sync_all()
        disk.cut_at(1, dice.getrandbits(32), 0.5, doing="name", name=path.name)
        live(put_anew)
        disk.power_on()
        assert list(audit(path, reread)) == [], number
        assert len(ask(path, "SELECT key FROM event WHERE source = 'stripe' AND salt > 0")) > 20, number
    record_property("power_cuts", cuts)
