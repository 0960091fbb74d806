"""The power fails at any step of a store's life, again and again: what was answered is there, and all of it is sound.

What the disk may forget, tear and reorder is in `platter`; it is stricter than the file systems that people use.
"""

import os
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest

from tests.faults.disk import Disk, forgetful_disk
from tests.faults.promises import Promises
from tests.faults.short_life import live
from tests.faults.store_work import work
from webhookd.store.sqlite import connection
from webhookd.store.sqlite.durable import DurableWal

LIVES = 3
STEPS_MAX = 2_000
"""A start has some hundreds of steps, a commit some dozens."""
CHECKPOINT_FRAMES = (5, 20, 100, 1_000)
"""How often the WAL is moved into the database: so often that it falls into the life of a test, or as users have it."""
Sabotage = Callable[[], None]


@pytest.fixture(scope="module")
def mounted() -> Iterator[Disk]:
    with forgetful_disk() as disk:
        yield disk


@pytest.fixture
def disk(mounted: Disk) -> Disk:
    mounted.erase()
    return mounted


class Run(NamedTuple):
    broken: list[str]
    promises: Promises
    cuts: int
    kills: int


def run(disk: Disk, dice: random.Random, sabotage: Sabotage | None = None, chance: float | None = None) -> Run:
    """Some lives on one disk. Each ends with a power cut, or is killed first and followed by one that finds what the
    kernel has of it; or it comes to its end, and the power fails then. `chance` is the disk's.
    """
    disk.erase()
    data_dir = disk.root / "srv" / "webhookd"
    promises, broken, cuts, kills = Promises(), [], 0, 0
    for number in range(LIVES):
        # At the start as often as in all that follows.
        step = dice.choice((round(STEPS_MAX ** dice.random()), dice.randint(1, STEPS_MAX)))
        seed = dice.getrandbits(32)
        match dice.choice(("cut", "cut", "killed", "left")):
            case "cut":
                disk.cut_at(step, seed, chance)
            case "killed":
                disk.kill_at(step)
        its_dice, turns = random.Random(dice.random()), dice.randint(1, 12)
        frames = dice.choice(CHECKPOINT_FRAMES)
        its_work = partial(work, data_dir=data_dir, life=number, dice=its_dice, turns=turns, frames=frames)
        life = live(partial(its_work, sabotage=sabotage))
        promises.hear(life.said)
        disk.heal()
        if disk.has_power:
            broken += [life.failure] * bool(life.failure)
            if life.was_killed and number + 1 < LIVES:
                kills += 1
                continue
            disk.cut(seed, chance)
        disk.power_on()
        cuts += 1
        broken += promises.broken(data_dir)
    last = live(partial(work, data_dir=data_dir, life=LIVES, dice=dice, turns=1, sabotage=sabotage))
    return Run([*broken, *([last.failure] if last.failure else [])], promises, cuts, kills)


def sqlite_syncs() -> None:
    """As where there is no fdatasync: SQLite is set to FULL, and makes every sync."""
    del os.fdatasync


def nobody_syncs_commits() -> None:
    """What SQLite's NORMAL gives by itself."""
    DurableWal._sync = lambda self, descriptor: None  # type: ignore[method-assign]


def nobody_syncs() -> None:
    nobody_syncs_commits()
    connection.synchronous = lambda: 0


@pytest.mark.fault(3, 4)
@pytest.mark.parametrize(("way", "small", "earnest"), [(None, 8, 300), (sqlite_syncs, 2, 60)])
def test_whatever_was_answered_is_there_when_the_power_is_back_and_all_of_it_is_sound(
    disk: Disk,
    seed: int,
    torture: bool,
    record_property: Callable[[str, Any], None],
    way: Sabotage | None,
    small: int,
    earnest: int,
):
    seeds = earnest if torture else small
    acked = cuts = kills = 0
    for number in range(seeds):
        found = run(disk, random.Random(f"{seed}:{number}"), way)
        assert found.broken == [], f"run {number} of --seed {seed}"
        acked += len(found.promises.acked)
        cuts += found.cuts
        kills += found.kills
    assert acked > 10 * seeds, "so little succeeded that it means nothing"
    for name, count in {"seeds": seeds, "power_cuts": cuts, "kills": kills, "acks": acked}.items():
        record_property(name, count)


@pytest.mark.fault(3, 4)
@pytest.mark.parametrize("sabotage", [nobody_syncs_commits, nobody_syncs])
def test_the_same_without_the_sync_loses_what_was_answered_in_most_runs(
    disk: Disk, seed: int, torture: bool, sabotage: Sabotage
):
    """The disk bites: were it not for the sync, the test above would be red."""
    seeds = 40 if torture else 5
    lost = 0
    for number in range(seeds):
        found = run(disk, random.Random(f"{seed}:{number}"), sabotage, chance=0.0)
        lost += any(line.startswith(("lost", "there is no database", "the database")) for line in found.broken)
    assert lost > seeds / 2
