"""A real daemon to be measured: a directory of its own, its process, and what that takes of the machine."""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from bench.rig.hooks import SECRET
from webhookd.store.sqlite.connection import open_reader

_STOP_S_MAX = 60
_LINES_KEPT = 20


@contextmanager
def workplace(endpoints: str, *, sources: Sequence[str] = ("stripe",), delivery: str = "") -> Iterator[Path]:
    """A fresh directory with a configuration: the path of the file. It is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="webhookd-bench-") as directory:
        yield configure(Path(directory), endpoints, sources=sources, delivery=delivery)


def configure(
    directory: Path, endpoints: str, *, sources: Sequence[str] = ("stripe",), delivery: str = "", store: str = ""
) -> Path:
    """Write the configuration of a daemon that keeps its data in this directory: the path of the file.

    `sources` are names of Stripe sources; `delivery` and `store` are what else stands in those tables.
    """
    config = directory / "webhookd.toml"
    lines = [
        *("[server]", 'listen = "127.0.0.1:0"', 'admin_listen = "127.0.0.1:0"'),
        *(f'data_dir = "{directory}/data"', 'min_free = "1MiB"'),
        *("[delivery]", 'allow_networks = ["127.0.0.0/8"]', delivery),
        *(["[store]", store] if store else []),
        *(f'[sources.{name}]\nprovider = "stripe"\nsecrets = ["{SECRET}"]' for name in sources),
        endpoints,
    ]
    config.write_text("\n".join(lines) + "\n")
    return config


def database_of(config: Path) -> Path:
    return config.parent / "data" / "webhookd.db"


async def ask(config: Path, sql: str) -> list[Any]:
    """What the database says. Only while no daemon runs."""
    reader = await open_reader(database_of(config))
    try:
        return await reader.run(lambda connection: connection.execute(sql).fetchall())
    finally:
        await reader.close()


class Running:
    def __init__(self, process: asyncio.subprocess.Process, port: int, ready_s: float, said: Iterable[str]) -> None:
        self.port = port
        """Where it receives hooks."""
        self.ready_s = ready_s
        """From starting the process to hearing that it is ready."""
        self.was_killed = False
        self._process = process
        self._about = Path(f"/proc/{process.pid}")
        self._said = said

    async def kill(self) -> None:
        """SIGKILL. When this returns there is no such process any more."""
        self.was_killed = True
        self._process.kill()
        await self._process.wait()

    def rss_mb(self) -> float:
        """Resident memory now, in units of 10**6 bytes."""
        return self._memory_mb("VmRSS")

    def rss_max_mb(self) -> float:
        """The most it ever was, as the kernel keeps it."""
        return self._memory_mb("VmHWM")

    def processor_s(self) -> float:
        """What all of its threads have used of processors, to a hundredth of a second."""
        fields = (self._about / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def files(self) -> int:
        """Descriptors that it has open."""
        return len([*(self._about / "fd").iterdir()])

    def stay_on(self, processors: Collection[int]) -> None:
        for thread in (self._about / "task").iterdir():
            os.sched_setaffinity(int(thread.name), processors)

    def _memory_mb(self, name: str) -> float:
        """Raises SystemExit when the daemon is gone."""
        file = self._about / "status"
        status = file.read_text() if file.exists() else ""
        for line in status.splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024 / 1e6
        raise SystemExit("the daemon ended while it was measured: " + "".join(self._said))


@asynccontextmanager
async def daemon(config: Path) -> AsyncIterator[Running]:
    """Ready on entry, stopped at the end unless killed before. Raises SystemExit with its last words if it fails."""
    began = time.perf_counter()
    command = (sys.executable, "-m", "webhookd", "serve", "-c", str(config))
    # In a session of its own: a Ctrl-C is the bench's, which then stops it.
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE, start_new_session=True)
    assert process.stderr is not None
    said: deque[str] = deque(maxlen=_LINES_KEPT)
    try:
        port = await _port(process.stderr, said)
        ready_s = time.perf_counter() - began
        # An unread pipe would fill up, and the daemon wait for it.
        reading = asyncio.create_task(_read_on(process.stderr, said))
        running = Running(process, port, ready_s, said)
        yield running
    finally:
        code = await _stop(process)
    await reading
    if code != 0 and not running.was_killed:
        raise SystemExit(f"the daemon ended with {code}: " + "".join(said))


async def _port(stderr: asyncio.StreamReader, said: deque[str]) -> int:
    async for line in stderr:
        if b'"event": "ready"' in line:
            return int(json.loads(line)["hooks"].rpartition(":")[2])
        said.append(line.decode(errors="replace"))
    raise SystemExit("the daemon did not start: " + "".join(said))


async def _read_on(stderr: asyncio.StreamReader, said: deque[str]) -> None:
    async for line in stderr:
        said.append(line.decode(errors="replace"))


async def _stop(process: asyncio.subprocess.Process) -> int:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S_MAX):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()
