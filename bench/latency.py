"""How long a hook takes to its merchant at several rates, to the last percentile: an open loop, from the planned time.

    python bench/latency.py [--rates 100 200 500 1000] [--seconds 20] [--rounds 3] [--picture latency.png] [--json]

Signed Stripe events of 1 KiB come in at a rate, to a fresh daemon with one merchant who answers at once. Each rate has
its turn in each round, slowest first in one round and fastest first in the next; the first seconds are not counted.

  delivered   from when a hook was due to be sent until its merchant has all of the event
  acked       from when it was due until its 200, which is after the fsync

Hooks come as those of many customers do, who do not know of one another: the gaps between them are random (a Poisson
process, the same in each run with one `--seed`), so that now and then several come at once; `--evenly` spaces them
alike. No hook waits for the one before, and the clock starts when a hook was *planned* to be sent: neither a slow
server nor a late generator can make latencies look shorter than somebody who waits for his order would find them
(there is no coordinated omission). How late the generator was is printed, and is part of every figure; as load and
merchant share one process, the merchant notices about as late. Percentiles are of all that was measured, without
buckets.

A run does not count, and nothing is reported, when a hook was not answered 200, an event did not reach its merchant,
or the load was not sent on time. Exit code 1 when the p99 of what was delivered is longer than is asked: 8 ms at 200
events a second, 25 ms at 500. Of other rates nothing is asked.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.rig import hooks, picture
from bench.rig.command import above_zero, command, new_file, one_or_more, tell
from bench.rig.daemon import daemon, workplace
from bench.rig.merchant import Witness, listen, port_of
from bench.rig.promise import Promise, asked_and_found, at_most
from bench.rig.steady import Arrivals, SteadyLoad, evenly, percentile, poisson

RATES = (100.0, 200.0, 500.0, 1000.0)
P99_MS_ASKED: Mapping[float, float] = {200.0: 8.0, 500.0: 25.0}
"""Of what is delivered, by hooks a second."""
WARM_UP_S = 2.0
SECONDS_MAX = 240.0
"""Hooks are signed before the first is sent, and a signature is good for five minutes."""
_ARRIVAL_S_MAX = 30.0


class Round(msgspec.Struct):
    """One daemon's, at one rate."""

    delivered_ms: list[float]
    acked_ms: list[float]
    lag_p99_ms: float


class Percentiles(msgspec.Struct):
    """In milliseconds."""

    p50: float
    p90: float
    p95: float
    p99: float
    p99_9: float
    max: float


class Figures(msgspec.Struct):
    """All rounds of one rate."""

    per_s: float
    hooks: int
    """That were measured."""
    delivered: Percentiles
    acked: Percentiles
    lag_p99_ms: float
    """The worst round's."""
    p99_ms_by_round: list[float]
    """Of what was delivered."""


async def measure(
    rates: Sequence[float], rounds: int, seconds: float, arrivals: Sequence[Arrivals]
) -> dict[float, list[Round]]:
    """Round n has arrivals n. Raises SystemExit when a round does not count."""
    done: dict[float, list[Round]] = {rate: [] for rate in sorted(rates)}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("measuring", total=rounds * len(done))
        for number in range(rounds):
            for rate in sorted(done, reverse=number % 2 == 1):
                progress.update(bar, description=f"{rate:g} a second")
                done[rate].append(await measure_round(rate, seconds, arrivals[number]))
                progress.advance(bar)
    return done


async def measure_round(rate: float, seconds: float, arrivals: Arrivals) -> Round:
    """Raises SystemExit when it does not count."""
    count, now_s = round((WARM_UP_S + seconds) * rate), int(time.time())
    load = SteadyLoad([hooks.request(hooks.body(n, "load", now_s), now_s) for n in range(count)], rate, arrivals)
    shop = Witness(count)
    server = await listen(shop)
    try:
        endpoint = f'[endpoints.shop]\nurl = "http://127.0.0.1:{port_of(server)}/"'
        with workplace(endpoint) as config:
            async with daemon(config) as running:
                await load.run("127.0.0.1", running.port)
                lag_p99_ms = load.judged()
                await shop.sees_all(_ARRIVAL_S_MAX)
    finally:
        server.close()
    warm = range(round(WARM_UP_S * rate), count)
    return Round(
        delivered_ms=[1_000 * (shop.arrived_at[n] - load.due_at[n]) for n in warm],
        acked_ms=[1_000 * (load.answered_at[n] - load.due_at[n]) for n in warm],
        lag_p99_ms=lag_p99_ms,
    )


