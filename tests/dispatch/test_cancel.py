"""A delivery that a person cancels: nothing of it starts any more, and what is under way does not bring it back."""

import asyncio
from typing import Any

import pytest

from tests.dispatch.conftest import World
from tests.making import spec
from webhookd.core.delivery import DeliveryKey, Settlement
from webhookd.dispatch.lane import WINDOW
from webhookd.providers import reread
from webhookd.store.protocol.cancels import NoDeliveryError, OverError
from webhookd.store.protocol.history import DeliveryRow
from webhookd.store.protocol.replays import Selection
from webhookd.store.sqlite.audit import audit


async def cancel(world: World, key: DeliveryKey) -> None:
    await world.store.cancels.cancel(key, world.clock.now_ms())
    world.dispatcher.withdraw(key)


async def row(world: World, key: DeliveryKey) -> DeliveryRow:
    found = await world.store.delivery(*key)
    assert found is not None
    return found


async def replay(world: World, key: DeliveryKey) -> None:
    begun = await world.store.replays.begin(Selection(ids=(key.id,)), None, world.clock.now_ms())
    step = await world.store.replays.step(begun.number, 10, world.clock.now_ms())
    world.dispatcher.look_again(step.endpoints)


def tried(world: World) -> list[Any]:
    return [key for _, _, key, _ in world.attempts]


async def test_what_waits_in_the_window_is_not_started_any_more(world: World):
    world.hold = asyncio.Event()
    await world.serve(spec("shop", max_in_flight=1))
    under_way, waiting, other = (DeliveryKey(each.key, 1) for each in await world.append(3))
    await cancel(world, waiting)
    world.hold.set()
    await world.run_dry()
    assert tried(world) == [under_way, other]
    assert ((await row(world, waiting)).state, (await row(world, waiting)).attempts) == ("cancelled", 0)
    assert world.dispatcher.held_bytes == 0


async def test_what_waits_for_its_next_attempt_on_disk_is_not_started_any_more(world: World):
    world.answers = lambda _due: world.failing()
    await world.serve(spec("shop", waits_ms=(0, 60_000)))
    [event] = await world.append()
    await world.quiet()
    await cancel(world, DeliveryKey(event.key, 1))
    await world.run_dry()
    found = await row(world, DeliveryKey(event.key, 1))
    assert (len(tried(world)), found.state, found.due_at) == (1, "cancelled", None)
    assert found.settled_at is not None


@pytest.mark.parametrize("status", [200, 500, 410])
async def test_an_attempt_under_way_is_recorded_and_does_not_bring_it_back(world: World, status: int):
    world.hold = asyncio.Event()
    world.answers = lambda _due: world.failing(status) if status != 200 else None
    await world.serve(spec("shop", waits_ms=(0, 1_000)))
    await world.quiet()
    [event] = await world.append()
    key = DeliveryKey(event.key, 1)
    await cancel(world, key)
    world.hold.set()
    await world.run_dry()
    found, attempts = await row(world, key), await world.store.attempts(*key)
    assert (found.state, found.attempts, found.last_status, len(attempts)) == ("cancelled", 1, status, 1)
    assert found.settled_at is not None
    assert list(audit(world.store._path, reread)) == []


async def test_what_a_read_of_the_disk_found_just_before_is_not_started(world: World):
    world.hold = asyncio.Event()
    await world.serve(spec("shop", max_in_flight=1))
    first, *rest = await world.append(WINDOW + 40)
    [last] = rest[-1:]
    reading, go_on = world.hold_reads()
    world.hold.set()
    await reading.wait()
    await cancel(world, DeliveryKey(last.key, 1))
    go_on.set()
    await world.run_dry()
    assert sorted(tried(world)) == [DeliveryKey(each.key, 1) for each in (first, *rest[:-1])]
    assert world.dispatcher.held_bytes == 0


async def test_a_replay_during_that_read_brings_it_back(world: World):
    world.hold = asyncio.Event()
    await world.serve(spec("shop", max_in_flight=1))
    *_, last = await world.append(WINDOW + 40)
    key = DeliveryKey(last.key, 1)
    reading, go_on = world.hold_reads()
    world.hold.set()
    await reading.wait()
    await cancel(world, key)
    await replay(world, key)
    go_on.set()
    await world.run_dry()
    assert tried(world).count(key) == 1
    assert (await row(world, key)).state == "delivered"


async def test_a_replay_makes_it_owed_again_also_while_an_attempt_is_under_way(world: World):
    world.hold = asyncio.Event()
    await world.serve(spec("shop"))
    await world.quiet()
    [event] = await world.append()
    key = DeliveryKey(event.key, 1)
    await cancel(world, key)
    await replay(world, key)
    world.hold.set()
    await world.run_dry()
    found = await row(world, key)
    assert (found.state, found.attempts, tried(world)) == ("delivered", 1, [key])
    assert list(audit(world.store._path, reread)) == []


