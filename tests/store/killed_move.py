"""Moves a copy of a log again and again, in a child that kills itself one point later each time.

    python -m tests.store.killed_move FILE DIRECTORY URL

A point is what is asked of PostgreSQL, before and after, and a statement that changes the file. URL is that of a
schema; each time it is another one. Prints how many kills left the file as the store, and how many the target; ends
with an error where a daemon would open both, or none, or where something is missing afterwards.
"""

import asyncio
import os
import shutil
import signal
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import patch

from asyncpg import Connection

from tests.making import NOW_MS
from tests.store.both_sides import differing
from webhookd.providers import reread
from webhookd.store.move import move, source
from webhookd.store.move.move import Move, finish
from webhookd.store.postgres.audit import audit
from webhookd.store.postgres.database import UnfitDatabaseError, connect, prepare
from webhookd.store.sqlite.audit import audit as audit_file
from webhookd.store.sqlite.connection import MovedDatabaseError, open_alone, schema_version

APART, NEAR = 17, 8
"""So many points are passed over at a time, but for the last ones before the file is marked, and all after that."""


class Killer:
    """Strikes at the `left`-th point; never, if there is none."""

    def __init__(self, left: int = 0) -> None:
        self._left = left
        self.passed = 0
        self.marked_at = 0

    def passing(self, *_anything: object) -> None:
        self.passed += 1
        if self.passed == self._left:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function: Any) -> Any:
        async def called(*arguments: Any, **more: Any) -> Any:
            self.passing()
            result = await function(*arguments, **more)
            self.passing()
            return result

        return called

    def open(self, path: Path, **how: Any) -> Any:
        connection = open_alone(path, **how)
        if not how.get("read_only"):
            connection.set_trace_callback(self.passing)
        return connection

    def marks(self, *given: Any) -> None:
        self.marked_at = self.passed
        source.mark_moved(*given)
        self.passing()


async def moved(path: Path, url: str, killer: Killer) -> None:
    with (
        patch.object(source, "open_alone", killer.open),
        patch.object(source, "EVENTS", 4),
        patch.object(move, "mark_moved", killer.marks),
        patch.object(Connection, "execute", killer.around(Connection.execute)),
        patch.object(Connection, "copy_records_to_table", killer.around(Connection.copy_records_to_table)),
    ):
        moving = await Move.begin(path, url, NOW_MS, lambda *_: None)
        if not moving.is_over:
            await moving.copy()
            await moving.switch("there", NOW_MS)
        else:
            await moving.finish()
        await moving.close()


def main(file: Path, directory: Path, url: str) -> None:
    counting = Killer()
    asyncio.run(moved(copy_of(file, directory / "counted"), f"{url}_counted", counting))
    near = counting.marked_at - NEAR
    points = [*range(1, near, APART), *range(near, counting.passed + 1)]
    findings = sorted(map(str, audit_file(file, reread)))
    left = Counter(
        struck(file, directory / f"at{point}", f"{url}_at{point}", Killer(point), findings) for point in points
    )
    print(left["file"], left["target"])


def copy_of(file: Path, directory: Path) -> Path:
    directory.mkdir()
    return Path(shutil.copy(file, directory / "webhookd.db"))


def struck(file: Path, directory: Path, url: str, killer: Killer, findings: list[str]) -> str:
    path = copy_of(file, directory)
    if (process := os.fork()) == 0:
        asyncio.run(moved(path, url, killer))
        os._exit(0)
    _, status = os.waitpid(process, 0)
    assert os.WIFSIGNALED(status), directory
    opens = {"file": file_opens(path), "target": asyncio.run(target_opens(path, url))}
    stores = [name for name, is_open in opens.items() if is_open]
    assert len(stores) == 1, (directory, stores)
    asyncio.run(moved(path, url, Killer()))
    assert not file_opens(path), directory
    assert asyncio.run(target_opens(path, url)), directory
    assert differing(path, url) == [], directory
    assert sorted(map(str, asyncio.run(audit(url, reread)))) == findings, directory
    asyncio.run(drop(url))
    shutil.rmtree(directory)
    return stores[0]


def file_opens(path: Path) -> bool:
    with closing(open_alone(path, read_only=True)) as connection:
        try:
            schema_version(connection)
        except MovedDatabaseError:
            return False
    return True


async def target_opens(path: Path, url: str) -> bool:
    """For a daemon of this data directory. A schema that is not there it would make, and have an empty store."""
    connection = await connect(url, "test")()
    try:
        if await connection.fetchval("SELECT to_regclass('webhookd') IS NULL"):
            return False
    finally:
        await connection.close()
    await finish(path.parent, url, NOW_MS)
    try:
        await prepare(connect(url, "test"))
    except UnfitDatabaseError:
        return False
    return True


async def drop(url: str) -> None:
    connection = await connect(url, "test")()
    await connection.execute(f"DROP SCHEMA {url.rpartition('=')[2]} CASCADE")
    await connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
