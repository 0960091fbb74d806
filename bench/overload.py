"""What more hooks than can be taken do to those that are: ten times as many, storms of retries, 5,000 slow connections.

    python bench/overload.py [--seconds 10] [--rounds 2] [--times 1 2 5 10] [--slow 5000] [--json]

Signed Stripe events of 1 KiB come in, each of a payment of its own and every fiftieth a dispute, to one daemon with one
merchant who answers at once. What becomes of them is counted by those who send and by the merchant:

  the most         256 clients, each waiting for its answer: what can be taken (a closed loop). It is measured between
                   all others, since a machine's speed drifts: each is compared with the mean of those beside it
  1× 2× 5× 10×     so many times that, each hook sent when it is due, on a free connection or on another one (an open
                   loop, up to 7,000 connections, as of a proxy)
  told, at once    storms: twice as many as can be taken for as long, and who is refused comes again when he was told
                   to, until all are taken; 6,000 clients who come again as soon as they are refused
  all refused      somebody holds the lock of the database, so that nothing can be taken, and 64 clients come again at
                   once: what a refusal costs
  half             of what can be taken, alone, and then beside 5,000 connections that send heads or bodies byte by
                   byte, or are silent

The most, its multiples and the storms are measured in each round, and their medians shown; the others, once.

goodput   hooks that were answered 200 a second, the first second of each load left out, and as a share of the most
acked     how long that took (p99), from writing the hook
refused   503s a second; how many of them say when to come back, and how long they took (p99)
sent      requests a second that were really sent: a generator in Python sends some 20,000 a second, and that is printed
delivered hooks a second that reached the merchant while the load went on; the rest, afterwards
us each   the daemon's processor time for each that was taken, what it refused meanwhile included
disputes  from the 200 to the merchant (p99), and the same of all others

The daemon has half of the processors for itself, and all else shares the rest: load in a process of its own, and the
merchant. On two processors that is one for each, in all loads alike; the daemon alone would be faster on both.

A run does not count, and nothing is reported, when a hook that was acknowledged does not reach the merchant within a
minute, or the generator was too slow for half of a load. Exit code 1 when what is asked for is missed.
"""

import argparse
import asyncio
import os
import statistics
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.rig import flood, slow
from bench.rig.apart import apart
from bench.rig.command import above_zero, command, one_or_more, tell
from bench.rig.daemon import Running, daemon, database_of, workplace
from bench.rig.flood import Flood, Flooded
from bench.rig.merchant import listen, port_of
from bench.rig.overloaded_shop import Shop
from bench.rig.promise import Promise, asked_and_found, at_least, at_most, none
from bench.rig.slow import Slow, Slowed
from bench.rig.steady import percentile
from webhookd.store.sqlite.connection import open_alone

TIMES = (1.0, 2.0, 5.0, 10.0)
CLIENTS = 256
STORM, IMPATIENT = 2.0, 6_000
"""How many times the most comes in a storm; and how many come again at once."""
SLOW_LOAD = 0.5
MOST, STORM_TOLD, STORM_AT_ONCE = "the most", "storm, told", "storm, at once"
ALONE, BESIDE = "half, alone", "half, beside"
WARM_UP_S, SECONDS_MIN = 1.0, 3.0
CROWD, CROWD_S = 320, 2.0
"""More than are taken in at one time; and until those who come are refused, because of those who wait."""
REFUSED, REFUSED_S, REFUSED_MIN = 64, 1.5, 500
SLOW_S_MIN = 20.0
"""Longer than any slow connection may live."""
GOODPUT_ASKED, RSS_MB_ASKED, FILES_MORE_ASKED = 0.9, 250.0, 16
REFUSAL_US_ASKED, DISPUTE_MS_ASKED, SLOW_P99_MS_ASKED = 100.0, 1_000.0, 100.0
_ARRIVAL_S_MAX = 60.0


class Under(msgspec.Struct):
    """What was found under one load. Rates are per second."""

    load: str
    asked_per_s: float
    sent_per_s: float
    goodput: float
    of_most: float
    """The goodput, as a share of the mean of the most just before and just after."""
    acked_p99_ms: float
    refused_per_s: float
    refused_p99_ms: float
    told: float
    """The share of the refused who were told when to come back."""
    lost_answers: int
    """Connections that ended without one, other answers than 200 and 503, and none at all."""
    no_connection: int
    """Of those that were due: none was free to send them."""
    too_late: int
    """Of those that were due: the generator was too slow."""
    delivered_per_s: float
    dispute_p99_ms: float
    other_p99_ms: float
    daemon_us: float
    """Of processors, for each that was taken, until it was delivered; what was refused is in it."""
    seconds_to_all: float
    """From the last new hook until each was taken, where they come again."""
    rss_mb: float


