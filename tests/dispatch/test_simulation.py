"""Two days of traffic and two weeks of retries for many endpoints, in seconds, from a seed."""

from collections import Counter
from pathlib import Path

import pytest

from tests.dispatch.simulation import Simulation
from webhookd.store.protocol import Filter


@pytest.mark.parametrize(("seed", "endpoints", "events"), [(1, 60, 300), (2, 60, 300), (3, 7, 600), (4, 2_000, 400)])
async def test_whatever_the_merchants_do_the_promises_hold(tmp_path: Path, seed: int, endpoints: int, events: int):
    simulation = Simulation(tmp_path, seed, endpoints)
    try:
        await simulation.run(events, crashes=5)
        assert await simulation.violations() == []
        states = Counter(row.state for row in (await simulation.store.deliveries(Filter(), 500)).rows)
        assert states["delivered"] > 100, "or nothing was shown"
        assert Counter(made.status == 200 for made in simulation.made)[False] > 100
    finally:
        await simulation.dispatcher.stop(0)
        await simulation.store.close()
