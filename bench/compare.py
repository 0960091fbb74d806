"""What the old way loses and webhookd does not: the same payments, the same deploys and crashes, one after the other.

    python bench/compare.py [--seconds 45] [--rate 100] [--deploys 3] [--crashes 3] [--seed N] [--side all] [--json]

A provider has payments at a steady rate (an open loop), and two or three signed Stripe events of each; what is not
answered 2xx is sent again with growing waits, as Stripe does. Three merchants check signatures and count what they get.
Meanwhile

  deploys   SIGTERM; the next process starts when this one has ended, or was killed because it had not after 10 s
  crashes   SIGKILL, and the next process
  down      one merchant answers 503 for a third of the time
  slow      another one takes a second to answer for a fifth of it

at times that the seed decides: the same for all. Three ways are compared:

  old       `bench/old_architecture.py`: it takes the hooks, and has a queue in memory
  webhookd  takes the hooks
  outbox    an application, `bench/comparison/shop.py`, makes the payments itself, and commits with each the event that
            webhookd takes from its database; faults strike the one and the other in turn

A webhook is lost when it was answered 2xx and some merchant never gets it. Latency is from when a hook was due until
a merchant has it; what is lost counts as never, so that losing the slow ones makes nobody faster. At the end there is
time for as long as anything still comes; then `webhookd verify` looks at the log.

With all of them the figures and their pictures also make a page, build/compare/report.html, that stands alone.

A run does not count, and nothing is reported, when too few hooks were answered 2xx, when they were sent late, or when a
merchant got something that was not signed. Exit code 1 when webhookd lost something, or when the old way lost nothing:
then the load has proved nothing. Nor does it count when the application's payments and the events in the log differ.
"""

import argparse
import random
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import uvloop
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Column, Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.comparison.merchants import NAMES
from bench.comparison.report import Comparison, rows, write
from bench.comparison.run import MakeSide, run
from bench.comparison.sides import OldWay, Outbox, Webhookd
from bench.comparison.tally import Run
from bench.comparison.trouble import draw
from bench.rig.command import above_zero, command, tell
from bench.rig.machine import machine

SIDES: Mapping[str, MakeSide] = {OldWay.name: OldWay, Webhookd.name: Webhookd, Outbox.name: Outbox}
CHOICES = {"all": [*SIDES], "old": [OldWay.name], "webhookd": [Webhookd.name], "outbox": [Outbox.name]}
REPORT = Path(__file__).resolve().parents[1] / "build" / "compare"
PACKAGES = ("webhookd", "aiohttp", "uvloop")


def compare(names: list[str], seed: int, seconds: float, per_s: float, deploys: int, crashes: int) -> Comparison:
    """Raises SystemExit when a run does not count."""
    trouble = draw(random.Random(seed), seconds, NAMES, deploys, crashes)
    console, runs = Console(stderr=True), dict[str, Run]()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for name in names:
            told = partial(_tell, progress, progress.add_task(name, total=seconds), name)
            runs[name] = uvloop.run(run(SIDES[name], trouble, seed, seconds, per_s, told))
    return Comparison(seed, seconds, per_s, trouble, machine(*PACKAGES), runs)


def _tell(progress: Progress, bar: TaskID, name: str, over_s: float, what: str) -> None:
    progress.update(bar, completed=over_s, description=f"{name}: {what}")


def faults(runs: Mapping[str, Run]) -> list[str]:
    """Why this is no success; nothing if it is one."""
    found = []
    if OldWay.name in runs and not runs[OldWay.name].tally.lost:
        found.append("the old way lost nothing: this load has proved nothing (more --crashes, a longer --seconds)")
    found += [
        f"{name} has lost webhooks that were answered 200"
        for name, run in runs.items()
        if name != OldWay.name and run.tally.lost
    ]
    return found


def show(comparison: Comparison) -> None:
    table = Table(Column("", no_wrap=True), *(Column(name, justify="right") for name in comparison.runs))
    for row in rows(comparison.runs):
        table.add_row(row.name, *row.values, style="bold" if row.is_point else None)
    console = Console()
    console.print(table)
    console.print(comparison.summary, highlight=False, markup=False, soft_wrap=True)
    if comparison.runs.keys() - {OldWay.name}:
        console.print("webhookd verify found nothing wrong with what it has kept.")
    if Outbox.name in comparison.runs:
        console.print("Of the application's own payments each has its event in the log, and each event its payment.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=above_zero, default=45, help="of load, on each side")
    parser.add_argument(
        "--rate", type=above_zero, default=100, help="payments a second; 2.5 hooks each, for 3 merchants each"
    )
    parser.add_argument("--deploys", type=int, default=3, help="SIGTERMs")
    parser.add_argument("--crashes", type=int, default=3, help="SIGKILLs")
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**6), help="repeats a run's choices"
    )
    parser.add_argument("--side", choices=CHOICES, default="all", help="one alone is measured without a report")
    parser.add_argument(
        "--report", type=Path, default=REPORT, metavar="DIRECTORY", help="where the page and pictures go"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    comparison = compare(
        CHOICES[arguments.side],
        arguments.seed,
        arguments.seconds,
        arguments.rate,
        arguments.deploys,
        arguments.crashes,
    )
    page = write(comparison, arguments.report) if arguments.side == "all" else None
    tell({**comparison.as_json(), "report": page and str(page)}, lambda: show(comparison), as_json=arguments.json)
    for fault in (found := faults(comparison.runs)):
        print(fault, file=sys.stderr)
    if page and not arguments.json:
        print(f"\nreport: {page}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    command(main)
