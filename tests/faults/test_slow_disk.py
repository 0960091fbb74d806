"""A disk that takes its time, or does not come back at all: answers are late or 503, and none is wrong."""

import asyncio
import random
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.daemon.test_watchdog import OFTEN
from tests.faults.calls import needs_strace
from tests.faults.meddling import SYNCS, meddled
from tests.faults.trade import ENOUGH, trade

pytestmark = needs_strace
Record = Callable[[str, object], None]
NEVER = "delay_enter=3600s"
"""As far as a daemon can tell. It goes on when strace lets go of it, and it can be killed."""


@asynccontextmanager
async def systemd(directory: Path) -> AsyncIterator[dict[str, str]]:
    """Somebody who hears what the daemon notifies; what it is to find in its environment for that."""
    address = str(directory / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address)
        channel.setblocking(False)

        async def hear() -> None:
            while True:
                await asyncio.get_running_loop().sock_recv(channel, 4096)

        hearing = asyncio.create_task(hear())
        yield {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": OFTEN}
        hearing.cancel()


@pytest.mark.fault(11)
async def test_while_each_sync_takes_long_hooks_are_acked_late_and_the_watchdog_is_fed(
    tmp_path: Path, dice: random.Random, torture: bool, record_property: Record
):
    async with systemd(tmp_path) as environment, trade(tmp_path, dice, **environment) as shop:
        for delay_ms in (200, 700) if torture else (200,):
            async with meddled(shop.running.pid, shop.wal, SYNCS, f"delay_enter={delay_ms}ms") as seen:
                await shop.provider.acked_more(ENOUGH)
            assert seen.injected > 0
        assert shop.provider.refusals == 0
        assert "writer" not in str([line["stuck"] for line in shop.running.log if line["event"] == "watchdog_not_fed"])
        await shop.ends_well()
        record_property("acks", shop.provider.acked)


@pytest.mark.fault(12)
async def test_while_a_sync_hangs_hooks_are_refused_and_all_else_is_answered_until_it_is_killed_for_it(
    tmp_path: Path, dice: random.Random, record_property: Record
):
    async with systemd(tmp_path) as environment, trade(tmp_path, dice, **environment) as shop:
        await shop.provider.acked_more(ENOUGH)
        async with meddled(shop.running.pid, shop.wal, SYNCS, NEVER):
            stuck = await shop.running.logged("watchdog_not_fed")
            assert "writer" in str(stuck["stuck"])
            await shop.running.logged("store_stalled")
            await shop.provider.refused_more(ENOUGH)
            assert await shop.status_of("/healthz") == 200
            assert await shop.status_of("/readyz") == 503
            shop.provider.unreachable()
            shop.running.send_signal(signal.SIGKILL)
        assert await shop.running.ended() == -signal.SIGKILL
        await shop.goes_on()
        record_property("acks", shop.provider.acked)


@pytest.mark.fault(12)
async def test_when_a_sync_that_hung_comes_back_all_goes_on_by_itself(tmp_path: Path, dice: random.Random):
    async with trade(tmp_path, dice) as shop:
        await shop.provider.acked_more(ENOUGH)
        async with meddled(shop.running.pid, shop.wal, SYNCS, NEVER):
            await shop.running.logged("store_stalled")
            await shop.provider.refused_more(ENOUGH)
        await shop.running.logged("store_goes_on")
        await shop.ends_well()
