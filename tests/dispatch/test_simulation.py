"""A day of traffic and days of retries for many endpoints, in seconds, from a seed; whatever may happen meanwhile."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from tests.dispatch.promises import violations
from tests.dispatch.simulated_merchants import DAY, HOUR
from tests.dispatch.simulation import Simulation
from tests.postgres import Server
from tests.store.postgres_site import PostgresSite
from tests.store.site import Site
from tests.store.sqlite_site import SqliteSite
from webhookd.core.endpoint import EndpointSpec
from webhookd.core.retry import RetryPolicy
from webhookd.store.protocol.history import Filter


class Begin(Protocol):
    def __call__(self, seed: object, endpoints: int, site: Site | None = None) -> Simulation: ...


Count = Callable[[str, int], None]


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    """Simulations, each with a store of its own, which ends with the test."""
    begun: list[Simulation] = []

    def begin(seed: object, endpoints: int, site: Site | None = None) -> Simulation:
        """On SQLite, unless another site is given."""
        begun.append(Simulation(site or SqliteSite(tmp_path / f"{len(begun)}"), seed, endpoints))
        return begun[-1]

    yield begin
    for each in begun:
        await each.end()


@pytest.fixture(autouse=True)
def unlogged() -> Iterator[None]:
    """Days of what a dispatcher has to say would hide what a failure says."""
    with capture_logs():
        yield


@pytest.mark.fault(33)
async def test_whatever_merchants_people_and_the_disk_do_the_promises_hold(
    begin: Begin, torture: bool, seed: int, record_property: Count
):
    """The store is unavailable at times, or silent about a commit; the process crashes, also before it has settled."""
    seen: Counter[str] = Counter()
    sizes = [40, 7] * 8 + [400] if torture else [24, 7]
    for number, endpoints in enumerate(sizes):
        simulation = begin(f"{seed}:{number}", endpoints)
        await simulation.run(300, crashes=8, troubles=8, people=6)
        assert await violations(simulation) == [], f"--seed {seed}, number {number}"
        seen += summary(simulation)
        await simulation.end()
    assert all(seen[each] > 100 for each in ("taken", "failed")), "or nothing was shown"
    assert all(seen[each] for each in ("refused", "unheard", "lost", "cancelled", "replayed", "crashes"))
    record_property("seeds", len(sizes))
    record_property("crashes", seen["crashes"])


@pytest.mark.fault(33)
async def test_the_same_promises_hold_on_postgresql(
    begin: Begin, postgres: Server, torture: bool, seed: int, record_property: Count
):
    seen: Counter[str] = Counter()
    sizes = [40, 7] * 4 if torture else [7]
    for number, endpoints in enumerate(sizes):
        simulation = begin(f"{seed}:postgresql:{number}", endpoints, PostgresSite(postgres.url()))
        await simulation.run(300 if torture else 60, crashes=6, troubles=6, people=6, clock_sets=2)
        assert await violations(simulation) == [], f"--seed {seed}, number {number}"
        seen += summary(simulation)
        await simulation.end()
    assert all(seen[each] > 50 for each in ("taken", "failed")), "or nothing was shown"
    assert all(seen[each] for each in ("refused", "unheard", "cancelled", "replayed", "crashes"))
    record_property("seeds", len(sizes))
    record_property("crashes", seen["crashes"])


@pytest.mark.fault(25)
async def test_whatever_the_wall_clock_is_set_to_schedules_go_on_and_nothing_is_sent_in_a_heap(
    begin: Begin, torture: bool, seed: int, record_property: Count
):
    """Forward and back, by seconds and by hours: caps and rates hold, no wait is cut, and nothing is left behind."""
    for number in range(15 if torture else 1):
        simulation = begin(f"{seed}:clock:{number}", 12)
        await simulation.run(300, crashes=2, troubles=2, people=2, clock_sets=8)
        assert await violations(simulation) == [], f"--seed {seed}, number {number}"
        await simulation.end()
    record_property("seeds", 15 if torture else 1)


@pytest.mark.fault(32)
async def test_one_merchant_swallows_what_it_is_sent_for_hours_and_no_other_delivery_is_late(
    begin: Begin, torture: bool, seed: int, record_property: Count
):
    for number in range(10 if torture else 1):
        simulation = begin(f"{seed}:hole:{number}", 10)
        for name, merchant in simulation.merchants.items():
            merchant.latency_ms, merchant.failing, merchant.down = 0, 0, []
            if name == "shop0":
                merchant.down, merchant.swallows = [(0, DAY)], True
                simulation.specs[name] = patient(simulation.specs[name])
        await simulation.run(600)
        assert await violations(simulation) == [], f"--seed {seed}, number {number}"
        late = [
            each
            for each in simulation.made
            if each.endpoint != "shop0" and not simulation.specs[each.endpoint].rate_limit and not each.due.chained
            if each.began_ms > simulation.committed_ms.get(each.key.event, each.began_ms)
        ]
        assert late == []
        hole = [each for each in simulation.made if each.endpoint == "shop0"]
        probes = [each for each in hole if each.began_ms < DAY]
        assert len(probes) < DAY / 600_000 + 20, "it is probed, and no more"
        states = Counter(row.state for row in (await simulation.store.deliveries(Filter(endpoint="shop0"), 500)).rows)
        assert set(states) == {"delivered"}
        await simulation.end()
    record_property("seeds", 10 if torture else 1)


@pytest.mark.fault(33)
async def test_all_merchants_are_down_for_a_day_and_then_all_of_it_is_delivered(
    begin: Begin, torture: bool, seed: int, record_property: Count
):
    for number in range(10 if torture else 1):
        simulation = begin(f"{seed}:all:{number}", 10)
        for name, merchant in simulation.merchants.items():
            merchant.failing, merchant.down = 0, [(HOUR, DAY + HOUR)]
            simulation.specs[name] = patient(simulation.specs[name])
        await simulation.run(400, crashes=2)
        assert await violations(simulation) == [], f"--seed {seed}, number {number}"
        states = Counter(row.state for row in (await simulation.store.deliveries(Filter(), 5_000)).rows)
        assert set(states) == {"delivered"}
        await simulation.end()
    record_property("seeds", 10 if torture else 1)


async def test_a_simulation_of_one_seed_makes_one_history_whatever_keeps_the_log(
    begin: Begin, postgres: Server, seed: int
):
    histories = []
    for site in (None, None, PostgresSite(postgres.url())):
        simulation = begin(seed, 7, site)
        await simulation.run(40, crashes=3, troubles=3, people=3, clock_sets=2)
        histories.append([(each.endpoint, each.number, each.began_ms, each.answer) for each in simulation.made])
        await simulation.end()
    assert histories[0] == histories[1] == histories[2]


def patient(asked: EndpointSpec) -> EndpointSpec:
    """The same, and more attempts than a day has probes, ten minutes apart: one delivery may have to be all of them."""
    return replace(asked, retry=RetryPolicy((0, *[60_000] * 199)), disable_after_ms=None)


def summary(simulation: Simulation) -> Counter[str]:
    """How often what was to be survived has happened."""
    taken = sum(each.answer.status == 200 for each in simulation.made)
    return Counter(
        taken=taken,
        failed=len(simulation.made) - taken,
        refused=simulation.troubled.refused,
        unheard=simulation.troubled.unheard,
        lost=sum(each.ended_ms is None for each in simulation.made),
        cancelled=len(simulation.cancelled),
        replayed=len(simulation.replayed),
        crashes=len(simulation.crashes_ms),
    )
