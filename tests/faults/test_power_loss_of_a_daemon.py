"""The power fails under a whole daemon and its load: what the provider was answered, and what merchants saw, stands."""

import asyncio
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.crash.audit import audit, duplicated, lost
from tests.crash.harness import NAMES, WAITS
from tests.crash.parties import Merchants, Provider
from tests.faults.disk import Disk, forgetful_disk
from tests.running import PATIENCE_S, RunningDaemon, configuration, endpoint
from webhookd.providers import reread
from webhookd.store.sqlite.audit import audit as verify

ACKS_MAX = 60
STEPS_MAX = 3_000
"""Of the disk, in a life: a start has some hundreds, and then each commit some dozens."""


@pytest.fixture(scope="module")
def disk() -> Iterator[Disk]:
    with forgetful_disk() as disk:
        yield disk


class Site:
    """A daemon whose data is on the disk that forgets, and its configuration on one that does not."""

    def __init__(self, disk: Disk, directory: Path, dice: random.Random) -> None:
        self._disk, self._directory, self._dice = disk, directory, dice
        self.data_dir = disk.root / "srv" / "data"
        (directory / "data").symlink_to(self.data_dir)
        self.provider = Provider(dice)
        self.merchants = Merchants(NAMES, dice, fail_rate=0.1)

    async def open(self) -> None:
        await self.merchants.start()
        endpoints = "".join(endpoint(name, self.merchants.port) for name in NAMES)
        config = configuration(endpoints=endpoints, delivery=f"schedule = {WAITS}")
        (self._directory / "webhookd.toml").write_text(config)

    def daemon(self) -> RunningDaemon:
        command = [sys.executable, "-m", "webhookd", "serve", "--data-dir", str(self.data_dir)]
        return RunningDaemon(self._directory, command, {})

    async def live_until_the_power_fails(self) -> None:
        """At a step of the disk, whatever is being done then; or once so much was answered, be it between two."""
        running, seed = self.daemon(), self._dice.getrandbits(32)
        at_a_step = self._dice.random() < 0.5
        if at_a_step:
            self._disk.cut_at(self._dice.randint(1, STEPS_MAX), seed)
        try:
            await running.start()
        except AssertionError:
            assert not self._disk.has_power, running.log  # it failed while the daemon was starting
        else:
            self.provider.reachable_at(f"{running.hooks}/webhooks/stripe")
            if at_a_step:
                await asyncio.to_thread(self._disk.until_cut)
            else:
                await self.provider.acked_more(self._dice.randint(1, ACKS_MAX))
                await asyncio.to_thread(self._disk.cut, seed)
            self.provider.unreachable()
        await running.kill()
        self._disk.power_on()

    async def live_to_the_end(self, sending: "asyncio.Task[None]") -> None:
        """All that was sent gets its 200, all that is owed arrives."""
        running = self.daemon()
        await running.start()
        try:
            self.provider.reachable_at(f"{running.hooks}/webhooks/stripe")
            await self.provider.acked_more(ACKS_MAX)
            self.provider.finish()
            async with asyncio.timeout(PATIENCE_S):
                await sending
                await self._delivered(running)
            assert await running.stop() == 0, running.log
        finally:
            await running.kill()

    async def _delivered(self, running: RunningDaemon) -> None:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            while True:
                async with session.get(f"{running.admin}/api/v1/status") as response:
                    found = await response.json()
                if found["backlog"] == 0:
                    return


@pytest.mark.fault(3, 4)
async def test_what_was_answered_200_is_there_and_delivered_however_often_the_power_fails(
    disk: Disk,
    tmp_path: Path,
    dice: random.Random,
    seed: int,
    torture: bool,
    record_property: Callable[[str, Any], None],
):
    """And no merchant has ever heard of an event that the log does not know: what is sent was safe before."""
    site = Site(disk, tmp_path, dice)
    cuts = 60 if torture else 3
    await site.open()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(site.merchants.stop)
        sending = asyncio.create_task(site.provider.run())
        try:
            for number in range(cuts):
                await site.live_until_the_power_fails()
                if (database := site.data_dir / "webhookd.db").exists() and site.provider.acked:
                    assert list(verify(database, reread)) == [], f"after cut {number + 1} of --seed {seed}"
            await site.live_to_the_end(sending)
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    assert audit(site.data_dir / "webhookd.db", site.provider, site.merchants, len(WAITS)) == []
    assert (lost(site.provider, site.merchants), duplicated(site.provider, site.merchants)) == ([], [])
    assert site.provider.acked > 5 * cuts, "so little succeeded that it means nothing"
    for name, count in {"power_cuts": cuts, "acks": site.provider.acked}.items():
        record_property(name, count)
