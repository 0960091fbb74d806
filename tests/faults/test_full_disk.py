"""A disk without room: no hook is taken, what is owed goes out all the same, and with room all goes on by itself."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.small_disk import MIB, needs_mounting, small_disk
from tests.faults.trade import ENOUGH, Trade, trade
from tests.running import PATIENCE_S

pytestmark = needs_mounting
Record = Callable[[str, object], None]
NEARLY_FULL = "The disk is nearly full; hooks are refused until there is room."


async def has_taken(shop: Trade, ids: set[str]) -> None:
    """Wait until the merchant has."""
    async with asyncio.timeout(PATIENCE_S):
        while not ids <= set(shop.merchant.taken):
            await asyncio.sleep(0)


def acked(shop: Trade) -> set[str]:
    return {event_id for hook in shop.provider.hooks.values() for _, event_id in hook.acks}


@pytest.mark.fault(8)
async def test_on_a_full_disk_no_hook_is_taken_and_what_is_owed_goes_out(
    tmp_path: Path, dice: random.Random, torture: bool, record_property: Record
):
    with small_disk(tmp_path / "data", 32 * MIB) as disk:
        async with trade(tmp_path, dice, fail_rate=0) as shop:
            for _ in range(10 if torture else 1):
                shop.merchant.opens.clear()
                await shop.provider.acked_more(3 * ENOUGH)
                disk.leave(0)
                await shop.provider.refused_more(ENOUGH)
                await shop.running.logged("disk_low")
                assert await shop.status_of("/readyz") == 503
                assert await shop.status_of("/healthz") == 200
                owed = acked(shop)
                shop.merchant.opens.set()
                await has_taken(shop, owed)
                assert disk.free < MIB
                pid = shop.running.pid
                shop.running.log.clear()
                disk.make_room()
                await shop.running.logged("disk_has_room")
                await shop.provider.acked_more(ENOUGH)
                assert (await shop.status_of("/readyz"), shop.running.pid) == (200, pid)
            await shop.ends_well()
            assert len(shop.merchant.taken) == len(set(shop.merchant.taken)), (
                "what could not be settled was not sent again"
            )
            record_property("acks", shop.provider.acked)


@pytest.mark.fault(9)
async def test_on_a_nearly_full_disk_hooks_are_refused_before_sqlite_has_to_and_all_else_has_its_room(
    tmp_path: Path, dice: random.Random, torture: bool, record_property: Record
):
    floor = 8
    with small_disk(tmp_path / "data", 48 * MIB) as disk:
        async with trade(tmp_path, dice, min_free=f"{floor}MiB") as shop:
            for _ in range(5 if torture else 1):
                disk.leave((floor + 1) * MIB)
                await shop.running.logged("disk_low")
                await shop.provider.refused_more(ENOUGH)
                await shop.is_settled()
                assert shop.provider.reasons == {NEARLY_FULL}
                assert disk.free > floor * MIB / 2
                assert await shop.status_of("/readyz") == 503
                shop.running.log.clear()
                disk.make_room()
                await shop.running.logged("disk_has_room")
                await shop.provider.acked_more(ENOUGH)
            await shop.ends_well()
            record_property("acks", shop.provider.acked)


@pytest.mark.fault(8)
async def test_what_was_killed_on_a_full_disk_is_whole_once_there_is_room(
    tmp_path: Path, dice: random.Random, torture: bool
):
    if not torture:
        pytest.skip("only --torture does this, too")
    with small_disk(tmp_path / "data", 32 * MIB) as disk:
        async with trade(tmp_path, dice) as shop:
            await shop.provider.acked_more(ENOUGH)
            disk.leave(0)
            await shop.provider.refused_more(ENOUGH)
            shop.provider.unreachable()
            await shop.running.kill()
            disk.make_room()
            await shop.goes_on()
