"""`ordering = "payment"`: one payment's events go one at a time, in log order; other payments flow."""

import asyncio
from collections import Counter, defaultdict
from typing import Any

from tests.dispatch.conftest import World
from tests.making import spec
from webhookd.core.delivery import Due, Outcome
from webhookd.core.endpoint import Endpoint
from webhookd.store.protocol.history import Filter


def in_order(name: str = "shop", **fields: Any) -> Any:
    return spec(name, ordering="payment", waits_ms=fields.pop("waits_ms", (0, 1_000, 1_000)), **fields)


async def states(world: World) -> Counter[str]:
    return Counter(row.state for row in (await world.store.deliveries(Filter(), 500)).rows)


async def test_a_payments_events_go_one_at_a_time_in_log_order_and_those_of_others_beside_it(world: World):
    under_way: defaultdict[str, int] = defaultdict(int)
    most: defaultdict[str, int] = defaultdict(int)
    attempt = world.dispatcher._attempt

    async def watched(endpoint: Endpoint, due: Due) -> Outcome:
        payment = str(due.event.type)
        under_way[payment] += 1
        most[payment] = max(most[payment], under_way[payment])
        try:
            for _ in range(3):
                await asyncio.sleep(0)
            outcome: Outcome = await attempt(endpoint, due)
            return outcome
        finally:
            under_way[payment] -= 1

    world.dispatcher._attempt = watched
    await world.serve(in_order(max_in_flight=10))
    world.warm()
    for _ in range(6):
        for payment in ("pi_1", "pi_2", "pi_3"):
            await world.append(payment_id=payment, type=payment)
    await world.run_dry()
    assert most == {"pi_1": 1, "pi_2": 1, "pi_3": 1}
    assert await states(world) == {"delivered": 18}
    for payment in most:
        keys = [row.event for row in (await world.store.deliveries(Filter(type=payment), 100)).rows][::-1]
        assert [key.event for _, _, key, _ in world.attempts if key.event in keys] == keys


async def test_what_is_behind_one_that_fails_waits_and_goes_on_when_it_is_delivered(world: World):
    world.answers = lambda due: world.failing() if due.attempts == 0 else None
    await world.serve(in_order())
    events = [event for _ in range(3) for event in await world.append(payment_id="pi_1")]
    [other] = await world.append(payment_id="pi_2")
    await world.quiet()
    assert {key.event for _, _, key, _ in world.attempts} == {events[0].key, other.key}
    await world.run_dry()
    assert [key.event for _, _, key, _ in world.attempts if key.event != other.key] == [
        each.key for each in events for _ in range(2)
    ]


async def test_behind_a_dead_one_the_payments_next_event_goes_on(world: World):
    await world.serve(in_order())
    world.answers = lambda due: world.failing() if due.event.type == "first" else None
    await world.append(payment_id="pi_1", type="first")
    await world.append(2, payment_id="pi_1")
    await world.run_dry()
    assert await states(world) == {"dead": 1, "delivered": 2}


async def test_events_of_no_payment_and_endpoints_without_ordering_wait_for_nobody(world: World):
    world.answers = lambda due: world.failing() if due.attempts == 0 else None
    await world.serve(in_order("ordered"), spec("free", waits_ms=(0, 1_000)))
    world.warm()
    await world.append(3)
    await world.append(3, payment_id="pi_1")
    await world.quiet()
    assert Counter(name for _, name, _, _ in world.attempts) == {"ordered": 4, "free": 6}


async def test_two_providers_may_use_the_same_payment_id(world: World):
    world.answers = lambda _due: world.failing()
    await world.serve(in_order())
    world.warm()
    await world.append(payment_id="1", provider="razorpay", source="razorpay")
    await world.append(payment_id="1", provider="paystack", source="paystack")
    await world.quiet()
    assert len(world.attempts) == 2


async def test_the_order_holds_over_a_restart_and_a_backlog_far_beyond_the_window(world: World):
    await world.serve(in_order(max_in_flight=4))
    world.dispatcher.set_state("shop", "paused")
    for number in range(300):
        await world.append(payment_id=f"pi_{number % 7}")
    world.new_dispatcher()
    await world.serve(in_order(max_in_flight=4))
    await world.run_dry()
    assert await states(world) == {"delivered": 300}
    rows = {row.key: row.payment_id for row in (await world.store.events(Filter(), 500)).rows}
    made: defaultdict[str | None, list[int]] = defaultdict(list)
    for _, _, key, _ in world.attempts:
        made[rows[key.event]].append(key.event)
    assert len(made) == 7
    assert all(keys == sorted(set(keys)) for keys in made.values())


async def test_turned_off_nothing_that_was_held_is_forgotten(world: World):
    world.answers = lambda due: world.failing() if due.attempts == 0 else None
    await world.serve(in_order())
    await world.append(5, payment_id="pi_1")
    await world.quiet()
    await world.serve(spec("shop", waits_ms=(0, 1_000, 1_000)))
    await world.append(5, payment_id="pi_1")
    await world.run_dry()
    assert await states(world) == {"delivered": 10}
