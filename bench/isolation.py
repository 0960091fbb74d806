"""What a black-holed merchant with a long backlog costs the others: their latency beside it and without it.

    python bench/isolation.py [--backlog 100000] [--rounds 5] [--seconds 20] [--rate 200] [--json]

A hundred merchants, each with a source of its own, get hooks at a steady rate, in turn. Two kinds of rounds alternate,
each with a daemon of its own on a data directory of its own, on the same ports and with the same load:

  without   the hundredth merchant answers as all do, and nothing waits
  beside    it takes connections and never answers, and the backlog waits for it on disk

Latency is from writing a hook to the socket until its event is at the merchant, of the ninety-nine others, the first
seconds left out. The load is an open loop: a hook is sent at its time whatever became of those before. Load and
merchants share one process; how late it sent (its lag) is printed, and how late it saw a request is about the same.

A run does not count, and nothing is reported, when a hook was not answered 200, an event did not reach its merchant,
or the generator did not keep its rate. Exit code 1 when what is asked for is missed.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.rig import hooks
from bench.rig.backlog import fill
from bench.rig.command import above_zero, command, one_or_more, tell
from bench.rig.daemon import ask, daemon, workplace
from bench.rig.merchant import Connection, listen, port_of
from bench.rig.steady import SteadyLoad, percentile

MERCHANTS = [*(f"shop{number:02}" for number in range(99)), "hole"]
HOLE = len(MERCHANTS) - 1
DELIVERY = 'timeout = "2s"'
"""Shorter than the default, so that even a short round sees attempts time out, the breaker open, and probes."""
WARM_UP_S = 2.0
RATIO_ASKED = 1.2
RSS_MB_ASKED = 200
_ARRIVAL_S_MAX = 30.0
_WITHOUT, _BESIDE = "without", "beside"


class Shop:
    """A merchant who notes when each event first came. A silent one answers nobody."""

    def __init__(self) -> None:
        self.arrived_at: dict[int, float] = {}
        self.requests = 0
        self.is_silent = False

    def forget(self, *, is_silent: bool) -> None:
        self.arrived_at, self.requests, self.is_silent = {}, 0, is_silent

    def take(self, connection: Connection, head: bytes, body: bytes) -> None:
        self.requests += 1
        if not self.is_silent:
            self.arrived_at.setdefault(hooks.number_of(body), time.perf_counter())
            connection.answer()


class Round(msgspec.Struct):
    """One daemon's."""

    latencies_ms: list[float]
    lag_p99_ms: float
    rss_max_mb: float
    hole_attempts: int
    breaker: str
    trips: int


class Kind(msgspec.Struct):
    """All rounds of a kind."""

    p50_ms: float
    p95_ms: float
    p99_ms: float
    lag_p99_ms: float
    """The worst round's."""
    rss_max_mb: float
    """The worst round's."""
    p99_ms_by_round: list[float]


class Figures(msgspec.Struct):
    without: Kind
    beside: Kind
    ratio_of_rounds: float
    """The median of the ratios of the p99s within each pair of rounds."""
    ratio_pooled: float
    """Of the p99s of all latencies of a kind."""
    backlog: int
    hole_attempts: list[int]
    """That the black hole saw in each round beside it."""
    breaker: list[str]
    """Its breaker at the end of each of those."""
    trips: list[int]

    @property
    def kept(self) -> bool:
        return max(self.ratio_of_rounds, self.ratio_pooled) <= RATIO_ASKED and self.beside.rss_max_mb <= RSS_MB_ASKED


async def measure(backlog: int, rounds: int, seconds: float, rate: float) -> Figures:
    shops = [Shop() for _ in MERCHANTS]
    console = Console(stderr=True)
    done: dict[str, list[Round]] = {_WITHOUT: [], _BESIDE: []}
    async with AsyncExitStack() as stack:
        servers = [await listen(shop) for shop in shops]
        for server in servers:
            stack.callback(server.close)
        endpoints = "\n".join(
            f'[endpoints.{name}]\nurl = "http://127.0.0.1:{port_of(server)}/"\nsources = ["{name}"]'
            for name, server in zip(MERCHANTS, servers, strict=True)
        )
        progress = stack.enter_context(Progress(console=console, transient=True, disable=not console.is_terminal))
        prepared = stack.enter_context(workplace(endpoints, sources=MERCHANTS, delivery=DELIVERY))
        await fill(prepared, MERCHANTS[HOLE:], backlog, "backlog", progress)
        bar = progress.add_task("measuring", total=2 * rounds)
        for number in range(rounds):
            # Turned round each time, so that a drift of the machine does not count for either.
            for kind in (_WITHOUT, _BESIDE) if number % 2 == 0 else (_BESIDE, _WITHOUT):
                progress.update(bar, description=kind)
                with workplace(endpoints, sources=MERCHANTS, delivery=DELIVERY) as config:
                    if kind == _BESIDE:
                        shutil.copytree(prepared.parent / "data", config.parent / "data")
                        os.sync()
                    done[kind].append(await measure_round(config, shops, kind, seconds, rate))
                progress.advance(bar)
    without, beside = done[_WITHOUT], done[_BESIDE]
    return Figures(
        without=(one := _kind(without)),
        beside=(other := _kind(beside)),
        ratio_of_rounds=round(
            statistics.median(b / a for a, b in zip(one.p99_ms_by_round, other.p99_ms_by_round, strict=True)), 3
        ),
        ratio_pooled=round(other.p99_ms / one.p99_ms, 3),
        backlog=backlog,
        hole_attempts=[each.hole_attempts for each in beside],
        breaker=[each.breaker for each in beside],
        trips=[each.trips for each in beside],
    )


