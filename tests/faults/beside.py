"""Ends a process that opens the database beside SQLite: to close it again would drop SQLite's locks.

    python -m tests.faults.beside serve …

is webhookd, so watched. Python tells its audit hooks of each file that it opens; what SQLite opens it does not know.
"""

import os
import sys
import traceback
from pathlib import Path
from typing import Any

OPENED_BESIDE = 99
"""The exit code."""
_LOCKED = ("webhookd.db", "webhookd.db-shm")
"""SQLite has locks on these; a WAL it never locks."""


def watch() -> None:
    """From now on, for as long as the process lives."""
    sys.addaudithook(_heard)


def _heard(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    path = Path(os.fsdecode(arguments[0]))
    # An empty one is being made: nobody can have locked it yet.
    if path.name in _LOCKED and _holds_something(path):
        traceback.print_stack()
        os._exit(OPENED_BESIDE)


def _holds_something(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


if __name__ == "__main__":
    watch()
    from webhookd.cli.app import main

    main()
