"""A real daemon whose wall clock is set while it runs, and between two runs."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
import standardwebhooks
from aiohttp import web

from tests.faults.faked_clock import FakedClock, needs_faketime
from tests.receive.wire import ask, event, new_address, post, stripe
from tests.running import ENDPOINT_SECRET, PATIENCE_S, RunningDaemon, configuration, daemon, endpoint

pytestmark = [pytest.mark.fault(25), needs_faketime]
DAY_S = 86_400
HALF_A_YEAR_S = 180 * DAY_S
JITTER = 0.2
"""The most by which a wait is shortened, as a share of it."""
WAIT_S = 4.0
SHOPS = ("one", "two", "three", "four")
JUMPS = pytest.mark.parametrize("ahead_s", [DAY_S, -HALF_A_YEAR_S])


class Got(NamedTuple):
    at_s: float
    """By the clock that never steps back."""
    name: str
    attempt: int
    stamp_s: int
    """When it says that it was signed."""
    signature: str
    body: bytes
    since_s: int
    """What the real clock said before it can have been signed, and when it had come."""
    until_s: int


class Merchants:
    """They fail at each first attempt, and keep what came."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.port = 0
        self.since_s = int(time.time())
        self._news = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        body, headers = await request.read(), request.headers
        async with self._news:
            self.got.append(
                Got(
                    time.monotonic(),
                    f"{headers['webhook-id']} to {request.path}",
                    int(headers["webhookd-attempt"]),
                    int(headers["webhook-timestamp"]),
                    headers["webhook-signature"],
                    body,
                    self.since_s,
                    int(time.time()) + 1,
                )
            )
            self._news.notify_all()
        return web.Response(status=500 if headers["webhookd-attempt"] == "1" else 200)

    async def have(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: len(self.got) >= count)

    @property
    def by_delivery(self) -> dict[str, list[Got]]:
        found: defaultdict[str, list[Got]] = defaultdict(list)
        for each in self.got:
            found[each.name].append(each)
        return found

    def assert_signed(self, clock: FakedClock, *, of: bytes) -> None:
        """Each as its time says; those of this body by the clock as it stands now."""
        checker = standardwebhooks.Webhook(ENDPOINT_SECRET)
        for each in self.got:
            message_id = each.name.partition(" ")[0]
            made = checker.sign(message_id, datetime.fromtimestamp(each.stamp_s, UTC), each.body.decode())
            assert each.signature == made
            if each.body == of:
                assert each.since_s <= each.stamp_s - clock.ahead_s <= each.until_s


@asynccontextmanager
async def merchants() -> AsyncIterator[Merchants]:
    made = Merchants()
    app = web.Application()
    app.router.add_post("/{name}", made.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()


def owing(port: int, *waits: str) -> str:
    endpoints = "".join(endpoint(name, port, max_in_flight=4) for name in SHOPS)
    return configuration(endpoints=endpoints, delivery=f"schedule = {list(waits)}")


async def send(running: RunningDaemon, name: str, at_s: int) -> int:
    """The answer to a hook that was signed at that time."""
    body = event(name)
    return (await ask(running.port, post("stripe", body, stripe(body, at=at_s)), address=new_address())).status


@JUMPS
async def test_a_wait_lasts_as_long_as_it_was_to_and_signatures_follow_the_clock(
    tmp_path: Path, ahead_s: int, record_property: Any
):
    """Four fail at each of four: so few that no breaker opens, which would hold up their retries."""
    clock = FakedClock(tmp_path)
    async with merchants() as shops:
        config = owing(shops.port, "0s", f"{WAIT_S:.0f}s", "1s", "1s")
        async with daemon(tmp_path, config, **clock.environment) as running:
            for number in range(3):
                assert await send(running, f"evt_{number}", clock.now_s()) == 200
            await shops.have(12)
            shops.since_s = int(time.time())
            clock.set(ahead_s)
            assert await send(running, "evt_new", clock.now_s()) == 200
            await shops.have(32)
            told = await running.logged("clock_was_set")
            assert (told["by_s"] > 0) == (ahead_s > 0)
            assert await running.stop() == 0
    shops.assert_signed(clock, of=event("evt_new"))
    tried = shops.by_delivery.values()
    assert [[each.attempt for each in attempts] for attempts in tried] == [[1, 2]] * 16
    waited = [retry.at_s - first.at_s for first, retry in tried]
    assert min(waited) >= WAIT_S * (1 - JITTER), "not before its time, though the clock says that it is long past"
    record_property("clock_steps", 1)


async def test_what_waits_over_a_restart_half_a_year_ago_is_not_kept_for_half_a_year(tmp_path: Path):
    clock = FakedClock(tmp_path)
    async with merchants() as shops, daemon(tmp_path, owing(shops.port, "0s", "1h"), **clock.environment) as running:
        for number in range(3):
            assert await send(running, f"evt_{number}", clock.now_s()) == 200
        for _ in range(12):
            await running.logged("attempt_failed")
        await shops.have(12)
        await running.kill()
        clock.set(-HALF_A_YEAR_S)
        await running.start()
        await shops.have(24)
        assert await running.stop() == 0
    assert {len(each) for each in shops.by_delivery.values()} == {2}


async def test_a_minute_in_another_year_keeps_nothing_back_once_it_is_over(tmp_path: Path):
    """What failed in that minute is due half a year from now, by what was written down then."""
    clock = FakedClock(tmp_path)
    async with merchants() as shops, daemon(tmp_path, owing(shops.port, "0s", "1s"), **clock.environment) as running:
        clock.set(HALF_A_YEAR_S)
        assert await send(running, "evt_1", clock.now_s()) == 200
        await shops.have(4)
        clock.set(0)
        await shops.have(8)
        assert await running.stop() == 0


async def test_a_hook_is_judged_by_the_clock_as_it_is_and_known_again_whatever_it_says(tmp_path: Path, dice: Random):
    """Nothing that is too old passes for fresh, and nothing that was taken passes for new."""
    clock = FakedClock(tmp_path)
    async with daemon(tmp_path, **clock.environment) as running:
        body = event("evt_taken")
        taken = post("stripe", body, stripe(body, at=clock.now_s()))
        assert (await ask(running.port, taken)).json()["status"] == "accepted"
        for ahead_s in (DAY_S, -HALF_A_YEAR_S):
            clock.set(ahead_s)
            assert await send(running, "evt_of_before", int(time.time())) == 401
            assert (await ask(running.port, taken, address=new_address())).status == 401
            for _ in range(5):
                off_s = dice.choice((-1, 1)) * dice.randint(320, 10**7)
                assert await send(running, "evt_too_old_or_too_new", clock.now_s() + off_s) == 401, off_s
                near_s = dice.randint(-280, 280)
                assert await send(running, f"evt_{near_s}", clock.now_s() + near_s) == 200, near_s
            clock.set(0)
            again = post("stripe", body, stripe(body, at=clock.now_s()))
            assert (await ask(running.port, again)).json()["status"] == "duplicate"
            assert await send(running, "evt_of_then", int(time.time()) + ahead_s) == 401
        assert await running.stop() == 0
