"""What a load takes: costs are fitted to what was measured, and queues are as long as arithmetic says."""

import statistics

import pytest

from bench.capacity import AT_RANDOM, capacity, drawn, in_bursts, need
from bench.nodes import Figure, Kept
from bench.rig.fitting import fitted
from bench.rig.side import Cost, Late
from bench.rig.simulation import COMMIT_WRITES_MAX, Costs, Plan, World

COSTS = Costs(100e-6, 300e-6, 50e-6, 120e-6, 400e-6, 80e-6, 60e-6, 1.5e-3)
NO_SYNC = Costs(100e-6, 0, 0, 0, 0, 0, 0, 0)


def figure(rate: int, nodes_us: float, database_us: float, commits: float) -> Figure:
    cost, late = Cost(nodes_us, database_us, 60.0, commits), Late(rate / 2, 4.0, 9.0, 5.0, 12.0, 1.0)
    return Figure(rate, 1.0, cost, late, None, 3_000, 4_000, 1.5, [rate], [])


KEPT = Kept(
    {"processors": "2"},
    *(5.0, 3),
    {
        "1 node": figure(3_000, 106.0, 128.0, 0.02),
        "2 nodes": figure(2_800, 143.0, 192.0, 0.06),
        "4 nodes": figure(2_500, 167.5, 228.0, 0.1),
    },
    {},
)


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what does not depend on how long it is simulated."""
    monkeypatch.setattr("bench.capacity.SIMULATED_EVENTS", 2_000)


def test_what_was_made_of_costs_is_found_again():
    rows = [(1.0, commits, elsewhere) for commits in (0.02, 0.1, 0.3) for elsewhere in (0.0, 0.5, 0.75)]
    found = fitted(rows, [100 + 300 * commits + 50 * elsewhere for _, commits, elsewhere in rows])
    assert found == pytest.approx([100, 300, 50])


def test_nothing_costs_less_than_nothing():
    rows = [(1.0, commits, elsewhere) for commits in (0.02, 0.1, 0.3) for elsewhere in (0.0, 0.5, 0.75)]
    found = fitted(rows, [100 + 300 * commits - 50 * elsewhere for _, commits, elsewhere in rows])
    assert min(found) == found[2] == 0.0


def test_a_node_without_a_load_answers_after_its_own_time_the_databases_and_a_sync():
    seen = World(Plan(1, 1), COSTS).open_loop([number * 1.0 for number in range(500)])
    alone_s = 0.45 * 100e-6 + 300e-6 + 400e-6 + 60e-6 + 0.9 * 1.5e-3
    assert statistics.median(seen.acks_s) == pytest.approx(alone_s)
    assert seen.batch == 1.0


def test_clients_who_wait_for_nothing_else_get_all_that_a_nodes_processor_can_give():
    seen = World(Plan(1, 1, window=64), NO_SYNC).closed_loop(5_000, 64)
    assert seen.events_per_s == pytest.approx(1 / 100e-6, rel=0.02)
    assert seen.node_busy == pytest.approx(1.0, rel=0.02)


def test_one_post_at_a_time_to_a_slow_merchant_is_as_many_events_as_he_answers():
    seen = World(Plan(1, 4, endpoints=1, window=1, merchant_s=0.01), COSTS).open_loop(AT_RANDOM(500, 1_000.0))
    assert seen.events_per_s == pytest.approx(100, rel=0.05)


def test_batches_grow_under_load_until_they_are_full():
    calm = World(Plan(1, 4), COSTS).open_loop(AT_RANDOM(2_000, 100.0))
    full = World(Plan(1, 4), COSTS).open_loop(AT_RANDOM(20_000, 9_000.0))
    assert calm.batch < 2
    assert 20 < full.batch <= COMMIT_WRITES_MAX


def test_two_nodes_that_have_nothing_to_tell_each_other_do_twice_as_much():
    costs = Costs(100e-6, 0, 0, 1e-6, 0, 0, 0, 0.1e-3)
    one, two = (World(Plan(n, 8, window=64), costs).closed_loop(10_000, 256).events_per_s for n in (1, 2))
    assert two / one == pytest.approx(2, rel=0.1)


def test_bursts_bring_as_much_as_an_even_load():
    due = in_bursts(20_000, 500.0)
    assert len(due) / due[-1] == pytest.approx(500, rel=0.05)
    assert sum(1 for at in due if at % 10 >= 9) / len(due) == pytest.approx(0.25, rel=0.1)


@pytest.mark.usefixtures("briefly")
def test_nothing_is_busier_than_it_may_be():
    wanted = need(15_000.0, COSTS, KEPT.figures, 0.5, 30.0)
    assert wanted.nodes >= 3
    assert max(wanted.node_busy, wanted.database_busy) <= 0.5
    assert wanted.gb_kept == round(15_000 * 3_000 * 86_400 * 30 / 1e9)


@pytest.mark.usefixtures("briefly")
def test_what_was_measured_is_beside_what_is_simulated_of_it():
    found = capacity(KEPT, [20.0], 0.5, 30.0)
    assert [each.what for each in found.compared if "events/s" in each.what] == [
        *("1 node: events/s", "2 nodes: events/s", "4 nodes: events/s")
    ]
    assert all(each.simulated > 0 for each in found.compared)
    assert drawn(found.costs).startswith(b"\x89PNG")


def test_too_little_that_was_measured_is_said():
    with pytest.raises(SystemExit, match=r"bench/nodes\.py"):
        capacity(Kept({"processors": "2"}, 5.0, 1, {}, {}), [20.0], 0.5, 30.0)
