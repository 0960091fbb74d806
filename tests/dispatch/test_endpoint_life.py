"""What becomes of an endpoint that fails for too long or says it is gone, and who is told."""

from collections import Counter
from typing import Any

import msgspec

from tests.dispatch.conftest import World
from tests.making import spec
from webhookd.core.delivery import Outcome
from webhookd.core.event import OPERATIONAL
from webhookd.store.protocol.history import Filter

DAY = 86_400_000


async def states(world: World) -> Counter[str]:
    return Counter(row.state for row in (await world.store.deliveries(Filter(endpoint="shop"), 500)).rows)


async def told(world: World) -> list[dict[str, Any]]:
    """The operational events that were delivered, in log order: their type and what they say."""
    rows = [
        row for row in (await world.store.deliveries(Filter(source=OPERATIONAL), 100)).rows if row.state == "delivered"
    ]
    bodies = [await world.store.body(row.event) for row in reversed(rows)]
    return [msgspec.json.decode(body) for body in bodies if body is not None]


def shop(**fields: Any) -> Any:
    return spec("shop", max_in_flight=1, waits_ms=fields.pop("waits_ms", (0, *[3_600_000] * 99)), **fields)


OPS = spec("ops", events=("webhookd.*",))


def only_ops_is_there(world: World) -> None:
    world.answers = lambda due: None if due.event.source == OPERATIONAL else world.failing()


async def test_whoever_fails_for_so_long_is_disabled_and_what_it_is_owed_is_held(world: World):
    only_ops_is_there(world)
    began = world.clock.now_ms()
    await world.serve(shop(disable_after_ms=2 * DAY), OPS)
    await world.append(3)
    await world.run_dry()
    assert world.clock.now_ms() - began >= 2 * DAY
    assert await states(world) == {"pending": 3}
    row = await world.store.endpoint("shop")
    assert row is not None
    assert (row.state, row.why) == ("disabled", "failing")
    news = await told(world)
    assert [each["type"] for each in news] == ["webhookd.endpoint.failing", "webhookd.endpoint.disabled"]
    assert news[1]["data"]["endpoint"] == "shop"
    assert news[1]["data"]["failing_since"].startswith("2027-01-15T")


async def test_one_success_in_between_and_the_days_are_counted_anew(world: World):
    began = world.clock.now_ms()
    world.answers = lambda _due: None if len(world.attempts) == 20 else world.failing()
    await world.serve(shop(disable_after_ms=DAY))
    await world.append(2)
    await world.run_dry()
    [success] = [at for number, (at, *_) in enumerate(world.attempts, 1) if number == 20]
    assert await states(world) == {"delivered": 1, "pending": 1}
    assert began + DAY // 4 < success, "it had failed for a while by then"
    assert world.attempts[-1][0] >= success + DAY


async def test_disabled_for_failing_it_stays_so_over_a_restart_and_goes_on_when_a_person_resumes_it(world: World):
    only_ops_is_there(world)
    await world.serve(shop(disable_after_ms=DAY))
    await world.append(2)
    await world.run_dry()
    made = len(world.attempts)
    world.new_dispatcher()
    await world.serve(shop(disable_after_ms=DAY))
    await world.append(1)
    await world.run_dry()
    assert len(world.attempts) == made, "but what comes meanwhile is owed"
    world.answers = lambda _due: None
    assert await world.store.set_endpoint_state("shop", "active")
    world.dispatcher.set_state("shop", "active")
    await world.run_dry()
    assert await states(world) == {"delivered": 3}
    assert world.dispatcher.view("shop").failing_since is None


async def test_never_means_never(world: World):
    only_ops_is_there(world)
    await world.serve(shop(disable_after_ms=None, waits_ms=(0, *[20 * DAY] * 20)))
    await world.append(1)
    await world.run_dry()
    assert await states(world) == {"dead": 1}
    row = await world.store.endpoint("shop")
    assert row is not None
    assert row.state == "active"


async def test_410_and_a_dead_delivery_are_told_too_and_nobody_hears_of_it_who_did_not_ask(world: World):
    def gone_or_failing(due: Any) -> Any:
        if due.event.source == OPERATIONAL:
            return None
        return world.failing(410) if due.event.type == "last" else world.failing()

    world.answers = gone_or_failing
    await world.serve(shop(waits_ms=(0, 1)), OPS, spec("all", events=("*",)), spec("quiet"))
    await world.append(1, type="first")
    await world.run_dry()
    await world.append(1, type="last")
    await world.run_dry()
    news = await told(world)
    mine = [each for each in news if each["data"]["endpoint"] == "shop"]
    assert [each["type"] for each in mine] == ["webhookd.delivery.dead", "webhookd.endpoint.paused"]
    assert mine[0]["data"]["attempts"] == 2
    heard = {row.endpoint_name for row in (await world.store.deliveries(Filter(source=OPERATIONAL), 100)).rows}
    assert heard == {"ops"}


async def test_a_listener_that_is_down_is_not_told_so_for_ever(world: World):
    world.answers = lambda _due: world.failing()
    await world.serve(shop(waits_ms=(0, 1)), spec("ops", events=("webhookd.*",), waits_ms=(0, 1)))
    await world.append(1)
    await world.run_dry()
    types = Counter(row.type for row in (await world.store.events(Filter(source=OPERATIONAL), 100)).rows)
    assert types == {"webhookd.delivery.dead": 1}


async def test_without_anybody_who_asks_no_operational_event_is_made(world: World):
    world.answers = lambda _due: world.failing()
    await world.serve(shop(waits_ms=(0, 1), disable_after_ms=DAY))
    await world.append(20)
    await world.run_dry()
    assert (await world.store.events(Filter(source=OPERATIONAL), 100)).rows == []


async def test_what_is_told_is_in_the_log_with_the_settlement_or_not_at_all(world: World):
    only_ops_is_there(world)
    await world.serve(shop(waits_ms=(0,)), OPS)
    settling, go_on = world.hold_settlements()
    await world.append(1)
    await settling.wait()
    assert (await world.store.events(Filter(source=OPERATIONAL), 100)).rows == []
    assert await states(world) == {"pending": 1}
    go_on.set()
    await world.run_dry()
    assert [each["type"] for each in await told(world)] == ["webhookd.delivery.dead"]


# --- What is told of it


async def test_the_last_failure_is_remembered_over_later_successes_and_what_succeeds_leaves_none(world: World):
    world.answers = lambda due: world.failing(503) if due.event.type == "charge.failed" else None
    await world.serve(shop(), spec("other", events=("charge.captured",)))
    await world.append(type="charge.captured")
    await world.run_dry()
    assert world.dispatcher.view("shop").last_failure is None
    failed_at = world.clock.now_ms()
    [failed] = await world.append(type="charge.failed")
    await world.quiet()
    await world.append(type="charge.captured")
    await world.quiet()
    found = world.dispatcher.view("shop").last_failure
    assert (found.at, found.status, found.error, found.key.event) == (failed_at, 503, "status", failed.key)
    assert world.dispatcher.view("other").last_failure is None


async def test_an_attempt_without_an_answer_is_a_failure_too_and_the_newest_counts(world: World):
    world.answers = lambda due: world.failing(500) if due.attempts == 0 else Outcome(due.due_at, 30, None, "timeout")
    await world.serve(shop(waits_ms=(0, 5_000)))
    [sent] = await world.append()
    began = world.clock.now_ms()
    await world.run_dry()
    found = world.dispatcher.view("shop").last_failure
    assert (found.at, found.status, found.error, found.key.event) == (began + 5_030, None, "timeout", sent.key)
