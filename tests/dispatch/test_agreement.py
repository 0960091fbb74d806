"""What is on disk of an endpoint and what is remembered of it agree, whatever comes between the two."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.dispatch.conftest import World
from tests.making import spec
from webhookd.core.delivery import Outcome
from webhookd.core.event import OPERATIONAL
from webhookd.core.rate_limit import RateLimit
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.history import Filter
from webhookd.store.protocol.replays import Selection

DAY = 86_400_000


@asynccontextmanager
async def writer_held(world: World) -> AsyncIterator[None]:
    """What is written meanwhile becomes one batch, in the order in which it came."""
    held, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def wait(_connection: Any) -> None:
        loop.call_soon_threadsafe(held.set)
        go_on.wait(30)

    waiting = asyncio.ensure_future(world.store._change_file(wait))
    await held.wait()
    try:
        yield
    finally:
        go_on.set()
        await waiting


async def resume(world: World, name: str = "shop") -> None:
    """As the operator's door does it."""
    assert await world.store.set_endpoint_state(name, "active")
    world.dispatcher.set_state(name, "paused")
    world.dispatcher.set_state(name, "active")


def full_once(world: World) -> asyncio.Event:
    """The disk is full when the next settlement comes; set once it was."""
    settle, refused = world.store.settle, asyncio.Event()

    async def once_full(settlement: Any) -> None:
        if not refused.is_set():
            refused.set()
            raise StoreUnavailableError("SQLITE_FULL")
        await settle(settlement)

    world.store.settle = once_full  # type: ignore[method-assign]
    return refused


async def until_under_way(world: World) -> None:
    while not world.in_flight["shop"]:
        await asyncio.sleep(0)


async def agree(world: World) -> str:
    """How the endpoint stands on disk, where memory has it the same."""
    row = await world.store.endpoint("shop")
    lane = world.dispatcher.lanes.named("shop")
    assert row is not None
    assert (row.state, row.why) == (lane.endpoint.state, lane.endpoint.why)
    return row.state


@pytest.mark.parametrize("first", ["resume", "settlement"])
async def test_a_resume_and_a_410_in_one_batch_end_as_the_store_has_it(world: World, first: str):
    world.answers = lambda _due: world.failing(410)
    await world.serve(spec("shop", max_in_flight=1))
    await world.quiet()
    world.hold = asyncio.Event()
    await world.append()
    await until_under_way(world)
    async with writer_held(world):
        if first == "resume":
            resuming = asyncio.ensure_future(resume(world))
            await asyncio.sleep(0)
        world.hold.set()
        while world.in_flight["shop"]:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        if first == "settlement":
            resuming = asyncio.ensure_future(resume(world))
            await asyncio.sleep(0)
        world.answers = lambda _due: None
    await resuming
    await world.run_dry()
    assert await agree(world) == ("paused" if first == "resume" else "active")


async def test_a_resume_that_is_committed_before_the_endpoint_is_given_up_does_not_hide_that(world: World):
    world.answers = lambda _due: world.failing()
    await world.serve(spec("shop", waits_ms=(0, *[DAY] * 50), disable_after_ms=DAY, max_in_flight=1))
    await world.append()
    await world.quiet()
    world.hold = asyncio.Event()
    assert world.clock.advance_to_next_timer()
    while world.clock.now_ms() < world.attempts[0][0] + DAY:
        world.clock.advance_to_next_timer()
    await until_under_way(world)
    async with writer_held(world):
        resuming = asyncio.ensure_future(resume(world))
        await asyncio.sleep(0)
        world.hold.set()
        while world.in_flight["shop"]:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    await resuming
    await world.quiet()
    assert await agree(world) == "disabled"


async def test_a_settlement_that_is_stored_late_does_not_bring_back_what_was_true_before(world: World):
    await world.serve(spec("shop", waits_ms=(0, *[5_000] * 5)))
    await world.quiet()
    world.answers = lambda _due: world.failing()
    await world.append(4)
    await world.quiet()
    refused = full_once(world)
    world.warm()
    made = len(world.attempts)
    world.answers = lambda _due: world.failing() if len(world.attempts) == made + 2 and not refused.is_set() else None
    world.hold = asyncio.Event()
    await world.append(2)
    while world.in_flight["shop"] < 2:
        await asyncio.sleep(0)
    world.hold.set()
    while not refused.is_set() or world.dispatcher.unsettled > 1:
        await asyncio.sleep(0)
    while world.dispatcher.unsettled:
        world.clock.advance_to_next_timer()
        await asyncio.sleep(0)
    await world.quiet()
    row = await world.store.endpoint("shop")
    assert row is not None
    assert row.health == world.dispatcher.lanes.named("shop").gate.breaker.health


async def test_what_could_not_be_stored_of_an_endpoint_is_stored_with_the_next_try(world: World):
    await world.serve(spec("shop", waits_ms=(0, DAY)))
    refused = full_once(world)
    world.answers = lambda _due: world.failing()
    await world.append()
    while not refused.is_set() or world.dispatcher.unsettled:
        world.clock.advance_to_next_timer()
        await asyncio.sleep(0)
    row = await world.store.endpoint("shop")
    assert row is not None
    assert row.health.failing_since == world.attempts[0][0]


