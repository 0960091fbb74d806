"""What is measured of nodes that share a PostgreSQL: all of it arrives, each has its part, and costs are told apart."""

import argparse

import pytest

from bench import nodes
from bench.nodes import ONE, SIDES, drawn, figure_of, named
from bench.peers.nodes import Alone, Nodes
from bench.rig import side
from bench.rig.side import Cost, Turn, turn
from bench.rig.volume import Volume


def turn_of(rate: float, database_us: float = 100.0) -> Turn:
    cost = Cost(nodes_us=150.0, database_us=database_us, load_us=50.0)
    return Turn(1_000, rate, cost, None, None, "the load was late", Volume(3_000_000, 4_000_000, 10, 20.0, 40))


async def test_two_nodes_take_and_deliver_all_of_it_and_it_is_known_what_that_cost_whom(monkeypatch):
    monkeypatch.setattr(side, "WARM_UP", 40)
    monkeypatch.setattr(side, "COUNTED_MIN", 200)
    found = await turn(Nodes(2), 0.1, "t")
    assert found.events >= 200
    assert found.volume is not None
    assert 500 < found.volume.bytes / found.events < 20_000  # a body is about 1,000 bytes
    assert 0 < found.cost.commits < 2
    assert found.refused is not None or found.half is not None


async def test_a_node_on_its_own_has_the_same_work_and_no_database_beside_it(monkeypatch):
    monkeypatch.setattr(side, "WARM_UP", 40)
    found = await turn(Alone(), 0.1, "t")
    assert (found.cost.database_us, found.cost.commits) == (0, 0)


def test_figures_are_medians_and_ratios_those_within_rounds():
    ones = [turn_of(1_000), turn_of(100), turn_of(500)]
    figure = figure_of([turn_of(2_000, 90.0), turn_of(200, 100.0), turn_of(400, 170.0)], ones)
    assert (figure.events_per_s, figure.of_one) == (400, 2.0)
    assert (figure.cost.database_us, figure.bytes_per_event, figure.wal_bytes_per_event) == (100.0, 3_000, 4_000)
    assert (figure.sync_ms, figure.half, len(figure.refused)) == (2.0, None, 3)


def test_one_node_is_always_measured_and_nobody_who_is_not_known():
    assert named("4 nodes, SQLite") == ["SQLite", ONE, "4 nodes"]
    assert list(SIDES) == named(",".join(SIDES))
    with pytest.raises(argparse.ArgumentTypeError, match="3 nodes"):
        named("3 nodes")


def test_the_picture_has_what_an_event_costs_whom():
    kept = nodes.Kept({}, 1.0, 1, {ONE: figure_of([turn_of(100)], [turn_of(100)])}, {})
    assert drawn(kept).startswith(b"\x89PNG")
