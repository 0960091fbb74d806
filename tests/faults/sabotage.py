"""Whether the tests bite: each deliberate mistake is put into a copy of the project, and its test must turn red.

    python -m tests.faults.sabotage [--only TEXT] [--json]

Before that each of these tests is run on the copy as it is, and must be green. Exit code 1 when one is not caught.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.faults.sabotages import SABOTAGES, Sabotage

ROOT = Path(__file__).parents[2]
LEFT_OUT = (".git", ".venv", "__pycache__", "node_modules", "build", "dist", "data")
HANGS_S = 120.0
"""A test that a mistake makes hang has noticed it, too."""
NO_SUCH_TEST = (4, 5)
"""Exit codes of pytest."""
Verdict = Literal["caught", "NOT CAUGHT", "its test is red without it", "does not fit the code"]


class MisfitError(Exception):
    """The code has changed since the sabotage was written."""


class Tried(NamedTuple):
    sabotage: Sabotage
    verdict: Verdict


@contextmanager
def copied() -> Iterator[Path]:
    """A copy of the project, that may be broken."""
    with tempfile.TemporaryDirectory(prefix="webhookd-sabotage-") as directory:
        copy = Path(directory) / "project"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
        yield copy


@contextmanager
def applied(copy: Path, sabotage: Sabotage) -> Iterator[None]:
    """For as long. Raises MisfitError unless what is to be changed stands there once."""
    whole = {change.file: (copy / change.file).read_text(encoding="utf-8") for change in sabotage.changes}
    try:
        for change in sabotage.changes:
            text = (copy / change.file).read_text(encoding="utf-8")
            if (found := text.count(change.before)) != 1:
                raise MisfitError(f"{sabotage.name}: what is to be changed stands {found} times in {change.file}")
            (copy / change.file).write_text(text.replace(change.before, change.after), encoding="utf-8")
        yield
    finally:
        for name, text in whole.items():
            (copy / name).write_text(text, encoding="utf-8")


def passes(copy: Path, test: str) -> bool:
    """Raises LookupError when there is no such test."""
    command = [sys.executable, "-m", "pytest", "-x", "-n", "0", test]
    try:
        ended = subprocess.run(command, check=False, cwd=copy, capture_output=True, timeout=HANGS_S)
    except subprocess.TimeoutExpired:
        return False
    if ended.returncode in NO_SUCH_TEST:
        raise LookupError(f"{test}: there is no such test")
    return ended.returncode == 0


def tried(copy: Path, sabotage: Sabotage) -> Verdict:
    try:
        with applied(copy, sabotage):
            return "NOT CAUGHT" if passes(copy, sabotage.test) else "caught"
    except MisfitError:
        return "does not fit the code"


def try_all(sabotages: Sequence[Sabotage], console: Console) -> list[Tried]:
    tests = dict.fromkeys(each.test for each in sabotages)
    found = []
    with copied() as copy, Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(tests) + len(sabotages))
        red = set()
        for test in tests:
            progress.update(bar, description="as it is")
            if not passes(copy, test):
                red.add(test)
            progress.advance(bar)
        for sabotage in sabotages:
            progress.update(bar, description=sabotage.name)
            found.append(
                Tried(sabotage, "its test is red without it" if sabotage.test in red else tried(copy, sabotage))
            )
            progress.advance(bar)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.sabotage",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="those whose name holds it")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    chosen = [each for each in SABOTAGES if arguments.only in each.name]
    if not chosen:
        parser.error(f"no sabotage has {arguments.only!r} in its name")
    found = try_all(chosen, Console(stderr=True))
    caught = sum(each.verdict == "caught" for each in found)
    if arguments.json:
        rows = [{"sabotage": each.sabotage.name, "verdict": each.verdict, "test": each.sabotage.test} for each in found]
        print(json.dumps({"caught": caught, "tried": len(found), "sabotages": rows}))
    else:
        table = Table("sabotage", "", "by")
        for each in found:
            table.add_row(each.sabotage.name, each.verdict, each.sabotage.test.rpartition("::")[2])
        Console().print(table, f"{caught} of {len(found)} caught")
    return 0 if caught == len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
