"""Everything at once: kills, pauses, disk, clock, network and reloads under load, then the audit of all that was seen.

    python -m tests.faults.jepsen [--nodes 3] [--seconds N] [--rate R] [--seed S] [--soak] [--json]

With nodes there are so many of them, on one PostgreSQL, each in a network of its own; else one daemon, on SQLite.

Exit code 1 when a promise was broken, or when too little succeeded for the run to say anything.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
from collections import Counter
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tests.crash.daemon_under_fault import SABOTAGES
from tests.faults.jepsen import soak
from tests.faults.jepsen.history import History
from tests.faults.jepsen.invariants import summary
from tests.faults.jepsen.nemesis import PATIENT, STEADY
from tests.faults.jepsen.nodes.rules import checked
from tests.faults.jepsen.nodes.scenario import run_of_nodes
from tests.faults.jepsen.nodes.several import NODES
from tests.faults.jepsen.run import Report, run
from tests.faults.jepsen.sampling import sample
from tests.faults.jepsen.world import Load

BUILD = Path(__file__).parents[3] / "build"
SECONDS, SOAK_SECONDS = 120.0, 3600.0
RATE = 150.0
RATE_OF_NODES = 80.0
EVENTS_OF_A_PAYMENT = 4


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.jepsen",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nodes", type=int, choices=(1, len(NODES)), default=1, help="on PostgreSQL, if several")
    parser.add_argument("--seconds", type=float, help=f"of faults; {SECONDS:g}, of a soak {SOAK_SECONDS:g}")
    parser.add_argument("--rate", type=float, help=f"new hooks a second; {RATE:g}, of a soak half of what is possible")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**9), help="repeats the faults")
    parser.add_argument("--soak", action="store_true", help=f"judges what grows, and writes {BUILD.name}/soak.json")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="put a mistake in, to see that it is found")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    if arguments.soak and arguments.nodes > 1:
        parser.error("--soak is of one daemon")
    with (
        tempfile.TemporaryDirectory(prefix="webhookd-jepsen-") as directory,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_main(arguments, Path(directory)))


async def _main(arguments: argparse.Namespace, directory: Path) -> int:
    if (task := asyncio.current_task()) is not None:
        # As Ctrl-C does it: nothing is left running, or mounted.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    console = Console(stderr=True)
    seconds = arguments.seconds or (SOAK_SECONDS if arguments.soak else SECONDS)
    (place := directory / "run").mkdir()
    of_kind = _of_nodes if arguments.nodes > 1 else _of_one
    report, rate = await of_kind(arguments, place, seconds, console)
    found = {**report._asdict(), "rate": rate, "enough": report.enough, "broken": list(summary(report.broken))}
    found["grown"] = []
    if arguments.nodes > 1:
        found["checked"] = checked(Counter(each.invariant for each in report.broken))
    if arguments.soak:
        with closing(History(place / "history.db")) as history:
            found["grown"] = soak.growing(history, report.seconds)
            written = soak.write(history, found, BUILD)
        console.print(*(f"written: {file}" for file in written), sep="\n")
    if arguments.json:
        print(json.dumps(found))
    else:
        _say(report, found)
    return 1 if report.broken or found["grown"] or not report.enough else 0


async def _of_one(arguments: argparse.Namespace, place: Path, seconds: float, console: Console) -> tuple[Report, float]:
    """And at how many hooks a second."""
    rate, tempo, beside = arguments.rate or RATE, STEADY, [sample]
    if arguments.soak:
        (first := place.parent / "first").mkdir()
        rate = arguments.rate or await soak.half_of_capacity(first, arguments.seed)
        tempo, beside = PATIENT, [partial(sample, every_s=1.0), soak.sweep]
    load = Load(rate, soak.MONEY_ONE_IN, soak.RETENTION) if arguments.soak else Load(rate)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(f"seed {arguments.seed}", total=seconds)
        report = await run(
            place,
            arguments.seed,
            seconds,
            load,
            tempo,
            sabotage=arguments.sabotage,
            beside=beside,
            told=lambda at, what: progress.update(bar, completed=at, description=what),
        )
    return report, rate


async def _of_nodes(
    arguments: argparse.Namespace, place: Path, seconds: float, console: Console
) -> tuple[Report, float]:
    """The same, of several."""
    console.print(f"seed {arguments.seed}: {arguments.nodes} nodes for {seconds:g} s …")
    load = Load(arguments.rate or RATE_OF_NODES, of_a_payment=EVENTS_OF_A_PAYMENT)
    return await run_of_nodes(place, arguments.seed, seconds, load, STEADY, sabotage=arguments.sabotage), load.rate


def _say(report: Report, found: dict[str, Any]) -> None:
    faults = ", ".join(f"{times} × {kind}" for kind, times in sorted(report.faults.items()))
    print(f"{sum(report.faults.values())} faults in {report.seconds:g} s (seed {report.seed}): {faults}")
    if report.not_tried:
        print(f"NOT TRIED, for something is missing here: {', '.join(report.not_tried)}")
    print(
        f"{report.sent:,} events sent, {report.acked:,} acks ({report.duplicate_acks:,} duplicates), "
        f"{report.refused:,} times 503, {report.unanswered:,} times nothing; {report.lives} lives"
    )
    print(f"{report.requests:,} requests to merchants, {report.repeated_requests:,} of them repeated")
    if "checked" in found:
        print(f"{report.takeovers} times a node took an endpoint over", *found["checked"], sep="\n")
    for line in (*found["broken"], *found["grown"]):
        print(f"BROKEN  {line}")
    if not report.enough:
        print(f"too little succeeded to say anything; {report.wanted:,.0f} acks were wanted; no use: {report.missed}")
    print(f"{report.lost} lost, {report.doubled} doubled, {len(report.broken)} promises broken")


if __name__ == "__main__":
    sys.exit(main())
