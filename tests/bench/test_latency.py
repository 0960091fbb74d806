"""How latencies are measured: an open loop from the planned time, and what of it is judged and refused."""

import asyncio
import statistics
from itertools import pairwise

import pytest
import uvloop

from bench import latency
from bench.latency import Round, figures, measure_round, promises
from bench.rig import steady
from bench.rig.hooks import requests
from bench.rig.merchant import Connection, Witness, listen, port_of
from bench.rig.steady import SteadyLoad, evenly, percentile, poisson
from tests.running import PATIENCE_S


class Stubborn:
    """A server that answers nobody until so many have asked."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._waiting: list[Connection] = []

    def take(self, connection: Connection, head: bytes, body: bytes) -> None:
        self._waiting.append(connection)
        if len(self._waiting) == self._wanted:
            for each in self._waiting:
                each.answer()


async def test_hooks_are_sent_whether_or_not_those_before_were_answered():
    count = steady.CONNECTIONS + 10
    load = await sent_to(Stubborn(count), count, evenly)
    assert load.ok == count
    assert min(load.answered_at.values()) > max(load.due_at)


def test_no_hook_is_sent_before_its_time():
    # Benches run on uvloop, whose timers may be early.
    load = uvloop.run(sent_to(Witness(200), 200, poisson(1)))
    assert all(sent >= due for sent, due in zip(load.sent_at, load.due_at, strict=True))


def test_random_gaps_keep_the_rate_and_repeat_with_their_seed():
    due_s = poisson(7)(10_000, 500)
    assert due_s == poisson(7)(10_000, 500)
    assert due_s != poisson(8)(10_000, 500)
    assert due_s == sorted(due_s)
    gaps = [after - before for before, after in pairwise(due_s)]
    assert statistics.mean(gaps) == pytest.approx(1 / 500, rel=0.05)
    assert statistics.stdev(gaps) == pytest.approx(1 / 500, rel=0.05)


def test_percentiles_are_of_the_values_themselves():
    values = [float(n) for n in range(1_001)]
    assert [percentile(values, percent) for percent in (50, 99, 99.9)] == pytest.approx([500, 990, 999])


async def test_a_latency_begins_when_its_hook_was_planned(monkeypatch):
    class Late(SteadyLoad):
        """A generator that was a second late with each."""

        async def run(self, host: str, port: int) -> None:
            await super().run(host, port)
            self.due_at = [each - 1 for each in self.due_at]

    monkeypatch.setattr(latency, "SteadyLoad", Late)
    monkeypatch.setattr(latency, "WARM_UP_S", 0.2)
    monkeypatch.setattr(steady, "LAG_P99_MS_MAX", float("inf"))
    measured = await measure_round(50, 0.6, poisson(1))
    assert len(measured.delivered_ms) == len(measured.acked_ms) == 30
    assert min(measured.delivered_ms + measured.acked_ms) > 1_000


async def test_events_that_do_not_arrive_are_no_measurement():
    shop = Witness(3)
    shop.arrived_at[0] = 0.0
    with pytest.raises(SystemExit, match="2 of 3 events did not reach their merchant"):
        await shop.sees_all(0)


async def test_a_load_that_was_sent_late_is_no_measurement():
    load = await sent_to(Witness(10), 10, evenly)
    load.lags_s = [0.02] * 10
    with pytest.raises(SystemExit, match=r"sent 20\.0 ms late"):
        load.judged()


@pytest.mark.parametrize(("per_s", "p99_ms", "kept"), [(200, 7.9, True), (200, 8.1, False), (500, 8.1, True)])
def test_what_is_asked_depends_on_the_rate(per_s, p99_ms, kept):
    [promise] = promises([figures(per_s, [of(p99_ms)])])
    assert promise.kept is kept


def test_of_other_rates_nothing_is_asked():
    assert promises([figures(100, [of(9_999)])]) == []


def test_one_bad_round_is_seen_in_the_p99_of_all():
    [promise] = promises([figures(200, [of(1), of(1), of(100)])])
    assert not promise.kept


async def sent_to(server: object, count: int, arrivals: steady.Arrivals) -> SteadyLoad:
    load = SteadyLoad(requests(count, "test"), 1_000, arrivals)
    listening = await listen(server)
    async with asyncio.timeout(PATIENCE_S):
        await load.run("127.0.0.1", port_of(listening))
    listening.close()
    return load


def of(ms: float) -> Round:
    return Round([ms] * 100, [ms] * 100, 0.1)