@pytest.mark.parametrize("waits_ms", [(0,), (0, 3_600_000)])
async def test_what_failed_before_it_was_cancelled_and_replayed_does_not_count_against_the_replay(
    world: World, waits_ms: tuple[int, ...]
):
    world.hold = asyncio.Event()
    world.answers = lambda due: None if due.replay else world.failing()
    await world.serve(spec("shop", waits_ms=waits_ms))
    await world.quiet()
    [event] = await world.append()
    key = DeliveryKey(event.key, 1)
    await cancel(world, key)
    await replay(world, key)
    world.hold.set()
    await world.quiet()
    found, attempts = await row(world, key), await world.store.attempts(*key)
    assert (found.state, found.attempts, tried(world)) == ("delivered", 2, [key, key])
    assert [(each.number, each.status, each.replay) for each in attempts] == [(1, 500, 0), (2, 200, 1)]
    assert list(audit(world.store._path, reread)) == []


async def test_nor_does_the_last_attempt_of_an_earlier_replay(world: World):
    [shop] = await world.store.adopt([spec("shop")], world.clock.now_ms())
    [event] = await world.append()
    key, failed = DeliveryKey(event.key, shop.number), world.failing()
    await world.store.settle(Settlement(key, 1, failed, False, "dead", None, 1))
    await replay(world, key)
    for number in (2, 3):
        await world.store.settle(Settlement(key, number, failed, True, "pending", 0, number))
    await world.store.cancels.cancel(key, world.clock.now_ms())
    await replay(world, key)
    await world.store.settle(Settlement(key, 4, failed, True, "dead", None, 3))
    found = await row(world, key)
    assert (found.state, found.attempts, found.due_at) == ("pending", 4, world.clock.now_ms())


async def test_in_a_chain_the_next_one_goes(world: World):
    world.answers = lambda due: world.failing() if due.attempts == 0 else None
    await world.serve(spec("shop", ordering="payment", waits_ms=(0, 3_600_000)))
    [first] = await world.append(payment_id="pi_1")
    [second] = await world.append(payment_id="pi_1")
    await world.quiet()
    assert tried(world) == [DeliveryKey(first.key, 1)]
    await cancel(world, DeliveryKey(first.key, 1))
    await world.quiet()
    assert tried(world) == [DeliveryKey(first.key, 1), DeliveryKey(second.key, 1)]
    await cancel(world, DeliveryKey(second.key, 1))
    assert list(audit(world.store._path, reread)) == []


async def test_one_that_is_held_behind_another_can_be_cancelled(world: World):
    world.hold = asyncio.Event()
    await world.serve(spec("shop", ordering="payment"))
    keys = [DeliveryKey(each.key, 1) for _ in range(3) for each in await world.append(payment_id="pi_1")]
    await cancel(world, keys[1])
    world.hold.set()
    await world.run_dry()
    assert tried(world) == [keys[0], keys[2]]
    assert list(audit(world.store._path, reread)) == []


async def test_what_is_settled_stays_so(world: World):
    await world.serve(spec("shop"))
    [event] = await world.append()
    key = DeliveryKey(event.key, 1)
    await world.run_dry()
    before = await row(world, key)
    with pytest.raises(OverError) as over:
        await cancel(world, key)
    assert (over.value.state, await row(world, key)) == ("delivered", before)


async def test_what_is_cancelled_cannot_be_cancelled_again(world: World):
    world.hold = asyncio.Event()
    await world.serve(spec("shop"))
    [event] = await world.append()
    await cancel(world, DeliveryKey(event.key, 1))
    with pytest.raises(OverError, match="cancelled"):
        await cancel(world, DeliveryKey(event.key, 1))
    world.hold.set()


async def test_what_is_not_there_cannot_be_cancelled(world: World):
    await world.serve(spec("shop"))
    with pytest.raises(NoDeliveryError):
        await cancel(world, DeliveryKey(5, 1))
    world.dispatcher.withdraw(DeliveryKey(5, 99))


async def test_what_was_taken_out_of_the_window_can_be_replayed(world: World):
    world.hold = asyncio.Event()
    await world.serve(spec("shop", max_in_flight=1))
    under_way, waiting = (DeliveryKey(each.key, 1) for each in await world.append(2))
    await cancel(world, waiting)
    await replay(world, waiting)
    world.hold.set()
    await world.run_dry()
    assert tried(world) == [under_way, waiting]