class Figures(msgspec.Struct):
    most_per_s: float
    """The median."""
    loads: list[Under]
    """Of each, its rounds together."""
    refusal_us: float
    """Of the daemon's processor time."""
    rss_at_rest_mb: float
    rss_max_mb: float
    files_before: int
    files_after: int
    taken: int
    slow: Slowed


class Bench:
    """All loads go to one daemon. Raises SystemExit when one of them does not count."""

    def __init__(self, running: Running, shop: Shop, config: Path, seconds: float) -> None:
        self.running, self._shop, self._config = running, shop, config
        self._seconds = seconds
        self._parts = count()
        self.most_per_s = 0.0
        """As it was last."""
        self.taken = 0

    async def most(self) -> Under:
        found = await self._flood(MOST, clients=CLIENTS)
        self.most_per_s = found.goodput
        return found

    async def times(self, times: float) -> Under:
        return await self._flood(f"{times:g}×", per_s=times * self.most_per_s)

    async def storm_told(self) -> Under:
        return await self._flood(STORM_TOLD, per_s=STORM * self.most_per_s, again="when told")

    async def storm_at_once(self) -> Under:
        return await self._flood(STORM_AT_ONCE, clients=IMPATIENT, again="at once")

    async def refusal_us(self) -> float:
        """What a refusal costs the daemon, while it does nothing else."""
        waiting = asyncio.ensure_future(apart(flood.MODULE, self._asked(CROWD_S + REFUSED_S, clients=CROWD), Flooded))
        with locked(database_of(self._config)):
            await asyncio.sleep(CROWD_S)
            used_s = self.running.processor_s()
            asked = self._asked(REFUSED_S, clients=REFUSED, again="at once")
            found = await apart(flood.MODULE, asked, Flooded)
            used_s = self.running.processor_s() - used_s
        for each in (found, await waiting):
            await self._all_arrive(each)
        if len(found.refused_at) < REFUSED_MIN:
            raise SystemExit(f"refused to report: of what could not be taken only {len(found.refused_at)} were refused")
        return 1e6 * used_s / len(found.refused_at)

    async def beside_slow_ones(self, connections: int) -> tuple[list[Under], Slowed]:
        seconds = max(SLOW_S_MIN, self._seconds)
        alone = await self._flood(ALONE, seconds=self._seconds, per_s=SLOW_LOAD * self.most_per_s)
        slowing = asyncio.ensure_future(apart(slow.MODULE, Slow(self.running.port, connections, seconds + 5), Slowed))
        try:
            await asyncio.sleep(5)  # until they are there
            beside = await self._flood(BESIDE, seconds=seconds, per_s=SLOW_LOAD * self.most_per_s)
        finally:
            slowed = await slowing
        return [alone, beside], slowed

    def _asked(self, seconds: float, **load: Any) -> Flood:
        return Flood(self.running.port, run="x", first=1_000_000 * next(self._parts), seconds=seconds, **load)

    async def _flood(self, load: str, seconds: float = 0, **how: Any) -> Under:
        asked = self._asked(seconds or self._seconds, **how)
        used_s = self.running.processor_s()
        found = await apart(flood.MODULE, asked, Flooded)
        rss_mb = self.running.rss_mb()
        if found.too_late > found.hooks / 2:
            raise SystemExit(f"refused to report: {load} is more than the generator can send; is the machine busy?")
        await self._all_arrive(found)
        daemon_us = 1e6 * (self.running.processor_s() - used_s) / len(found.taken)
        return self._under(load, asked, found, rss_mb, daemon_us)

    async def _all_arrive(self, found: Flooded) -> None:
        self.taken += len(found.taken)
        missing = await self._shop.missing([number for number, _, _ in found.taken], _ARRIVAL_S_MAX)
        if missing:
            raise SystemExit(f"refused to report: {missing} hooks that were answered 200 did not reach their merchant")

    def _under(self, load: str, asked: Flood, found: Flooded, rss_mb: float, daemon_us: float) -> Under:
        began, ended = found.began + WARM_UP_S, found.ended
        span_s = ended - began
        taken = [each for each in found.taken if began <= each[1] < ended]
        goodput = len(taken) / span_s
        refused = [ms for at, ms in zip(found.refused_at, found.refused_ms, strict=True) if began <= at < ended]
        way_ms = {
            is_dispute: [
                1_000 * (self._shop.arrived_at[number] - at)
                for number, at, _ in taken
                if (number % flood.DISPUTES_EVERY == 0) == is_dispute
            ]
            for is_dispute in (True, False)
        }
        return Under(
            load=load,
            asked_per_s=asked.per_s,
            sent_per_s=found.sent / (ended - found.began),
            goodput=goodput,
            of_most=1.0,
            acked_p99_ms=p99([ms for _, _, ms in taken]),
            refused_per_s=len(refused) / span_s,
            refused_p99_ms=p99(refused),
            told=found.told / len(found.refused_at) if found.refused_at else 1.0,
            lost_answers=found.cut + found.unanswered + len(found.odd),
            no_connection=found.no_connection,
            too_late=found.too_late,
            delivered_per_s=self._shop.between(began, ended) / span_s,
            dispute_p99_ms=p99(way_ms[True]),
            other_p99_ms=p99(way_ms[False]),
            daemon_us=daemon_us,
            seconds_to_all=found.over - found.ended,
            rss_mb=rss_mb,
        )


