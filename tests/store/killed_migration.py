"""Migrates and compacts a copy of a file again and again, in a child that kills itself one point later each time.

    python -m tests.store.killed_migration FILE DIRECTORY SCHEMA

A point is a statement, and whatever is done to a file beside SQLite. Prints how many kills left the old schema and how
many the new one; ends with an error when there was anything between, or a file that passes for a backup and is none.
"""

import os
import shutil
import signal
import sqlite3
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.making import SEAL
from tests.store.old_files import SEAL_OF_3, ask, looks
from webhookd.providers import reread
from webhookd.store.sqlite import backup, compact, migrate
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.connection import SCHEMA_VERSION, open_alone
from webhookd.upgrade import nobody

STATEMENTS_APART = 9


class Killer:
    """Strikes at the `left`-th thing of this kind."""

    def __init__(self, kind: str, left: int) -> None:
        self._kind, self._left = kind, left

    def __call__(self, *_anything: object) -> None:
        self.passing("statement")

    def told(self, *_anything: object) -> None:
        self.passing("told")

    def passing(self, kind: str) -> None:
        self._left -= kind == self._kind
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def open(self, path: Path, **pragmas: Any) -> sqlite3.Connection:
        connection = unsynced(path, **pragmas)
        connection.set_trace_callback(self)
        return connection

    def beside(self, function: Any) -> Any:
        def called(*arguments: Any, **more: Any) -> Any:
            self.passing("file")
            result = function(*arguments, **more)
            self.passing("file")
            return result

        return called


def child(path: Path, version: int, killer: Killer) -> None:
    with (
        patch.object(migrate, "open_alone", killer.open),
        patch.object(backup, "open_alone", killer.open),
        patch.object(compact, "open_alone", killer.open),
        patch.object(backup, "PAGES_TOGETHER", 8),
        patch.object(os, "fsync", killer.beside(lambda _descriptor: None)),
        patch.object(Path, "rename", killer.beside(Path.rename)),
        patch.object(Path, "unlink", killer.beside(Path.unlink)),
    ):
        migrate.migrate(path, SEAL_OF_3 if version >= 3 else SEAL, reread, killer.told, stamp="now")
        compact.compact(path, killer.told, bytes_max=2**30)


def unsynced(path: Path, **pragmas: Any) -> sqlite3.Connection:
    """What a process has written is there after its end, whether or not it was synced: that is for the machine's."""
    return open_alone(path, **{**pragmas, "synchronous": "OFF"})


def main(file: Path, directory: Path, version: int) -> None:
    left = {version: 0, SCHEMA_VERSION: 0}
    for kind, apart in (("file", 1), ("told", 1), ("statement", STATEMENTS_APART)):
        point = version if kind == "statement" else 1
        while (found := struck(file, directory / f"{kind}-{point}", version, Killer(kind, point))) is not None:
            left[found] += 1
            point += apart
    print(left[version], left[SCHEMA_VERSION])


def struck(file: Path, data: Path, version: int, killer: Killer) -> int | None:
    """The schema that was left; None when it was done before the killer's turn."""
    data.mkdir()
    path = data / "webhookd.db"
    shutil.copy(file, path)
    if (process := os.fork()) == 0:
        child(path, version, killer)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0, data
        return None
    assert os.WTERMSIG(status) == signal.SIGKILL, data
    before = looks(file)
    for copy in (data / "backups").glob("[!.]*"):
        assert looks(copy) == before, data
        assert ask(copy, "PRAGMA integrity_check") == [("ok",)], data
    [(found,)] = ask(path, "PRAGMA user_version")
    assert (found == version) == (looks(path) == before), data
    # And whoever comes next has it done.
    backup.remove_drafts(data)
    migrate.migrate(path, SEAL_OF_3 if version >= 3 else SEAL, reread, nobody, stamp="then")
    assert migrate.outdated(path) is None, data
    if not compact.is_compact(path):
        compact.compact(path, nobody, bytes_max=2**30)
    assert compact.is_compact(path), data
    assert not list(audit(path, reread)), data
    assert not list((data / "backups").glob(".*")), data
    assert not list(data.glob(".*")), data
    shutil.rmtree(data)
    return int(found)


if __name__ == "__main__":
    with ExitStack() as stack:
        for module in (migrate, backup, compact):
            stack.enter_context(patch.object(module, "open_alone", unsynced))
        stack.enter_context(patch.object(os, "fsync", lambda _descriptor: None))
        main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
