"""What is attempted, when, and how much of it at a time."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.dispatch.conftest import World
from tests.making import spec
from webhookd.core.delivery import Due
from webhookd.core.retry import DEFAULT_SCHEDULE, RetryPolicy
from webhookd.core.units import duration_ms
from webhookd.dispatch import dispatcher
from webhookd.dispatch.lane import WINDOW
from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError
from webhookd.store.protocol.history import Filter
from webhookd.store.protocol.log import DueBatch


async def states(world: World) -> Counter[str]:
    return Counter(row.state for row in (await world.store.deliveries(Filter(), 500)).rows)


def held_by(world: World) -> list[Due]:
    """What is in all windows."""
    return [due for lane in world.dispatcher.lanes for each in lane._ready for due in each]


async def test_a_delivery_is_attempted_as_soon_as_it_is_committed(world: World):
    await world.serve(spec("shop"))
    [sent] = await world.append()
    await world.quiet()
    assert [(at, name, key.event) for at, name, key, _ in world.attempts] == [(world.clock.now_ms(), "shop", sent.key)]
    assert await states(world) == {"delivered": 1}


async def test_a_merchant_that_fails_is_tried_on_the_schedule_and_then_given_up(world: World):
    world.answers = lambda _due: world.failing()
    began = world.clock.now_ms()
    await world.serve(spec("shop"))
    await world.append()
    await world.run_dry()
    waits = [duration_ms(text) for text in DEFAULT_SCHEDULE]
    assert [at - began for at, _, _, _ in world.attempts] == [sum(waits[: n + 1]) for n in range(len(waits))]
    assert [number for _, _, _, number in world.attempts] == list(range(1, len(waits) + 1))
    assert await states(world) == {"dead": 1}


@pytest.mark.parametrize("jitter", [-1.0, -0.3, 0.7, 1.0])
async def test_jitter_stretches_a_wait_by_at_most_its_share_and_is_drawn_once(world: World, jitter: float):
    world.new_dispatcher(dice=lambda: jitter)
    world.answers = lambda _due: world.failing()
    began = world.clock.now_ms()
    await world.serve(spec("shop", retry=RetryPolicy((0, 10_000, 10_000), jitter=0.2)))
    await world.append()
    await world.quiet()
    [row] = (await world.store.deliveries(Filter(), 1)).rows
    assert row.due_at == began + round(10_000 * (1 + 0.2 * jitter))
    world.new_dispatcher(dice=lambda: -jitter)  # a restart must not draw again
    await world.serve(spec("shop", retry=RetryPolicy((0, 10_000, 10_000), jitter=0.2)))
    await world.quiet()
    world.clock.advance_to_next_timer()
    await world.quiet()
    assert world.attempts[1][0] == row.due_at


async def test_a_longer_retry_after_is_honoured(world: World):
    world.answers = lambda due: world.failing(503, retry_after_ms=60_000) if due.attempts == 0 else None
    began = world.clock.now_ms()
    await world.serve(spec("shop", waits_ms=(0, 5_000)))
    await world.append()
    await world.run_dry()
    assert [at - began for at, _, _, _ in world.attempts] == [0, 60_000]


async def test_410_stops_the_endpoint_until_it_is_resumed_and_uses_up_no_wait(world: World):
    world.answers = lambda _due: world.failing(410)
    await world.serve(spec("shop", waits_ms=(0, 5_000), max_in_flight=1))
    await world.append(3)
    await world.run_dry()
    assert len(world.attempts) == 1
    assert await states(world) == {"pending": 3}
    world.answers = lambda _due: None
    await world.store.set_endpoint_state("shop", "active")
    await world.serve(spec("shop", waits_ms=(0, 5_000), max_in_flight=1))
    await world.run_dry()
    assert await states(world) == {"delivered": 3}
    assert sorted(number for _, _, _, number in world.attempts) == [1, 1, 1, 2]


async def test_after_a_restart_the_disk_alone_says_what_is_owed(world: World):
    world.answers = lambda _due: world.failing()
    await world.serve(spec("shop", waits_ms=(0, 60_000, 60_000)))
    await world.append(5)
    await world.quiet()
    world.answers = lambda _due: None
    world.new_dispatcher()
    await world.serve(spec("shop", waits_ms=(0, 60_000, 60_000)))
    await world.run_dry()
    assert await states(world) == {"delivered": 5}
    assert Counter(number for _, _, _, number in world.attempts) == {1: 5, 2: 5}


async def test_a_backlog_far_beyond_the_window_is_delivered_once_each_and_never_held_whole(world: World):
    await world.serve(spec("shop", max_in_flight=8))
    world.hold = asyncio.Event()
    for _ in range(5):
        await world.append(WINDOW)
    lane = next(iter(world.dispatcher.lanes))
    most = 0
    for _ in range(20):  # as replays do, or waits that end
        world.dispatcher.look_again([1])
        while lane.refilling:
            await asyncio.sleep(0)
        most = max(most, lane.ready)
    assert 0 < most <= WINDOW
    world.hold.set()
    await world.run_dry()
    assert len(world.attempts) == len({key for _, _, key, _ in world.attempts}) == 5 * WINDOW
    assert await states(world) == {"delivered": 5 * WINDOW}


async def test_while_the_store_has_fallen_behind_no_more_is_attempted_and_then_all_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dispatcher, "UNSETTLED_MAX", 3)
    await world.serve(spec("shop", max_in_flight=8))
    await world.quiet()
    world.warm()
    _, go_on = world.hold_settlements()
    await world.append(10)
    while world.dispatcher.in_flight:
        await asyncio.sleep(0)
    assert len(world.attempts) == world.dispatcher.unsettled == 3
    go_on.set()
    await world.quiet()
    assert len(world.attempts) == 10
    assert await states(world) == {"delivered": 10}


async def test_no_endpoint_has_more_under_way_than_its_cap_and_all_together_no_more_than_theirs(world: World):
    world.new_dispatcher(max_in_flight=10)
    await world.serve(spec("wide", max_in_flight=9), spec("narrow", max_in_flight=2))
    await world.quiet()
    world.warm()
    world.hold = asyncio.Event()
    await world.append(40)
    assert world.dispatcher.in_flight == 10
    world.hold.set()
    await world.run_dry()
    assert world.in_flight_max["wide"] <= 9
    assert world.in_flight_max["narrow"] == 2
    assert await states(world) == {"delivered": 80}


async def test_endpoints_take_turns_however_long_the_backlog_of_one_is(world: World):
    world.new_dispatcher(max_in_flight=4)
    await world.serve(spec("busy", max_in_flight=4, events=("many",)), spec("calm", max_in_flight=4, events=("few",)))
    await world.quiet()
    world.warm()
    world.hold = asyncio.Event()
    await world.append(300, type="many")
    await world.append(3, type="few")
    world.hold.set()
    await world.run_dry()
    turns = [name for _, name, _, _ in world.attempts]
    assert "calm" not in turns[:4], "four were under way before"
    assert [index for index, name in enumerate(turns) if name == "calm"][-1] < 16


async def test_a_wait_that_ends_while_the_disk_is_being_read_is_not_forgotten(world: World):
    await world.serve(spec("shop", waits_ms=(0, 1_000, 1_000)))
    await world.quiet()
    world.answers = lambda each: world.failing() if each.attempts == 0 else None
    await world.append()
    await world.quiet()
    reading, go_on = world.hold_reads()
    lane = next(iter(world.dispatcher.lanes))
    lane.miss()
    world.dispatcher._look(lane)
    await reading.wait()
    assert world.clock.advance_to_next_timer(), "the retry's alarm goes off during the read, which began before it"
    go_on.set()
    await world.run_dry()
    assert await states(world) == {"delivered": 1}


@pytest.mark.parametrize("complete", [True, False])
async def test_what_is_committed_while_the_disk_is_being_read_is_not_forgotten(world: World, complete: bool):
    await world.serve(spec("shop"))
    await world.quiet()
    reading, go_on = world.hold_reads()
    world.dispatcher.look_again([1])
    await reading.wait()
    offer = world.dispatcher.offer
    world.store.announce(lambda owed, _complete: offer(owed if complete else [], complete))
    await world.append()
    go_on.set()
    await world.run_dry()
    assert await states(world) == {"delivered": 1}


async def test_a_delivery_read_from_disk_while_its_settlement_is_being_committed_is_not_made_again(world: World):
    await world.serve(spec("shop"))
    settling, go_on = world.hold_settlements()
    await world.append()
    await settling.wait()
    lane = next(iter(world.dispatcher.lanes))
    lane.miss()
    world.dispatcher._look(lane)
    while lane.refilling:
        await asyncio.sleep(0)
    go_on.set()
    await world.run_dry()
    assert len(world.attempts) == 1


async def test_a_delivery_that_a_read_finds_before_its_commit_is_announced_is_not_made_twice(world: World):
    await world.serve(spec("shop"))
    await world.quiet()
    offered, world.hold = world.dispatcher.offer, asyncio.Event()
    announced: list[Any] = []
    world.store.announce(lambda *news: announced.append(news))
    await world.append()
    world.dispatcher.look_again([1])  # the read finds it
    while not world.attempts:
        await asyncio.sleep(0)
    offered(*announced[0])
    world.hold.set()
    await world.run_dry()
    assert len(world.attempts) == 1


async def test_an_attempt_that_cannot_be_recorded_now_is_recorded_later_and_not_made_again(world: World):
    await world.serve(spec("shop"))
    settle, refusals = world.store.settle, 3

    async def full(settlement: Any) -> None:
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise StoreUnavailableError("SQLITE_FULL")
        await settle(settlement)

    world.store.settle = full  # type: ignore[method-assign]
    await world.append()
    while refusals or world.dispatcher._tasks:
        world.clock.advance_to_next_timer()
        await asyncio.sleep(0)
    assert len(world.attempts) == 1
    assert await states(world) == {"delivered": 1}


async def test_once_the_store_is_broken_no_attempt_starts(world: World):
    await world.serve(spec("shop", max_in_flight=1))

    async def broken(_settlement: Any) -> None:
        raise StoreBrokenError("SQLITE_IOERR")

    world.store.settle = broken  # type: ignore[method-assign]
    await world.append(5)
    await world.quiet()
    assert len(world.attempts) <= 2


async def test_a_fault_of_the_dispatcher_itself_is_told_and_not_swallowed(world: World):
    def fault(_due: Due) -> None:
        raise RuntimeError("a mistake of ours")

    world.answers = fault
    await world.serve(spec("shop"))
    await world.append()
    await world.quiet()
    await asyncio.sleep(0)
    assert [(name, type(error)) for name, error in world.faults] == [("dispatcher", RuntimeError)]
    world.faults.clear()


async def test_an_endpoint_that_was_removed_gets_nothing_more_and_goes_on_when_it_is_back(world: World):
    await world.serve(spec("shop", max_in_flight=1))
    await world.quiet()
    world.hold = asyncio.Event()
    await world.append(5)
    await world.serve()
    world.hold.set()
    await world.run_dry()
    assert await states(world) == {"delivered": 1, "pending": 4}
    await world.serve(spec("shop", max_in_flight=1))
    await world.run_dry()
    assert await states(world) == {"delivered": 5}
    assert len(world.attempts) == 5


async def test_stopping_waits_for_what_is_under_way_and_starts_nothing_more(world: World):
    await world.serve(spec("shop", max_in_flight=2))
    await world.quiet()
    world.warm()
    world.hold = asyncio.Event()
    await world.append(10)
    stopping = asyncio.ensure_future(world.dispatcher.stop(grace_s=30))
    await asyncio.sleep(0)
    world.hold.set()
    await stopping
    assert await states(world) == {"delivered": 2, "pending": 8}


@pytest.mark.fault(25)
async def test_a_clock_that_is_set_back_neither_fires_everything_nor_stops_anything(world: World):
    world.answers = lambda due: world.failing() if due.attempts == 0 else None
    await world.serve(spec("shop", waits_ms=(0, 60_000, 60_000)))
    await world.append(3)
    await world.quiet()
    world.clock.step_wall_clock(-3_600_000)
    await world.run_dry()
    assert await states(world) == {"delivered": 3}
    assert len(world.attempts) == 6


async def test_a_store_that_cannot_be_read_is_asked_again_in_a_while_and_not_in_a_loop(world: World):
    due, asked = world.store.due, 0

    async def away(*arguments: Any) -> DueBatch:
        nonlocal asked
        asked += 1
        if asked < 5:
            raise StoreUnavailableError("SQLITE_NOMEM")
        return await due(*arguments)

    world.store.due = away  # type: ignore[method-assign]
    await world.serve(spec("shop"))
    await world.append()
    await world.quiet()
    assert asked <= 2, "once for the start, once for what was appended"
    await world.run_dry()
    assert await states(world) == {"delivered": 1}


@pytest.mark.fault(33)
async def test_bodies_held_in_memory_stay_within_their_bound_however_many_endpoints_are_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("webhookd.dispatch.dispatcher.HELD_BYTES_MAX", 10_000)
    names = [f"shop{number}" for number in range(10)]
    await world.serve(*(spec(name, max_in_flight=1) for name in names))
    await world.quiet()
    world.hold = asyncio.Event()
    most = 0
    for _ in range(30):
        await world.append(body=b"x" * 1_000)
        most = max(most, sum(due.event.size for due in held_by(world)))
    assert most <= 10_000 + len(names) * 1_000
    world.hold.set()
    await world.run_dry()
    assert await states(world) == {"delivered": 300}
    assert world.dispatcher.held_bytes == 0


async def test_an_endpoint_that_is_paused_starts_nothing_more_and_goes_on_when_it_is_resumed(world: World):
    await world.serve(spec("shop", max_in_flight=1), spec("other"))
    world.hold = asyncio.Event()
    await world.append(4)
    while not world.in_flight["shop"]:
        await asyncio.sleep(0)
    world.dispatcher.set_state("shop", "paused")
    world.hold.set()
    await world.run_dry()
    assert Counter(name for _, name, _, _ in world.attempts) == {"shop": 1, "other": 4}
    world.dispatcher.set_state("shop", "active")
    await world.run_dry()
    assert await states(world) == {"delivered": 8}


async def test_a_410_that_is_settled_after_a_resume_pauses_again_as_the_store_does(world: World):
    world.answers = lambda _due: world.failing(410)
    settling, go_on = world.hold_settlements()
    await world.serve(spec("shop"))
    await world.append()
    await settling.wait()
    world.hold = asyncio.Event()  # whatever the resume lets out waits
    world.dispatcher.set_state("shop", "active")
    go_on.set()
    while (await world.store.endpoint("shop")).state != "paused":  # type: ignore[union-attr]
        await asyncio.sleep(0)
    world.hold.set()
    await world.run_dry()
    lane = next(iter(world.dispatcher.lanes))
    assert lane.endpoint.state == "paused"
