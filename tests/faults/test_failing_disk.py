"""A disk that fails under the daemon: nothing is acked that it may not have kept, and a restart is whole.

What an I/O error has done to the file nobody knows. So it is the end of the process, and nothing is tried again.
"""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.calls import needs_strace
from tests.faults.meddling import SYNCS, WRITES, meddled
from tests.faults.trade import Trade, trade

pytestmark = needs_strace
Record = Callable[[str, object], None]


async def fails(shop: Trade, file: Path, calls: str, nth: int) -> None:
    """Its n-th such call on that file fails; that ends it, and no other such call is made."""
    async with meddled(shop.running.pid, file, calls, f"error=EIO:when={nth}") as seen:
        await shop.breaks_down()
    assert seen.injected == 1
    assert seen.after_the_first == []


@pytest.mark.fault(5)
async def test_a_sync_of_a_commit_that_fails_is_the_last_one(
    tmp_path: Path, dice: random.Random, torture: bool, record_property: Record
):
    rounds = 20 if torture else 2
    async with trade(tmp_path, dice) as shop:
        for _ in range(rounds):
            await shop.provider.acked_more(dice.randint(1, 20))
            await fails(shop, shop.wal, SYNCS, dice.randint(1, 20))
            await shop.open()
        await shop.ends_well()
        record_property("acks", shop.provider.acked)
    record_property("syscalls", rounds)


@pytest.mark.fault(7)
async def test_a_write_to_the_wal_that_fails_is_the_last_one(
    tmp_path: Path, dice: random.Random, torture: bool, record_property: Record
):
    rounds = 20 if torture else 1
    async with trade(tmp_path, dice) as shop:
        for _ in range(rounds):
            await shop.provider.acked_more(dice.randint(1, 20))
            await fails(shop, shop.wal, WRITES, dice.randint(1, 200))
            await shop.open()
        await shop.ends_well()
        record_property("acks", shop.provider.acked)
    record_property("syscalls", rounds)


@pytest.mark.fault(6)
@pytest.mark.parametrize("calls", [SYNCS, WRITES])
async def test_a_checkpoint_that_fails_is_the_last_one(
    tmp_path: Path, dice: random.Random, torture: bool, record_property: Record, calls: str
):
    """SQLite's own would keep it to itself: hooks would be acked on, and it would be tried again and again."""
    rounds = 5 if torture else 1
    async with trade(tmp_path, dice) as shop:
        for _ in range(rounds):
            await fails(shop, shop.database, calls, 1 if calls == SYNCS else dice.randint(1, 100))
            await shop.open()
        await shop.ends_well()
        record_property("acks", shop.provider.acked)
    record_property("syscalls", rounds)
