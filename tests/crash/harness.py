"""Starts the real daemon, kills it at random moments and at named steps, lets it finish, and asks the auditor."""

import asyncio
import math
import os
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

from tests.crash.audit import duplicated, lost
from tests.crash.daemon_under_fault import STEPS
from tests.crash.grounds import SERVER, Ground, OnSqlite
from tests.crash.parties import Merchants, Provider
from tests.faults.calls import Call, Tracer
from tests.running import PATIENCE_S, RunningDaemon, endpoint

NAMES = ("checkout", "inventory", "fulfillment")
WAITS = ["0s", "20ms", "20ms", "50ms", "50ms", "100ms", "100ms", "200ms", "200ms", "400ms", "400ms", "800ms"]
CALLS = {
    "pwrite64 of webhookd.db-wal": 300,
    "fdatasync of webhookd.db-wal": 30,
    "pwrite64 of webhookd.db": 10,
    "fsync of webhookd.db": 1,
}
"""Where strace may strike, too: as a call is entered that is made so many times, or a little more often, under load."""
ACKS_BEFORE_KILL = 25
ENOUGH_ACKS_PER_KILL = 10
AHEAD_MAX = 2_000
"""Events that one of the merchants has not had: hooks come in faster than they go out, and by the last kill a hundred
thousand deliveries would be owed.
"""


class Report(NamedTuple):
    seed: int
    kills: Counter[str]
    sent: int
    acked: int
    duplicate_acks: int
    """Of those: what they acked was known already."""
    requests: int
    repeated_requests: int
    """The same event, to the same merchant, under the same id: what the id is for."""
    lost: int
    """Events that were acked and did not reach every merchant."""
    duplicated: int
    """Events that a merchant got under more than one id."""
    broken: list[str]
    """Every promise that was not kept, whether or not a merchant could see it."""

    @property
    def enough(self) -> bool:
        """Whether so much succeeded that the verdict means something."""
        return self.acked >= ENOUGH_ACKS_PER_KILL * sum(self.kills.values()) and self.requests >= self.acked


