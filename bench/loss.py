"""What is lost and what is doubled when the daemon is killed with SIGKILL, again and again, under load.

    python bench/loss.py [--kills 100] [--seed N] [--campaign 200] [--sabotage NAME] [--json]

A provider sends signed Stripe events, twelve at a time, each until it has had its 200 and now and then once more after
that. Three merchants check every signature and answer one request of ten with 500. Meanwhile the daemon is killed and
started again on the same database: at any moment, while a merchant has its request, and from within at named steps
(before and after a commit, before the answer to a hook, after a merchant's 2xx, before that is recorded). Each of these
moments has its turn, in an order that the seed decides. After the last kill a daemon runs to the end, until nothing is
waiting; then an auditor compares what the provider and the merchants noted with each other and with the database.

  acked        hooks that were answered 200: from then on they are ours
  lost         events that were acked and did not reach every merchant
  duplicated   events that a merchant got under more than one id, so that he would take them for more than one
  repeated     requests that a merchant got more than once under one id: what the id is for, and no mistake
  broken       all that the auditor found: the above, and each promise that only the database shows to be broken

A long run is made of campaigns: each has a fresh database, a seed of its own (that of the run, plus its number) and its
own audit, so that neither memory nor the audit grows with the number of kills. The directory of one in which something
was broken is kept, and `python -m tests.crash --kills … --seed …` repeats it. A kill takes about a second; Ctrl-C ends
a run early, and what was audited until then is reported.

To see that it would be found, `--sabotage` puts a mistake into the daemon: `ack-before-commit` loses events, and
`new-id-each-attempt` doubles them.

A run does not count, and nothing is reported, when less than ten hooks were acked for each kill, fewer requests reached
the merchants than hooks were acked, or a daemon hung. Exit code 1 when anything was lost, duplicated or broken.

What this does not show: SIGKILL ends a process, not a machine. What the kernel has been given survives it, so that a
forgotten fsync would not be found here.
"""

import argparse
import asyncio
import math
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.rig.command import command, one_or_more, tell
from tests.crash.daemon_under_fault import SABOTAGES
from tests.crash.harness import Report, crash

CONFIDENCE = 0.95
_BROKEN_MAX = 20
"""Lines that are kept of what is broken."""


class Campaign(NamedTuple):
    kills: int
    seed: int


def campaigns(kills: int, each: int, seed: int) -> list[Campaign]:
    """Of so many kills each, the last one of what is left."""
    return [Campaign(min(each, kills - first), seed + number) for number, first in enumerate(range(0, kills, each))]


class Figures(msgspec.Struct):
    """All campaigns together."""

    seed: int
    campaigns: int = 0
    kills: dict[str, int] = {}
    """By the moment at which they struck."""
    sent: int = 0
    """Events."""
    acked: int = 0
    duplicate_acks: int = 0
    """Of those: the event was known already."""
    requests: int = 0
    repeated: int = 0
    lost: int = 0
    duplicated: int = 0
    broken: int = 0
    broken_lines: list[str] = []
    """The first of them, with the seed of their campaign."""
    seconds: float = 0.0

    def add(self, report: Report) -> None:
        self.campaigns += 1
        self.kills = dict(Counter(self.kills) + report.kills)
        self.sent += report.sent
        self.acked += report.acked
        self.duplicate_acks += report.duplicate_acks
        self.requests += report.requests
        self.repeated += report.repeated_requests
        self.lost += report.lost
        self.duplicated += report.duplicated
        self.broken += len(report.broken)
        room = _BROKEN_MAX - len(self.broken_lines)
        self.broken_lines += [f"seed {report.seed}: {line}" for line in report.broken[:room]]

    @property
    def killed(self) -> int:
        return sum(self.kills.values())

    @property
    def kept(self) -> bool:
        return not (self.lost or self.duplicated or self.broken)


def measure(kills: int, each: int, seed: int, sabotage: str | None = None) -> Figures:
    """Raises SystemExit when the run does not count."""
    figures = Figures(seed)
    began = time.perf_counter()
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("starting", total=kills)

        def killed(moment: str) -> None:
            found = f"audited: {figures.acked} acked, {figures.lost} lost, {figures.duplicated} duplicated"
            progress.update(bar, advance=1, description=f"killed {moment}; {found}")

        with suppress(KeyboardInterrupt):
            for campaign in campaigns(kills, each, seed):
                figures.add(run(campaign, killed, sabotage))
    if not figures.campaigns:
        raise SystemExit("refused to report: the first campaign was not audited")
    figures.seconds = round(time.perf_counter() - began, 1)
    return figures


def run(campaign: Campaign, killed: Callable[[str], None], sabotage: str | None = None) -> Report:
    """Raises SystemExit when it does not count; its directory is kept then, and when something was broken."""
    directory = Path(tempfile.mkdtemp(prefix="webhookd-loss-"))
    try:
        report = asyncio.run(crash(directory, campaign.kills, campaign.seed, sabotage=sabotage, told=killed))
    except KeyboardInterrupt:
        shutil.rmtree(directory)
        raise
    except (AssertionError, TimeoutError) as error:
        raise SystemExit(
            f"refused to report: the campaign with seed {campaign.seed} broke off ({error!r}), see {directory}"
        ) from error
    if report.broken:
        print(f"seed {campaign.seed}: {len(report.broken)} promises broken, see {directory}", file=sys.stderr)
    else:
        shutil.rmtree(directory)
    if not report.enough:
        raise SystemExit(
            f"refused to report: {report.acked} hooks were acked and {report.requests} requests reached the merchants "
            f"in {campaign.kills} kills; that is too little to say anything"
        )
    return report


def likely_less_than_one_in(kills: int) -> int:
    """If none of so many kills lost anything: how many there are, with CONFIDENCE, for each that does, at least."""
    return math.floor(1 / -math.expm1(math.log(1 - CONFIDENCE) / kills))


def show(figures: Figures) -> None:
    table = Table("kills", "acked", "lost", "duplicated", "broken", "requests", "repeated")
    counts = (figures.killed, figures.acked, figures.lost, figures.duplicated, figures.broken)
    table.add_row(*(f"{count:,}" for count in (*counts, figures.requests, figures.repeated)))
    moments = ", ".join(f"{count} × {moment}" for moment, count in sorted(figures.kills.items()))
    lines = [
        f"Killed {moments}; campaigns: {figures.campaigns}, seed: {figures.seed}, took {figures.seconds:.0f} s",
        f"{figures.sent:,} events were sent, {figures.duplicate_acks:,} acks said that the event was known already",
        *(f"BROKEN  {line}" for line in figures.broken_lines),
    ]
    if figures.broken > len(figures.broken_lines):
        lines.append(f"… and {figures.broken - len(figures.broken_lines)} more")
    if figures.kept:
        lines.append(
            f"None of {figures.killed:,} kills lost or doubled anything: {CONFIDENCE:.0%} sure that fewer than one in "
            f"{likely_less_than_one_in(figures.killed):,} does"
        )
    console = Console()
    console.print(table)
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=one_or_more, default=100, help="thousands are fine; about a second each")
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**9), help="repeats the choices of a run"
    )
    parser.add_argument(
        "--campaign", type=one_or_more, default=200, metavar="KILLS", help="on one database, with one audit"
    )
    parser.add_argument("--sabotage", choices=SABOTAGES, help="put a mistake in, to see that it is found")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    figures = measure(arguments.kills, arguments.campaign, arguments.seed, arguments.sabotage)
    tell(figures, lambda: show(figures), as_json=arguments.json)
    sys.exit(0 if figures.kept else 1)


if __name__ == "__main__":
    command(main)
