"""The real daemon, by a clock that can be set: the wall clock is so many milliseconds ahead as the file says.

    python -m tests.faults.jepsen.daemon --clock FILE [--sabotage NAME] serve …

`webhookd.clock` is the only reader of time, so this is what a clock that jumps is to it. libfaketime would do the same
to the whole process, which starts three times as slowly under it: Python's threads wait for their lock through it.
"""

import argparse
import mmap
import sys
from functools import partial
from pathlib import Path
from unittest.mock import patch

from tests.crash.daemon_under_fault import SABOTAGES, Faults, Hang, Killer
from tests.faults.jepsen.surroundings import AHEAD_MS
from webhookd.cli.app import main
from webhookd.clock import SystemClock
from webhookd.daemon import Daemon


class ClockThatIsSet(SystemClock):
    def __init__(self, file: Path) -> None:
        with file.open("rb") as opened:
            self._shared = mmap.mmap(opened.fileno(), AHEAD_MS.size, access=mmap.ACCESS_READ)

    def now_ms(self) -> int:
        (ahead_ms,) = AHEAD_MS.unpack_from(self._shared)
        return super().now_ms() + int(ahead_ms)


def run() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clock", type=Path, required=True)
    parser.add_argument("--sabotage", choices=SABOTAGES)
    own, sys.argv[1:] = parser.parse_known_args()
    seams = None if own.sabotage is None else Faults(Killer(None, 0), own.sabotage, Hang("", ""))
    with patch("webhookd.cli.start.Daemon", partial(Daemon, clock=ClockThatIsSet(own.clock), seams=seams)):
        main()


if __name__ == "__main__":
    run()
