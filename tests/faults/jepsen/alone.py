"""The world of one daemon with its database in a file, on a disk that can be filled."""

import asyncio
import random
import shutil
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from tests.faults.jepsen.invariants import Broken, audit
from tests.faults.jepsen.nemesis import NEEDS
from tests.faults.jepsen.node import Node
from tests.faults.jepsen.settings import Settings
from tests.faults.jepsen.surroundings import Ballast, Clock, missing, small_disk
from tests.faults.jepsen.world import ALL_NAMES, Load, World
from tests.faults.proxy import Proxy
from webhookd.store.sqlite.driver import driver

SOUND_BYTES_MAX = 256 * 2**20
"""Of a database that is looked through after each crash; a larger one only at the end."""


class Alone(World):
    def __init__(self, directory: Path, seed: int, load: Load, sabotage: str | None) -> None:
        lines = {name: Proxy() for name in ALL_NAMES}
        super().__init__(
            directory, seed, load, Settings(random.Random(f"{seed}:settings"), lines, load.retention), lines
        )
        self.clock = Clock(directory / "clock", self.history)
        self.ballast = Ballast(directory / "data" / "ballast")
        self.nodes = [Node(self, "", directory, command(self.clock, sabotage))]

    @property
    def database(self) -> Path:
        return self.directory / "data" / "webhookd.db"

    async def start(self) -> None:
        await super().start()
        for line in self.lines.values():
            line.upstream = ("127.0.0.1", self.merchants.ports[""])

    async def left(self, node: Node, wanted: str | None) -> None:
        await super().left(node, wanted)
        if wanted != "stop" and self.database.stat().st_size < SOUND_BYTES_MAX:
            for line in await asyncio.to_thread(self._look_through):
                node.found("I14", f"after it: {line}")

    def files(self) -> tuple[int, int]:
        wal = self.database.with_name("webhookd.db-wal")
        return self.database.stat().st_size, wal.stat().st_size if wal.exists() else 0

    async def audit(self) -> list[Broken]:
        return audit(self.history, self.database, self.settings.ever, forgets=self.load.retention != "")

    def _look_through(self) -> list[str]:
        """What is wrong with a copy of what a crash left; the daemon itself is to recover the original."""
        copy = self.directory / "copy.db"
        shutil.copy(self.database, copy)
        wal = self.database.with_name("webhookd.db-wal")
        if wal.exists():
            shutil.copy(wal, copy.with_name("copy.db-wal"))
        connection = driver.connect(copy)
        try:
            return broken_in(connection)
        finally:
            connection.close()
            copy.unlink()


def command(clock: Clock, sabotage: str | None) -> list[str]:
    """Starts a daemon with that clock."""
    started = [sys.executable, "-m", "tests.faults.jepsen.daemon", "--clock", str(clock.file)]
    return [*started, *(() if sabotage is None else ("--sabotage", sabotage)), "serve"]


def broken_in(connection: Any) -> list[str]:
    lines = [str(line) for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
    return lines + [f"foreign key: {row}" for row in connection.execute("PRAGMA foreign_key_check")]


def left_out() -> list[str]:
    """Kinds of faults that cannot be done here."""
    lacking = {*missing()}
    return [kind for kind, needed in NEEDS.items() if needed & lacking]


@asynccontextmanager
async def alone(
    directory: Path, seed: int, load: Load, kinds: Collection[str], sabotage: str | None = None
) -> AsyncIterator[Alone]:
    """Ready for a first life, in which `kinds` of faults may come.

    Nothing of it is left running, or mounted, afterwards.
    """
    on_its_own = "disk full" in kinds
    with small_disk(directory / "data", directory / "disk.image") if on_its_own else nullcontext():
        made = Alone(directory, seed, load, sabotage)
        await made.start()
        try:
            yield made
        finally:
            await made.stop()
