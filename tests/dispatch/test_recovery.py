"""An endpoint that fails is let alone, loses no attempt by it, and is approached carefully when it is back."""

from collections import Counter

import pytest

from tests.dispatch.conftest import World
from tests.making import spec
from webhookd.core.breaker import BreakerPolicy
from webhookd.core.delivery import Outcome
from webhookd.store.protocol.history import Filter

POLICY = BreakerPolicy()
WAITS = (0, 1_000, 1_000, 1_000)


async def states(world: World) -> Counter[str]:
    return Counter(row.state for row in (await world.store.deliveries(Filter(), 500)).rows)


@pytest.mark.fault(32, 33)
async def test_after_so_many_failures_in_a_row_nothing_more_is_tried_until_the_wait_is_over(world: World):
    world.answers = lambda _due: world.failing()
    began = world.clock.now_ms()
    await world.serve(spec("shop", max_in_flight=1, waits_ms=WAITS))
    await world.append(50)
    await world.quiet()
    assert len(world.attempts) == POLICY.failures_in_a_row
    view = world.dispatcher.view("shop")
    assert (view.breaker, view.retry_at) == ("open", began + POLICY.first_wait_ms)
    while world.clock.now_ms() < began + POLICY.first_wait_ms:
        assert world.clock.advance_to_next_timer()
        await world.quiet()
    assert len(world.attempts) == POLICY.failures_in_a_row + 1, "one probe, and it failed"
    assert world.dispatcher.view("shop").retry_at == world.clock.now_ms() + 2 * POLICY.first_wait_ms


@pytest.mark.fault(33)
async def test_an_open_breaker_postpones_and_uses_up_no_attempt(world: World):
    """Down for a day, when four attempts in three seconds is all each has: nothing is dead, and little was tried."""
    down_until = world.clock.now_ms() + 86_400_000
    world.answers = lambda _due: world.failing() if world.clock.now_ms() < down_until else None
    await world.serve(spec("shop", max_in_flight=1, waits_ms=WAITS))
    await world.append(300)
    await world.run_dry()
    assert await states(world) == {"delivered": 300}
    probes = 86_400_000 / POLICY.wait_max_ms + 20
    assert 300 + probes / 2 < len(world.attempts) < 300 + probes


@pytest.mark.fault(32, 33)
async def test_when_it_is_back_one_probe_finds_out_and_the_rest_follows_without_waiting_for_the_schedule(world: World):
    down = True
    world.answers = lambda _due: world.failing() if down else None
    await world.serve(spec("shop", max_in_flight=8, waits_ms=(0, 3_600_000, 3_600_000)))
    await world.append(200)
    await world.quiet()
    tried = len(world.attempts)
    down = False
    began = world.clock.now_ms()
    assert world.clock.advance_to_next_timer()
    await world.quiet()
    assert (await states(world))["delivered"] == 200 - tried, "those that were not tried are not late"
    assert world.clock.now_ms() - began == POLICY.first_wait_ms
    assert world.dispatcher.view("shop").breaker == "closed"


async def test_an_open_breaker_survives_a_restart(world: World):
    world.answers = lambda _due: world.failing()
    await world.serve(spec("shop", max_in_flight=1, waits_ms=(0, 1)))
    await world.append(50)
    await world.quiet()
    before, tried = world.dispatcher.view("shop"), len(world.attempts)
    world.new_dispatcher()
    await world.serve(spec("shop", max_in_flight=1, waits_ms=(0, 1)))
    await world.quiet()
    after = world.dispatcher.view("shop")
    assert (after.breaker, after.retry_at) == ("open", before.retry_at)
    assert after.failing_since == before.failing_since is not None
    assert len(world.attempts) == tried, "the restart is no reason to try"


async def test_a_breaker_that_has_closed_is_closed_after_a_restart_too(world: World):
    world.answers = lambda _due: world.failing() if len(world.attempts) <= POLICY.failures_in_a_row else None
    await world.serve(spec("shop", max_in_flight=1, waits_ms=(0, 1, 1)))
    await world.append(20)
    await world.run_dry()
    assert (await states(world)) == {"delivered": 20}
    world.new_dispatcher()
    await world.serve(spec("shop", max_in_flight=1, waits_ms=(0, 1, 1)))
    assert world.dispatcher.view("shop").breaker == "closed"
    assert world.dispatcher.view("shop").failing_since is None


async def test_a_fault_of_ours_does_not_count_against_the_endpoint(world: World):
    world.answers = lambda _due: Outcome(world.clock.now_ms(), 0, None, "internal")
    await world.serve(spec("shop", waits_ms=(0, 1_000)))
    await world.append(20)
    await world.quiet()
    assert world.dispatcher.view("shop").breaker == "closed"
    assert world.dispatcher.view("shop").failing_since is None


@pytest.mark.fault(21)
@pytest.mark.fault(33)
async def test_while_the_breaker_is_open_no_body_is_held_in_memory(world: World):
    world.answers = lambda _due: world.failing()
    await world.serve(spec("shop", max_in_flight=1, waits_ms=(0, 1)))
    await world.append(200, body=b"x" * 1_000)
    await world.quiet()
    assert world.dispatcher.view("shop").breaker == "open"
    assert world.dispatcher.held_bytes == 0