async def crash(
    directory: Path,
    kills: int,
    seed: int,
    *,
    moments: Collection[str] = (),
    sabotage: str | None = None,
    told: Callable[[str], None] = lambda _: None,
    ground: Ground | None = None,
) -> Report:
    """`told` hears of each kill, by its moment. Those are all that there are on that ground, if none are named."""
    ground = ground or OnSqlite()
    dice = random.Random(seed)
    provider = Provider(dice)
    merchants = Merchants(NAMES, dice, fail_rate=0.1)
    await merchants.start()
    provider.is_ahead = lambda: len(provider.hooks) - min(merchants.taken_by.values()) > AHEAD_MAX
    merchants.on_taken = provider.look_again
    endpoints = "".join(endpoint(name, merchants.port) for name in NAMES)
    (directory / "webhookd.toml").write_text(ground.configured(endpoints, f"schedule = {WAITS}"))
    sending = asyncio.create_task(provider.run())
    struck: Counter[str] = Counter()
    try:
        # Every moment has its turn, in an order that the seed decides.
        possible = [
            moment
            for moment in moments or ground.moments
            if (sabotage, moment) != ("ack-before-commit", "before-answer")
        ]
        turns = [moment for _ in range(kills // len(possible) + 1) for moment in dice.sample(possible, len(possible))]
        for moment in turns[:kills]:
            await _run_until_killed(directory, moment, provider, merchants, dice, sabotage, ground)
            struck[moment] += 1
            told(moment)
        await _run_to_the_end(directory, provider, merchants, sending)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await merchants.stop()
    acks = [ack for hook in provider.hooks.values() for ack in hook.acks]
    requests = [(name, each.event_id) for name in NAMES for each in merchants.requests[name]]
    return Report(
        seed=seed,
        kills=struck,
        sent=len(provider.hooks),
        acked=len(acks),
        duplicate_acks=sum(status == "duplicate" for status, _ in acks),
        requests=len(requests),
        repeated_requests=len(requests) - len(set(requests)),
        lost=len(lost(provider, merchants)),
        duplicated=len(duplicated(provider, merchants)),
        broken=await ground.audit(directory, provider, merchants, len(WAITS)),
    )


async def _run_until_killed(
    directory: Path,
    moment: str,
    provider: Provider,
    merchants: Merchants,
    dice: random.Random,
    sabotage: str | None,
    ground: Ground,
) -> None:
    step = ["--kill", f"{moment}:{dice.randint(1, 60)}"] if moment in STEPS else []
    running = _daemon(directory, step, sabotage)
    tracer = None
    try:
        if not await _started(running):
            return  # killed before it was ready
        if moment in CALLS:
            kind, _, file = moment.partition(" of ")
            call = Call(kind, file, dice.randint(1, CALLS[moment]))
            tracer = await asyncio.to_thread(Tracer, running.pid, directory / "strace.log", directory / "data", call)
        provider.reachable_at(f"{running.hooks}/webhooks/stripe")
        if moment == "mid-request":
            merchants.on_request = _kill_on_request(running.pid, dice.randint(1, 60))
        elif moment in ("any-moment", SERVER):
            if moment == SERVER:
                await provider.acked_more(dice.randint(1, ACKS_BEFORE_KILL))
                await ground.shake()
            await provider.acked_more(dice.randint(1, ACKS_BEFORE_KILL))
            running.send_signal(signal.SIGKILL)
        code = await running.ended()
    except (asyncio.CancelledError, TimeoutError):
        await running.kill()  # somebody does not want to wait for the end of the run
        raise
    finally:
        if tracer is not None:
            await asyncio.to_thread(tracer.ended)
    provider.unreachable()
    merchants.on_request = None
    assert code == -signal.SIGKILL, f"killed at {moment}, the daemon ended with {code}: {running.log[-5:]}"


async def _run_to_the_end(
    directory: Path, provider: Provider, merchants: Merchants, sending: "asyncio.Task[None]"
) -> None:
    """A daemon that nobody kills: all that was sent gets its 2xx, all that is owed arrives."""
    running = _daemon(directory, [], None)
    await running.start()
    provider.reachable_at(f"{running.hooks}/webhooks/stripe")
    await provider.acked_more(ACKS_BEFORE_KILL)
    provider.finish()
    async with asyncio.timeout(PATIENCE_S):
        await sending
    await _nothing_pending(running)
    assert await running.stop() == 0, running.log


async def _nothing_pending(running: RunningDaemon) -> None:
    """Ask until the daemon says so. It must get there: it may not take PATIENCE_S until there is less."""
    import aiohttp

    async def asked(what: str) -> Any:
        async with session.get(f"{running.admin}/api/v1/{what}", headers=headers) as response:
            return await response.json()

    headers = {"Authorization": f"Bearer {running.token}"}
    async with aiohttp.ClientSession() as session:
        backlog: float = math.inf
        try:
            while backlog:
                async with asyncio.timeout(PATIENCE_S):
                    while (now := (await asked("status"))["backlog"]) >= backlog:
                        pass
                backlog = now
        except TimeoutError:
            views = (await asked("endpoints"))["data"]
            raise AssertionError(f"{backlog} stay pending: {views}, {running.log[-20:]}") from None


async def _started(running: RunningDaemon) -> bool:
    try:
        await running.start()
    except AssertionError:
        assert await running.ended() == -signal.SIGKILL, running.log
        return False
    return True


def _daemon(directory: Path, step: list[str], sabotage: str | None) -> RunningDaemon:
    command = [sys.executable, "-m", "tests.crash.daemon_under_fault", *step]
    command += ["--sabotage", sabotage] if sabotage else []
    return RunningDaemon(directory, [*command, "serve"], {})


def _kill_on_request(pid: int, count: int) -> Callable[[], bool]:
    left = count

    def arrived() -> bool:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(pid, signal.SIGKILL)
        return left <= 0

    return arrived
