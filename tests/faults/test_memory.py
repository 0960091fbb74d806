"""Memory: it is bounded whatever there is to deliver, and where there is none left, nothing is lost."""

import asyncio
import resource
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from tests.daemon.test_end_to_end import stripe_headers
from tests.deliver.raw import merchant
from tests.faults.bad_merchants import swallows
from tests.faults.settled import log_of
from tests.receive.wire import event_of_size
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon, endpoint

pytestmark = pytest.mark.fault(21)
MIB = 2**20
AT_ONCE = 8

GIVES_UP_S = PATIENCE_S / 4
"""A provider without an answer. Where there is no memory to answer with, there may be none."""


def memory_of(running: RunningDaemon, what: str) -> int:
    """Bytes: VmSize is what is mapped, VmHWM the most that was ever resident."""
    lines = Path(f"/proc/{running.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))


class Provider:
    """Sends large hooks, some at a time; what is not answered, or not well, is sent again by who calls it."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.answers: Counter[int] = Counter()
        """By status; 0: none."""
        self.acked: set[str] = set()

    async def send(self, running: RunningDaemon, name: str, size: int) -> bool:
        body = event_of_size(name, size)
        url = f"{running.hooks}/webhooks/stripe"
        try:
            async with self._session.post(url, data=body, headers=stripe_headers(body)) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError):
            status = 0
        self.answers[status] += 1
        if status == 200:
            self.acked.add(name)
        return status == 200


async def insist(provider: Provider, running: RunningDaemon, name: str, size: int) -> None:
    """Until it is taken; a daemon that has ended is started again."""
    async with asyncio.timeout(PATIENCE_S):
        while not await provider.send(running, name, size):
            if running.has_ended:
                assert await running.ended() != 0
                await running.start()


async def test_however_much_a_merchant_who_swallows_is_owed_memory_does_not_grow_with_it(
    tmp_path: Path, torture: bool, record_property: Any
):
    """His window holds some of it (64 deliveries), the disk all."""
    count, size = (2_000 if torture else 400), 256 * 1024
    async with (
        merchant(swallows) as hole,
        aiohttp.ClientSession() as session,
        daemon(tmp_path, configuration(endpoints=endpoint("hole", hole.port))) as running,
    ):
        provider, names = Provider(session), iter(f"evt_{number}" for number in range(count))
        before = memory_of(running, "VmHWM")

        async def sender() -> None:
            for name in names:
                assert await provider.send(running, name, size)

        await asyncio.gather(*(sender() for _ in range(AT_ONCE)))
        grown = memory_of(running, "VmHWM") - before
        assert sorted(await log_of(running)) == sorted(provider.acked)
    assert len(provider.acked) == count
    assert grown < count * size / 2, f"{grown / MIB:.0f} MiB"
    assert grown < 72 * MIB
    record_property("acks", count)


async def test_where_no_memory_is_left_nothing_that_was_acked_is_lost(
    tmp_path: Path, dice: Random, torture: bool, record_property: Any
):
    """The limit comes down to what is in use while hooks come in; whether the process bears it or ends is open."""
    rounds = 25 if torture else 2
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=GIVES_UP_S)) as session,
        daemon(tmp_path) as running,
    ):
        provider = Provider(session)
        for round_ in range(rounds):
            names = [f"evt_{round_}_{number}" for number in range(40)]
            sizes = {name: dice.choice([1_000, 60_000, 900_000]) for name in names}
            spare = dice.choice([0, 0, MIB, 2 * MIB])
            limit = memory_of(running, "VmSize") + spare
            resource.prlimit(running.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            await asyncio.gather(*(provider.send(running, name, sizes[name]) for name in names))
            with suppress(ProcessLookupError):
                resource.prlimit(running.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            for name in names:
                if name not in provider.acked:
                    await insist(provider, running, name, sizes[name])
        assert await running.stop() == 0
        await running.start()
        found = Counter(await log_of(running))
    assert found == Counter(provider.acked), "each once"
    assert provider.answers.total() - provider.answers[200] > 0, "it was never short of memory"
    assert provider.answers.keys() <= {200, 503, 500, 0}
    record_property("acks", len(provider.acked))
    record_property("refused", provider.answers.total() - provider.answers[200])
