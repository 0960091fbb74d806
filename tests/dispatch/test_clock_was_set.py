"""The wall clock is set while deliveries wait: each waits as long as it was to, and none is forgotten."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.dispatch.conftest import World
from tests.making import spec
from webhookd.core.delivery import Due, Outcome
from webhookd.dispatch.retiming import RETRY_S
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.history import Filter
from webhookd.store.protocol.log import DueBatch, Stretch
from webhookd.store.sql import schedule

pytestmark = pytest.mark.fault(25)
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
WAIT = 5 * MINUTE
HALF_A_YEAR = 180 * DAY
STEPS = pytest.mark.parametrize("by_ms", [2 * MINUTE, HOUR, DAY, HALF_A_YEAR, -2 * MINUTE, -HOUR, -DAY, -HALF_A_YEAR])


class Merchant:
    """Fails every other event at its first attempt, so that no breaker opens, and notes when he was tried."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.tried_s: list[tuple[int, float]] = []
        """The number of the attempt, and when it was, by the clock that is never set."""
        world.answers = self._answer

    def _answer(self, due: Due) -> Outcome | None:
        self.tried_s.append((due.attempts + 1, self._world.clock.monotonic()))
        return self._world.failing() if due.attempts == 0 and due.event.salt % 2 else None

    @property
    def retried_s(self) -> list[float]:
        return [at_s for number, at_s in self.tried_s if number > 1]


async def states(world: World) -> Counter[str]:
    return Counter(row.state for row in (await world.store.deliveries(Filter(), 500)).rows)


async def pass_time(world: World, ms: int) -> None:
    """Let it pass, and what happens meanwhile happen."""
    until_s = world.clock.monotonic() + ms / 1_000
    world.clock.call_later(ms / 1_000, lambda: None)
    while world.clock.monotonic() < until_s:
        assert world.clock.advance_to_next_timer()
        await world.quiet()


