"""kill -9 under load, and the auditor's verdict.

    python -m tests.crash --kills 100 [--store postgres] [--seed N] [--json]

On PostgreSQL the server is killed, too, in its turn.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.progress import Progress

from tests.crash.daemon_under_fault import SABOTAGES
from tests.crash.grounds import StoreName, ground
from tests.crash.harness import crash


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.crash", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**9), help="repeats a run's choices"
    )
    parser.add_argument("--store", choices=get_args(StoreName), default="sqlite", help="postgres: a server of its own")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="put a mistake in, to see that it is found")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    console = Console(stderr=True)
    with (
        tempfile.TemporaryDirectory(prefix="webhookd-crash-") as directory,
        ground(arguments.store) as own,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        bar = progress.add_task("killing", total=arguments.kills)
        report = asyncio.run(
            crash(
                Path(directory),
                arguments.kills,
                arguments.seed,
                sabotage=arguments.sabotage,
                ground=own,
                told=lambda moment: progress.update(bar, advance=1, description=f"killed {moment}"),
            )
        )
    if arguments.json:
        print(json.dumps({**report._asdict(), "enough": report.enough}))
    else:
        where = ", ".join(f"{count} × {moment}" for moment, count in sorted(report.kills.items()))
        print(f"{sum(report.kills.values())} kills (seed {report.seed}): {where}")
        print(
            f"{report.sent} events sent, {report.acked} acks ({report.duplicate_acks} duplicates); "
            f"{report.requests} requests to 3 merchants, {report.repeated_requests} of them repeated"
        )
        for line in report.broken[:20]:
            print(f"BROKEN  {line}")
        print(
            f"{report.lost} lost, {report.duplicated} duplicated, "
            + (f"{len(report.broken)} promises broken" if report.broken else "every id and body the same")
        )
    sys.exit(1 if report.broken or not report.enough else 0)


if __name__ == "__main__":
    main()
