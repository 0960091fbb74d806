"""A peer that runs: its parts, each a process with children or without, and what they take of the machine."""

import asyncio
import os
import signal
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bench.peers.family import cpu_s, family, freeze, gone, pss_mb

_START_S_MAX = 60
_STOP_S_MAX = 30
_GONE_POLL_S = 0.01
_LINES_KEPT = 20


class Part:
    """One program of a peer. What it says is read, and its last lines are kept."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.pid = process.pid
        self.process = process
        self._said: deque[str] = deque(maxlen=_LINES_KEPT)
        self._lines = self._read()
        self._reading: asyncio.Task[None] | None = None

    @property
    def last_words(self) -> str:
        return f"{self.name} ended with {self.process.returncode}: " + "".join(self._said)

    async def said(self, wanted: str) -> str:
        """The first line that contains this. Raises SystemExit when it ends, or a minute passes, without one."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_S_MAX):
                async for line in self._lines:
                    if wanted in line:
                        # An unread pipe would fill up, and the part wait for it.
                        self._reading = asyncio.create_task(self._read_on())
                        return line
                await self.process.wait()
        raise SystemExit(f"{self.name} did not start: {''.join(self._said)}")

    async def ended(self) -> None:
        await self.process.wait()
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading

    async def _read(self) -> AsyncIterator[str]:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self._said.append(line.decode(errors="replace"))
            yield self._said[-1]

    async def _read_on(self) -> None:
        async for _ in self._lines:
            pass


class Parts:
    """Of one peer, in the order in which they were started."""

    def __init__(self) -> None:
        self.all: list[Part] = []

    async def start(
        self, name: str, command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Part:
        """One more. It is ready when it says so: see `Part.said`. `env` is added to that of the bench."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,  # a Ctrl-C is the bench's, and it stops them
        )
        self.all.append(Part(name, process))
        return self.all[-1]

    def check(self) -> None:
        """Raises SystemExit with its last words when one has ended by itself."""
        for part in self.all:
            if part.process.returncode is not None:
                raise SystemExit(part.last_words)

    @property
    def processes(self) -> list[int]:
        """Those of the parts and all their descendants."""
        return [pid for part in self.all for pid in family(part.pid)]

    def memory_mb(self) -> float:
        """Of all processes, in units of 10**6 bytes. Pages that some share count once."""
        return sum(pss_mb(pid) for pid in self.processes)

    def cpu_s(self, *names: str) -> float:
        """What all processes have used so far, and those of their children that have ended; or these parts' alone."""
        return sum(cpu_s(pid) for part in self.all if not names or part.name in names for pid in family(part.pid))

    async def kill(self) -> None:
        """SIGKILL for every process, at one moment: all stand still before the first one dies.

        Raises SystemExit when not all are gone half a minute later.
        """
        doomed = [pid for part in self.all for pid in freeze(part.pid)]
        for pid in doomed:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            async with asyncio.timeout(_STOP_S_MAX):
                for part in self.all:
                    await part.ended()
                while not all(map(gone, doomed)):  # a lock or a port of one that is still dying would be in the way
                    await asyncio.sleep(_GONE_POLL_S)
        except TimeoutError:
            raise SystemExit(f"killed, and still there: {', '.join(part.name for part in self.all)}") from None

    async def stop(self) -> None:
        """SIGTERM, last started first; what is left after half a minute is killed."""
        for part in reversed(self.all):
            if part.process.returncode is None:
                part.process.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S_MAX):
                    await part.process.wait()
        await self.kill()