def figures(per_s: float, rounds: Sequence[Round]) -> Figures:
    delivered_ms = [ms for each in rounds for ms in each.delivered_ms]
    return Figures(
        per_s=per_s,
        hooks=len(delivered_ms),
        delivered=_percentiles(delivered_ms),
        acked=_percentiles([ms for each in rounds for ms in each.acked_ms]),
        lag_p99_ms=round(max(each.lag_p99_ms for each in rounds), 3),
        p99_ms_by_round=[round(percentile(each.delivered_ms, 99), 3) for each in rounds],
    )


def promises(found: Sequence[Figures]) -> list[Promise]:
    """Of the rates of which something is asked."""
    return [
        at_most(f"p99 of what is delivered at {each.per_s:g}/s", each.delivered.p99, P99_MS_ASKED[each.per_s], "ms")
        for each in found
        if each.per_s in P99_MS_ASKED
    ]


def _percentiles(ms: Sequence[float]) -> Percentiles:
    p50, p90, p95, p99, p99_9 = (round(percentile(ms, percent), 3) for percent in (50, 90, 95, 99, 99.9))
    return Percentiles(p50, p90, p95, p99, p99_9, round(max(ms), 3))


def show(found: Sequence[Figures], asked: Sequence[Promise]) -> None:
    table = Table("events/s", Column("", no_wrap=True), "p50 ms", "p90", "p95", "p99", "p99.9", "max")
    lines = []
    for each in found:
        for name, per_s, kind in (("delivered", f"{each.per_s:g}", each.delivered), ("acked", "", each.acked)):
            table.add_row(per_s, name, *(f"{ms:.2f}" for ms in msgspec.structs.astuple(kind)))
        table.add_section()
        by_round = " ".join(f"{ms:.1f}" for ms in each.p99_ms_by_round)
        lines.append(
            f"{each.per_s:g}/s: {each.hooks} hooks, sent {each.lag_p99_ms:.2f} ms late (p99); "
            f"p99 of what was delivered, by round: {by_round}"
        )
    console = Console()
    console.print(table)
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    if asked:
        console.print(asked_and_found(asked))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=above_zero, nargs="+", default=RATES, metavar="RATE", help="hooks a second")
    parser.add_argument("--seconds", type=above_zero, default=20, help="of each rate in each round that are measured")
    parser.add_argument("--rounds", type=one_or_more, default=3, help="how often all rates are measured, in turn")
    parser.add_argument("--seed", type=int, default=1, help="of the gaps between hooks")
    parser.add_argument("--evenly", action="store_true", help="space the hooks alike")
    parser.add_argument("--picture", type=new_file, metavar="FILE", help="draw each rate's percentiles into this PNG")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    if arguments.seconds > SECONDS_MAX:
        parser.error(f"--seconds: a signature is good for five minutes, so {SECONDS_MAX:g} at most")
    rounds = range(arguments.rounds)
    arrivals = [evenly if arguments.evenly else poisson(arguments.seed + number) for number in rounds]
    done = uvloop.run(measure(arguments.rates, arguments.rounds, arguments.seconds, arrivals))
    found = [figures(rate, each) for rate, each in done.items()]
    asked = promises(found)
    tell({"rates": found, "promises": asked}, lambda: show(found, asked), as_json=arguments.json)
    if arguments.picture is not None:
        drawn = {f"{rate:g}/s": [ms for each in done[rate] for ms in each.delivered_ms] for rate in done}
        arguments.picture.write_bytes(picture.percentiles(drawn, "From hook to merchant, by events a second"))
    sys.exit(0 if all(each.kept for each in asked) else 1)


if __name__ == "__main__":
    command(main)
