"""What throughput is a share of, in which order it is measured, and what of it is asked and refused."""

import json
import sqlite3

import pytest

from bench import throughput
from bench.rig import hooks
from bench.rig.load import answered_per_s
from bench.rig.merchant import Connection, Sink, listen, port_of
from bench.throughput import (
    ECHO,
    END_TO_END,
    IDLE,
    KINDS,
    NO_LEDGER,
    RECEIVE,
    end_to_end_rate,
    figures_of,
    order,
    promises,
)

STEADY = {kind: [100.0] * 3 for kind in KINDS}


def test_every_kind_is_measured_once_in_each_round_and_has_its_turn_to_be_first():
    rounds = [order(number) for number in range(2 * len(KINDS))]
    assert all(sorted(each) == sorted(KINDS) for each in rounds)
    assert {each[0] for each in rounds} == set(KINDS)


def test_neither_of_two_that_are_compared_is_always_the_first():
    sooner = [order(number).index(END_TO_END) < order(number).index(IDLE) for number in range(2 * len(KINDS))]
    assert sooner.count(True) == sooner.count(False)


def test_a_share_is_the_median_of_the_ratios_within_rounds():
    # The machine was twice and three times as fast in later rounds: the medians' ratio would be 0.5.
    rates = STEADY | {ECHO: [100.0, 200.0, 300.0], RECEIVE: [90.0, 100.0, 240.0]}
    assert figures_of(rates)[RECEIVE].of_echo == 0.8


@pytest.mark.parametrize(
    ("kind", "rate", "broken"),
    [(RECEIVE, 80, 0), (RECEIVE, 79, 1), (END_TO_END, 40, 0), (END_TO_END, 39, 1), (NO_LEDGER, 1, 0)],
)
def test_receiving_and_end_to_end_are_asked_to_be_shares_of_the_echo(kind, rate, broken):
    rates = STEADY | {kind: [rate] * 3}
    assert [promise.kept for promise in promises(figures_of(rates))].count(False) == broken


@pytest.mark.parametrize(("rate", "kept"), [(96, True), (94, False)])
def test_an_idle_endpoint_is_asked_to_cost_less_than_a_twentieth(rate, kept):
    assert promises(figures_of(STEADY | {IDLE: [rate] * 3}))[-1].kept is kept


def test_an_idle_endpoint_has_a_glob_that_matches_nothing_of_the_load():
    type_ = json.loads(hooks.body(0, "test", 0))["type"]
    [(matches,)] = sqlite3.connect(":memory:").execute("SELECT ? GLOB ?", (type_, throughput.MATCHES_NOTHING))
    assert not matches
    assert "*" in throughput.MATCHES_NOTHING, "an exact type is looked up, and would cost nothing"


async def test_a_load_that_was_refused_is_no_measurement():
    class Full:
        def take(self, connection: Connection, head: bytes, body: bytes) -> None:
            connection._transport.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")

    server = await listen(Full())
    with pytest.raises(SystemExit, match="refused to report: 5 of 5 hooks were not answered 200"):
        await answered_per_s(hooks.requests(5, "test"), port_of(server))
    server.close()


async def test_beside_idle_endpoints_each_event_goes_to_the_merchant_alone(monkeypatch):
    requests = []

    class Counting(Sink):
        def take(self, connection: Connection, head: bytes, body: bytes) -> None:
            requests.append(hooks.number_of(body))
            super().take(connection, head, body)

    monkeypatch.setattr(throughput, "Sink", Counting)
    assert await end_to_end_rate(20, "test", idle=2) > 0
    assert sorted(requests) == sorted([*range(2), *range(20)])  # what warms up, and what counts
