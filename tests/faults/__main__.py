"""Every fault in earnest, and a report of it: `python -m tests.faults [--seed N] [--report FILE] [pytest's own …]`."""

import argparse
import random
import sys

import pytest

MADE_UP = random.SystemRandom().randrange(2**31)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=MADE_UP, help="repeats a run's choices; made up when not given")
    parser.add_argument("--report", default="build/torture", help="written as FILE.md and FILE.json")
    own, rest = parser.parse_known_args()
    seed = ["--seed", str(own.seed), "--hypothesis-seed", str(own.seed)]
    print(f"seed {own.seed}", file=sys.stderr)
    return pytest.main(["-m", "fault", "--torture", *seed, "--report", own.report, *rest])


if __name__ == "__main__":
    sys.exit(main())