@pytest.mark.parametrize("status", [200, 500])
async def test_what_is_replayed_before_anybody_has_heard_of_its_settlement_is_attempted_at_once(
    world: World, status: int
):
    """The commit took too long, and was made all the same."""
    settle, settled, tries = world.store.settle, asyncio.Event(), 0

    async def unheard(settlement: Any) -> None:
        nonlocal tries
        tries += 1
        await settle(settlement)
        if not settled.is_set():
            settled.set()
            raise StoreUnavailableError("the disk takes too long")

    world.store.settle = unheard  # type: ignore[method-assign]
    world.answers = lambda due: world.failing(status) if status == 500 and due.attempts == 0 else None
    await world.serve(spec("shop", waits_ms=(0, DAY)))
    [event] = await world.append()
    await settled.wait()
    [delivery] = await world.store.deliveries_of(event.key)
    begun = await world.store.replays.begin(Selection((event.id,)), None, world.clock.now_ms())
    world.dispatcher.look_again((await world.store.replays.step(begun.number, 1, world.clock.now_ms())).endpoints)
    while world.dispatcher.lanes.named("shop").refilling:
        await asyncio.sleep(0)
    began = world.clock.now_ms()
    while tries < 2:  # and no longer: the disk takes its time by another clock
        world.clock.advance_to_next_timer()
        await asyncio.sleep(0)
    await world.quiet()
    assert delivery.state == ("delivered" if status == 200 else "pending")
    assert [(number, at - began < 60_000) for at, _, _, number in world.attempts] == [(1, True), (2, True)]


@pytest.mark.parametrize("restart", [False, True])
async def test_an_endpoint_that_comes_back_into_the_configuration_is_forgiven(world: World, restart: bool):
    asked = spec("shop", waits_ms=(0, *[DAY] * 20))
    world.answers = lambda _due: world.failing()
    await world.serve(asked)
    await world.append()
    await world.quiet()
    await world.serve()
    world.clock.step_wall_clock(30 * DAY)
    if restart:
        world.new_dispatcher()
    await world.serve(asked)
    await world.append()
    await world.quiet()
    assert await agree(world) == "active"
    world.new_dispatcher()
    await world.serve(asked)
    await world.append()
    await world.quiet()
    assert await agree(world) == "active", "also after another restart"


@pytest.mark.fault(25)
async def test_a_clock_that_is_set_six_days_ahead_disables_nobody(world: World):
    world.answers = lambda _due: world.failing()
    await world.serve(spec("shop", waits_ms=(0, *[1_000] * 50)))
    await world.append()
    await world.quiet()
    world.clock.step_wall_clock(6 * DAY)
    await world.append()
    await world.quiet()
    assert await agree(world) == "active"


async def test_a_listener_that_is_disabled_and_resumed_has_missed_nothing(world: World):
    ops, shop = spec("ops", events=("webhookd.*",)), spec("shop", waits_ms=(0,), events=("payment_intent.*",))
    await world.serve(ops, shop)
    await world.store._change_file(
        lambda c: c.execute("UPDATE endpoint SET state = 'disabled', why = 'failing' WHERE number = 1")
    )
    world.new_dispatcher()
    world.answers = lambda due: None if due.event.source == OPERATIONAL else world.failing()
    await world.serve(ops, shop)
    await world.append()
    await world.quiet()
    await resume(world, "ops")
    await world.quiet()
    [told] = (await world.store.deliveries(Filter(source=OPERATIONAL), 10)).rows
    assert (told.endpoint_name, told.state) == ("ops", "delivered")


async def test_whoever_is_resumed_while_failing_is_told_to_have_recovered_with_the_first_success(world: World):
    down = True
    world.answers = lambda due: world.failing() if down and due.event.source != OPERATIONAL else None
    await world.serve(
        spec("shop", waits_ms=(0, *[DAY] * 20), events=("payment_intent.*",)), spec("ops", events=("webhookd.*",))
    )
    await world.append(5)
    await world.quiet()
    down = False
    await resume(world)
    await world.append()
    await world.quiet()
    types = [row.type for row in (await world.store.events(Filter(source=OPERATIONAL), 10)).rows]
    assert types == ["webhookd.endpoint.recovered", "webhookd.endpoint.failing"]


async def test_a_410_is_told_once_also_when_a_resume_comes_in_between(world: World):
    world.answers = lambda due: world.failing(410) if due.event.source != OPERATIONAL else None
    await world.serve(spec("shop", events=("payment_intent.*",)), spec("ops", events=("webhookd.*",)))
    await world.quiet()
    world.hold = asyncio.Event()
    await world.append()
    await until_under_way(world)
    async with writer_held(world):
        resuming = asyncio.ensure_future(resume(world))
        await asyncio.sleep(0)
        world.hold.set()
        while world.in_flight["shop"]:
            await asyncio.sleep(0)
    await resuming
    await world.run_dry()
    assert len((await world.store.events(Filter(source=OPERATIONAL), 10)).rows) == 1
    assert world.dispatcher.lanes.named("shop").notices == []


async def test_a_resume_does_not_widen_the_rate(world: World):
    await world.serve(spec("shop", max_in_flight=100, rate_limit=RateLimit(5, 3_600_000)))
    await world.append(40)
    await world.quiet()
    for _ in range(3):
        await resume(world)
        await world.quiet()
    assert len(world.attempts) == 5


async def test_a_source_that_is_gone_is_not_held_against_the_endpoint(world: World):
    world.answers = lambda _due: Outcome(world.clock.now_ms(), 0, None, "unsigned")
    await world.serve(spec("shop", waits_ms=(0, 1_000)))
    await world.append(10)
    await world.quiet()
    assert world.dispatcher.view("shop").breaker == "closed"


async def test_an_endpoint_that_was_taken_out_leaves_nothing_behind(world: World):
    for number in range(20):
        await world.serve(spec(f"shop{number}"))
        await world.append()
        await world.quiet()
    await world.serve()
    await world.quiet()
    assert world.dispatcher.lanes.by_number == {}
    assert list(world.dispatcher.lanes) == []