def p99(values: Sequence[float]) -> float:
    return percentile(values, 99) if len(values) > 1 else 0.0


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Nobody can write to it meanwhile."""
    holder = open_alone(database)
    try:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")
    finally:
        holder.close()


def halves(processors: Sequence[int]) -> tuple[set[int], set[int]]:
    """The daemon's, and those of all else."""
    middle = max(1, len(processors) // 2)
    return set(processors[:middle]), set(processors[middle:] or processors)


async def measure(seconds: float, rounds: int, times: Sequence[float], connections: int) -> Figures:
    """Raises SystemExit when the run does not count."""
    shop = Shop()
    server = await listen(shop)
    endpoint = f'[endpoints.shop]\nurl = "http://127.0.0.1:{port_of(server)}/"\nmax_in_flight = 64'
    its, others = halves(sorted(os.sched_getaffinity(0)))
    console = Console(stderr=True)
    bars = Progress(console=console, transient=True, disable=not console.is_terminal)
    try:
        with workplace(endpoint) as config, bars as progress:
            bar = progress.add_task(MOST, total=2 * rounds * (len(times) + 2) + 4)
            async with daemon(config) as running:
                running.stay_on(its)
                os.sched_setaffinity(0, others)
                bench = Bench(running, shop, config, seconds)

                def now(what: str) -> None:
                    progress.update(bar, advance=1, description=what)

                return await measure_all(bench, rounds, times, connections, now)
    finally:
        server.close()


async def measure_all(
    bench: "Bench", rounds: int, times: Sequence[float], connections: int, now: Callable[[str], None]
) -> Figures:
    running = bench.running
    most = [await bench.most()]
    rss_at_rest_mb, files_before = running.rss_mb(), running.files()
    heavy_loads: list[Callable[[], Awaitable[Under]]] = [partial(bench.times, each) for each in times]
    heavy_loads += [bench.storm_told, bench.storm_at_once]
    heavy: dict[str, list[Under]] = {}
    for _ in range(rounds):
        for load in heavy_loads:
            now("more than the most")
            under = await load()
            now(MOST)
            most.append(await bench.most())
            under.of_most = of_those_beside(most, under)
            heavy.setdefault(under.load, []).append(under)
    now("all are refused")
    refusal_us = await bench.refusal_us()
    now("slow connections")
    beside, slowed = await bench.beside_slow_ones(connections)
    now(MOST)
    most.append(await bench.most())  # by its end all who were slow are gone
    for under in beside:
        under.of_most = of_those_beside(most, under)
    return Figures(
        most_per_s=statistics.median(each.goodput for each in most),
        loads=[together(most), *(together(each) for each in heavy.values()), *beside],
        refusal_us=refusal_us,
        rss_at_rest_mb=rss_at_rest_mb,
        rss_max_mb=running.rss_max_mb(),
        files_before=files_before,
        files_after=running.files(),
        taken=bench.taken,
        slow=slowed,
    )


def of_those_beside(most: Sequence[Under], under: Under) -> float:
    """Its goodput, as a share of the last two: they were measured just before and just after."""
    return under.goodput / statistics.mean(each.goodput for each in most[-2:])


def together(rounds: Sequence[Under]) -> Under:
    """Medians; but none of what must not happen is lost, nor the longest wait."""
    how: dict[str, Callable[[list[float]], float]] = {"told": min}
    how |= dict.fromkeys(("lost_answers", "no_connection", "too_late"), sum)
    how |= dict.fromkeys(("dispute_p99_ms", "seconds_to_all", "rss_mb"), max)
    names = [name for name in Under.__struct_fields__ if name != "load"]
    found = {name: how.get(name, statistics.median)([getattr(each, name) for each in rounds]) for name in names}
    return Under(load=rounds[0].load, **found)  # type: ignore[arg-type]


def promises(figures: Figures) -> list[Promise]:
    heavy = [each for each in figures.loads if each.load not in (MOST, ALONE, BESIDE)]
    beside = next(each for each in figures.loads if each.load == BESIDE)
    over = [each for each in heavy if each.asked_per_s > 1.5 * figures.most_per_s or not each.asked_per_s]
    return [
        *(at_least(f"goodput of {each.load}, of the most", each.of_most, GOODPUT_ASKED) for each in over),
        at_least("share of the refused who are told when to come back", min(each.told for each in figures.loads), 1.0),
        at_most("what a refusal costs", figures.refusal_us, REFUSAL_US_ASKED, "us"),
        none("connections without their answer", sum(each.lost_answers for each in figures.loads)),
        at_most("p99 of disputes, from the 200", max(each.dispute_p99_ms for each in heavy), DISPUTE_MS_ASKED, "ms"),
        at_most("memory", figures.rss_max_mb, RSS_MB_ASKED, "MB"),
        at_least("goodput beside slow connections, of what came", beside.goodput / beside.asked_per_s, 0.99),
        at_most("p99 of acks beside slow connections", beside.acked_p99_ms, SLOW_P99_MS_ASKED, "ms"),
        at_most("descriptors more than before", figures.files_after - figures.files_before, FILES_MORE_ASKED),
    ]


def show(figures: Figures, asked: Sequence[Promise]) -> None:
    table = Table(
        Column("", no_wrap=True),
        *("sent/s", "goodput/s", "of most", "acked p99 ms", "refused/s", "told", "p99 ms", "delivered/s"),
        *("disputes p99 ms", "others", "us each", "MB"),
    )
    for each in figures.loads:
        table.add_row(
            each.load,
            *(f"{each.sent_per_s:.0f}", f"{each.goodput:.0f}", f"{each.of_most:.2f}", f"{each.acked_p99_ms:.0f}"),
            *(f"{each.refused_per_s:.0f}", f"{each.told:.0%}", f"{each.refused_p99_ms:.0f}"),
            *(f"{each.delivered_per_s:.0f}", f"{each.dispute_p99_ms:.0f}", f"{each.other_p99_ms:.0f}"),
            *(f"{each.daemon_us:.0f}", f"{each.rss_mb:.0f}"),
        )
    console = Console()
    console.width = max(console.width, 130)
    console.print(table)
    told = next(each for each in figures.loads if each.load == STORM_TOLD)
    unsent = ", ".join(
        f"{each.load}: {each.no_connection} and {each.too_late}"
        for each in figures.loads
        if each.no_connection or each.too_late
    )
    lived = ", ".join(f"{kind} {seconds:.1f} s" for kind, seconds in figures.slow.lived_s.items())
    console.print(
        f"The most: {figures.most_per_s:.0f}/s, the median. {figures.taken} hooks were taken and delivered.\n"
        f"A refusal takes {figures.refusal_us:.0f} us of the daemon's time. "
        f"After the storm all were taken within {told.seconds_to_all:.1f} s.\n"
        f"Hooks that were due and not sent (no connection was free; the generator was too slow): {unsent or 'none'}\n"
        f"Memory: {figures.rss_at_rest_mb:.0f} MB after the first load, {figures.rss_max_mb:.0f} MB at most. "
        f"Descriptors: {figures.files_before} before, {figures.files_after} after.\n"
        f"Slow connections: at least {figures.slow.held} at a time, {figures.slow.cut} were cut; the oldest: {lived}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    console.print(asked_and_found(asked))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=above_zero, default=10, help="of each load")
    parser.add_argument("--rounds", type=one_or_more, default=2, help="how often each is measured")
    parser.add_argument(
        "--times", type=above_zero, nargs="+", default=TIMES, metavar="N", help="of the most that is taken"
    )
    parser.add_argument("--slow", type=one_or_more, default=5_000, help="slow connections")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    if arguments.seconds < SECONDS_MIN:
        parser.error(f"--seconds: at least {SECONDS_MIN:g}")
    figures = uvloop.run(measure(arguments.seconds, arguments.rounds, arguments.times, arguments.slow))
    asked = promises(figures)
    tell({"figures": figures, "promises": asked}, lambda: show(figures, asked), as_json=arguments.json)
    sys.exit(0 if all(each.kept for each in asked) else 1)


if __name__ == "__main__":
    command(main)