async def measure_round(config: Path, shops: list[Shop], kind: str, seconds: float, rate: float) -> Round:
    """Raises SystemExit when the round does not count."""
    for index, shop in enumerate(shops):
        shop.forget(is_silent=kind == _BESIDE and index == HOLE)
    count = round((WARM_UP_S + seconds) * rate)
    healthy = [number for number in range(count) if number % len(shops) != HOLE]
    now_s = int(time.time())
    requests = [
        hooks.request(hooks.body(number, "load", now_s), now_s, MERCHANTS[number % len(shops)])
        for number in range(count)
    ]
    load = SteadyLoad(requests, rate)
    async with daemon(config) as running:
        await load.run("127.0.0.1", running.port)
        missing = await _missing(shops, healthy)
        rss_max_mb = running.rss_max_mb()
        hole_attempts = shops[HOLE].requests
    lag_p99_ms = load.judged()
    if missing:
        raise SystemExit(f"refused to report: {missing} of {len(healthy)} events did not reach their merchant")
    [(breaker, trips)] = await ask(config, "SELECT breaker, trips FROM endpoint WHERE name = 'hole'")
    warm = [number for number in healthy if number >= WARM_UP_S * rate]
    latencies_ms = [1_000 * (shops[each % len(shops)].arrived_at[each] - load.sent_at[each]) for each in warm]
    return Round(latencies_ms, lag_p99_ms, rss_max_mb, hole_attempts, breaker, trips)


async def _missing(shops: list[Shop], wanted: list[int]) -> int:
    """How many have not arrived, after a patient wait."""
    until = time.perf_counter() + _ARRIVAL_S_MAX
    while missing := sum(number not in shops[number % len(shops)].arrived_at for number in wanted):
        if time.perf_counter() > until:
            break
        await asyncio.sleep(0.1)
    return missing


def _kind(rounds: list[Round]) -> Kind:
    pooled = [latency for each in rounds for latency in each.latencies_ms]
    return Kind(
        p50_ms=round(percentile(pooled, 50), 3),
        p95_ms=round(percentile(pooled, 95), 3),
        p99_ms=round(percentile(pooled, 99), 3),
        lag_p99_ms=round(max(each.lag_p99_ms for each in rounds), 3),
        rss_max_mb=round(max(each.rss_max_mb for each in rounds), 1),
        p99_ms_by_round=[round(percentile(each.latencies_ms, 99), 3) for each in rounds],
    )


def show(figures: Figures) -> None:
    console = Console()
    table = Table("", "p50 ms", "p95", "p99", "p99 by round", "lag p99", "RSS max MB")
    for name, kind in ((_WITHOUT, figures.without), (_BESIDE, figures.beside)):
        by_round = " ".join(f"{each:.1f}" for each in kind.p99_ms_by_round)
        latencies = (f"{each:.2f}" for each in (kind.p50_ms, kind.p95_ms, kind.p99_ms))
        table.add_row(name, *latencies, by_round, f"{kind.lag_p99_ms:.2f}", f"{kind.rss_max_mb:.0f}")
    console.print(table)
    console.print(
        "From hook to merchant.\n"
        f"p99 beside / without: {figures.ratio_of_rounds:.2f} (median of rounds), {figures.ratio_pooled:.2f} (pooled); "
        f"asked: {RATIO_ASKED}, and {RSS_MB_ASKED} MB\n"
        f"The black hole, {figures.backlog} waiting: attempts {figures.hole_attempts}, breaker {figures.breaker}, "
        f"opened {figures.trips} times",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backlog", type=one_or_more, default=100_000, help="deliveries that wait for the black hole")
    parser.add_argument("--rounds", type=one_or_more, default=5, help="how often both are measured, in turn")
    parser.add_argument("--seconds", type=above_zero, default=20, help="of each round that are measured")
    parser.add_argument("--rate", type=above_zero, default=200, help="hooks a second, all merchants together")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    figures = uvloop.run(measure(arguments.backlog, arguments.rounds, arguments.seconds, arguments.rate))
    tell(figures, lambda: show(figures), as_json=arguments.json)
    sys.exit(0 if figures.kept else 1)


if __name__ == "__main__":
    command(main)
