"""No endpoint can spoil another's deliveries, and no ordinary event an urgent one's."""

import asyncio
from collections import Counter

import pytest

from tests.dispatch.conftest import World
from tests.making import spec
from webhookd.core.delivery import Due
from webhookd.core.ledger import RANKS, Fact, Kind
from webhookd.core.rate_limit import RateLimit
from webhookd.dispatch.lane import WINDOW


def about(kind: Kind) -> Fact:
    """What an event says that is about an object of this kind."""
    return Fact(kind=kind, id="obj_1", status=next(iter(RANKS[kind])))


async def test_a_dispute_overtakes_all_that_waits_in_memory_and_on_disk(world: World):
    await world.serve(spec("shop", max_in_flight=2))
    await world.quiet()
    world.warm()
    world.hold = asyncio.Event()
    for _ in range(4):
        await world.append(WINDOW)
    await world.append(fact=about("account"), type="account.updated")
    [dispute] = await world.append(fact=about("dispute"), type="charge.dispute.created")
    [downtime] = await world.append(fact=about("downtime"), type="payment.downtime.started")
    world.hold.set()
    await world.run_dry()
    order = [key.event for _, _, key, _ in world.attempts]
    assert order[2:4] == [dispute.key, downtime.key], "two were under way before"
    assert order[4] not in (dispute.key, downtime.key)
    assert len(order) == 4 * WINDOW + 3


async def test_accounts_go_before_ordinary_events_and_after_disputes_also_from_disk(
    world: World,
):
    await world.serve(spec("shop", max_in_flight=1))
    world.dispatcher.set_state("shop", "paused")
    await world.append(3 * WINDOW)
    [account] = await world.append(fact=about("fund_account"), type="fund_account.validation.completed")
    [dispute] = await world.append(fact=about("dispute"), type="charge.dispute.created")
    world.dispatcher.set_state("shop", "active")
    await world.run_dry()
    assert [key.event for _, _, key, _ in world.attempts][:2] == [dispute.key, account.key]


async def test_when_all_slots_are_taken_the_next_that_is_free_goes_to_the_endpoint_with_a_dispute(world: World):
    world.new_dispatcher(max_in_flight=3)
    await world.serve(*(spec(f"busy{n}", events=("many",)) for n in range(10)), spec("calm", events=("dispute",)))
    await world.quiet()
    world.warm()
    world.hold = asyncio.Event()
    await world.append(30, type="many")
    await world.append(fact=about("dispute"), type="dispute")
    world.hold.set()
    await world.run_dry()
    assert [name for _, name, _, _ in world.attempts].index("calm") == 3


async def test_a_rate_limit_holds_in_every_second_and_nothing_waits_longer_than_it_must(world: World):
    await world.serve(spec("shop", rate_limit=RateLimit(5, 1_000), max_in_flight=50))
    await world.quiet()
    world.warm()
    await world.append(23)
    began = world.clock.now_ms()
    await world.run_dry()
    assert Counter((at - began) // 1_000 for at, *_ in world.attempts) == {0: 5, 1: 5, 2: 5, 3: 5, 4: 3}


async def test_a_rate_limit_of_one_endpoint_does_not_slow_another(world: World):
    await world.serve(spec("slow", rate_limit=RateLimit(1, 60_000)), spec("fast"))
    began = world.clock.now_ms()
    await world.append(20)
    await world.quiet()
    assert Counter(name for at, name, *_ in world.attempts if at == began) == {"slow": 1, "fast": 20}


@pytest.mark.fault(32, 33)
async def test_an_endpoint_that_was_just_started_or_resumed_is_approached_carefully(world: World):
    rounds: list[int] = []

    async def in_rounds() -> None:
        """Let all that is under way be answered at once, and count it."""
        while world.in_flight["shop"]:
            rounds.append(world.in_flight["shop"])
            release, world.hold = world.hold, asyncio.Event()
            assert release is not None
            release.set()
            for _ in range(1_000):
                await asyncio.sleep(0)
            await settled()

    async def settled() -> None:
        while world.dispatcher.unsettled > world.dispatcher.in_flight:
            await asyncio.sleep(0)

    await world.serve(spec("shop", max_in_flight=16))
    await world.quiet()
    world.hold = asyncio.Event()
    await world.append(40)
    while not world.in_flight["shop"]:
        await asyncio.sleep(0)
    await in_rounds()
    assert rounds[:5] == [1, 2, 4, 8, 16]
    assert sum(rounds) == 40


async def test_asked_to_wait_by_retry_after_the_whole_endpoint_waits_but_no_longer_than_ten_minutes(world: World):
    def busy_at_first(due: Due) -> object:
        return world.failing(503, retry_after_ms=30_000) if len(world.attempts) == 1 else None

    world.answers = busy_at_first  # type: ignore[assignment]
    await world.serve(spec("shop", waits_ms=(0, 1_000), max_in_flight=1))
    began = world.clock.now_ms()
    await world.append(5)
    await world.run_dry()
    assert [at - began for at, *_ in world.attempts] == [0] + [30_000] * 5


async def test_a_retry_after_of_a_day_holds_its_delivery_for_a_day_and_the_others_for_ten_minutes(world: World):
    def for_a_day(due: Due) -> object:
        return world.failing(429, retry_after_ms=86_400_000) if len(world.attempts) == 1 else None

    world.answers = for_a_day  # type: ignore[assignment]
    await world.serve(spec("shop", waits_ms=(0, 1_000), max_in_flight=1))
    began = world.clock.now_ms()
    await world.append(3)
    await world.run_dry()
    assert [at - began for at, *_ in world.attempts] == [0, 600_000, 600_000, 86_400_000]


async def test_an_endpoint_that_says_it_has_too_much_to_do_gets_half_as_much_at_once(world: World):
    await world.serve(spec("shop", max_in_flight=16, waits_ms=(0, 10_000)))
    await world.quiet()
    world.warm()
    world.answers = lambda due: world.failing(502) if due.attempts == 0 and len(world.attempts) == 1 else None
    await world.append(1)
    await world.quiet()
    assert world.dispatcher.view("shop").limit == 8


@pytest.mark.fault(32)
async def test_the_black_hole_of_one_costs_the_others_nothing(world: World):
    """Whoever waits for an answer that never comes holds its own slots only."""
    await world.serve(spec("hole", events=("hole",)), *(spec(f"well{n}", events=("well",)) for n in range(5)))
    await world.quiet()
    world.warm()
    never = asyncio.Event()
    attempt = world.dispatcher._attempt

    async def swallowed(endpoint, due):  # type: ignore[no-untyped-def]
        if endpoint.spec.name == "hole":
            world.attempts.append((world.clock.now_ms(), "hole", due.key, due.attempts + 1))
            await never.wait()
        return await attempt(endpoint, due)

    world.dispatcher._attempt = swallowed
    await world.append(500, type="hole")
    await world.append(100, type="well")
    while sum(name != "hole" for _, name, *_ in world.attempts) < 500:
        await asyncio.sleep(0)
    assert Counter(name for _, name, *_ in world.attempts)["hole"] == 8
    assert world.dispatcher.view("hole").in_flight == 8
    await world.dispatcher.stop(0)