@STEPS
async def test_a_wait_lasts_as_long_as_it_was_to(world: World, by_ms: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(schedule, "RETIMED_MAX", 7)
    shop = Merchant(world)
    await world.serve(spec("shop", waits_ms=(0, WAIT, WAIT)), spec("other", waits_ms=(0, WAIT, WAIT)))
    await world.append(60)
    await world.quiet()
    assert await states(world) == {"pending": 60, "delivered": 60}
    await pass_time(world, MINUTE)
    world.clock.step_wall_clock(by_ms)
    await world.append()
    await world.run_dry()
    assert (await states(world))["pending"] == 0
    assert min(shop.retried_s) == WAIT / 1_000
    assert max(shop.retried_s) <= (WAIT + MINUTE) / 1_000, "the last are those of the event that came a minute later"


async def test_a_clock_that_is_set_to_and_fro_leaves_a_wait_as_long_as_it_was(world: World):
    """Back by more than is left to wait, and forward by less: each time what waits goes along."""
    shop = Merchant(world)
    await world.serve(spec("shop", waits_ms=(0, WAIT, WAIT)))
    await world.append(20)
    await world.quiet()
    for by_ms in (-MINUTE, MINUTE, 2 * MINUTE, -HOUR, -2_000, 2 * MINUTE, HOUR):
        world.clock.step_wall_clock(by_ms)
        await world.append()
        await world.quiet()
    await world.run_dry()
    assert await states(world) == {"delivered": 27}
    assert set(shop.retried_s) == {WAIT / 1_000}


@STEPS
async def test_what_is_due_and_only_waits_for_its_turn_does_not_wait_longer(world: World, by_ms: int):
    """Behind a pause; and in a chain, behind one that is tried again."""
    await world.serve(spec("shop"), spec("ordered", ordering="payment", waits_ms=(0, WAIT)))
    world.dispatcher.set_state("shop", "paused")
    tried_s: list[float] = []

    def only_the_first_fails(_due: Due) -> Outcome | None:
        tried_s.append(world.clock.monotonic())
        return world.failing() if len(tried_s) == 1 else None

    world.answers = only_the_first_fails
    await world.append(30, payment_id="pi_1")
    await world.quiet()
    world.clock.step_wall_clock(by_ms)
    await world.append(payment_id="pi_2")
    await world.quiet()
    world.dispatcher.set_state("shop", "active")
    await world.quiet()
    assert Counter(name for _, name, *_ in world.attempts)["shop"] == 31
    await world.run_dry()
    assert await states(world) == {"delivered": 62}
    assert max(tried_s) == WAIT / 1_000


async def test_a_clock_that_runs_half_a_year_ahead_for_a_minute_keeps_nothing_for_half_a_year(world: World):
    shop = Merchant(world)
    await world.serve(spec("shop", waits_ms=(0, WAIT, WAIT)))
    await world.append(10)
    await world.quiet()
    world.clock.step_wall_clock(HALF_A_YEAR)
    await world.append(10)
    await world.quiet()
    await pass_time(world, MINUTE)
    world.clock.step_wall_clock(-HALF_A_YEAR)
    await world.append(10)
    await world.run_dry()
    assert await states(world) == {"delivered": 30}
    assert set(shop.retried_s) == {WAIT / 1_000, (WAIT + MINUTE) / 1_000}


@pytest.mark.parametrize("by_ms", [DAY, -HALF_A_YEAR])
async def test_what_waits_over_a_restart_with_another_clock_comes_at_once_and_carefully(world: World, by_ms: int):
    """Nobody can say what the time was when the process ended: nothing is kept for half a year, nobody is flooded."""
    shop = Merchant(world)
    asked = spec("shop", waits_ms=(0, HOUR, HOUR), max_in_flight=4)
    await world.serve(asked)
    await world.append(100)
    await world.quiet()
    world.clock.step_wall_clock(by_ms)
    world.new_dispatcher()
    world.in_flight_max.clear()
    await world.serve(asked)
    await world.run_dry()
    assert await states(world) == {"delivered": 100}
    assert len(shop.retried_s) == 50
    assert shop.retried_s[-1] <= HOUR / 1_000
    assert world.in_flight_max["shop"] <= 4


async def test_what_a_shortened_schedule_has_no_word_for_is_not_kept_for_its_old_wait(world: World):
    Merchant(world)
    await world.serve(spec("shop", waits_ms=(0, 30 * DAY, DAY)))
    await world.append(10)
    await world.quiet()
    await world.serve(spec("shop", waits_ms=(0, MINUTE, MINUTE)))
    await world.quiet()
    assert await states(world) == {"delivered": 10}


async def test_while_waits_are_moved_nothing_is_read_and_nothing_new_is_scheduled(world: World):
    """Or a retry that is scheduled by the new time would be moved with those of the old."""
    shop = Merchant(world)
    await world.serve(spec("shop", waits_ms=(0, WAIT, WAIT)))
    await world.append(10)
    await world.quiet()
    retime, refusals, moving, go_on = world.store.retime, 2, asyncio.Event(), asyncio.Event()

    async def hampered(*arguments: Any) -> int | None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise StoreUnavailableError("SQLITE_FULL")
        moving.set()
        await go_on.wait()
        return await retime(*arguments)

    world.store.retime = hampered  # type: ignore[method-assign]
    world.clock.step_wall_clock(-DAY)
    await world.append(10)
    while not moving.is_set():
        for _ in range(50):
            await asyncio.sleep(0)
        if (next_at := world.clock.next_timer_at()) is not None and next_at <= world.clock.now_ms() + RETRY_S * 1_000:
            world.clock.advance_to_next_timer()
    stepped_s = world.clock.monotonic()
    assert len(shop.tried_s) == 20, "what was just committed does not wait for the disk"
    assert (await states(world))["delivered"] == 5, "but what became of it is not recorded yet"
    go_on.set()
    await world.run_dry()
    assert await states(world) == {"delivered": 20}
    assert set(shop.retried_s) == {WAIT / 1_000, WAIT / 1_000 + stepped_s}


@pytest.mark.parametrize("by_ms", [DAY, -DAY, -HALF_A_YEAR])
async def test_what_was_being_read_by_the_old_time_is_read_again_by_the_new(world: World, by_ms: int):
    """Or all that waits would be due by it, or the next of it in half a year."""
    shop = Merchant(world)
    await world.serve(spec("shop", waits_ms=(0, WAIT, WAIT)), spec("other", waits_ms=(0, WAIT, WAIT)))
    await world.append(10)
    await world.quiet()
    [number] = (each.number for each in world.endpoints if each.spec.name == "shop")
    due, retime = world.store.due, world.store.retime
    reading, go_on, moved = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def late(endpoint: int, *how: Any) -> DueBatch:
        if endpoint == number:
            reading.set()
            await go_on.wait()
        return await due(endpoint, *how)

    async def heard(endpoint: int, *how: Any) -> Stretch | None:
        left = await retime(endpoint, *how)
        if endpoint == number:
            moved.set()
        return left

    world.store.due, world.store.retime = late, heard  # type: ignore[method-assign]
    world.dispatcher.hear_of([number])
    await reading.wait()
    world.clock.step_wall_clock(by_ms)
    await world.append(10)
    await moved.wait()
    go_on.set()
    await world.quiet()
    await pass_time(world, 2 * WAIT)
    assert await states(world) == {"delivered": 40}
    assert set(shop.retried_s) == {WAIT / 1_000}
