"""The provider of the comparison: sends events until each has had its 200, whoever dies meanwhile."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from itertools import count

from bench.rig import hooks
from bench.rig.load import CONNECTIONS, Asker


class Provider:
    """A closed loop. What had no 200 before its connection ended is sent again, before anything new is."""

    def __init__(self, run: str) -> None:
        self.acked_at: dict[bytes, float] = {}
        """The events that had a 200, and when they had it first, by `time.perf_counter`."""
        self._run = run
        self._numbers = count()
        self._again: deque[bytes] = deque()
        self._lines: set[_Line] = set()
        self._sends_new = True
        self._moved = asyncio.Event()

    async def connect(self, port: int) -> None:
        for _ in range(CONNECTIONS):
            await asyncio.get_running_loop().create_connection(lambda: _Line(self), "127.0.0.1", port)

    async def acked_more(self, events: int, patience_s: float) -> None:
        """Wait until so many more have had their 200. Raises SystemExit when none had for so long."""
        wanted = len(self.acked_at) + events
        await self._until(lambda: len(self.acked_at) >= wanted, patience_s)

    async def finish(self, patience_s: float) -> None:
        """Send nothing new, and wait until all has had its 200. Raises SystemExit when none had for so long."""
        self._sends_new = False
        await self._until(lambda: not self._lines and not self._again, patience_s)

    async def disconnected(self) -> None:
        """Wait until the last connection has ended."""
        await self._until(lambda: not self._lines, None)

    async def _until(self, done: Callable[[], bool], patience_s: float | None) -> None:
        while not done():
            self._moved.clear()
            try:
                await asyncio.wait_for(self._moved.wait(), patience_s)
            except TimeoutError:
                raise SystemExit(f"refused to report: no hook was answered 200 for {patience_s:g} s") from None

    def opened(self, line: "_Line") -> None:
        self._lines.add(line)

    def next_body(self) -> bytes | None:
        """To be sent now; None when there is nothing left."""
        if self._again:
            return self._again.popleft()
        return hooks.body(next(self._numbers), self._run, int(time.time())) if self._sends_new else None

    def answered(self, body: bytes, ok: bool) -> None:
        if ok:
            self.acked_at.setdefault(hooks.id_of(body), time.perf_counter())
            self._moved.set()
        else:
            self._again.append(body)

    def closed(self, line: "_Line") -> None:
        self._lines.discard(line)
        if line.body is not None:
            self._again.append(line.body)
        self._moved.set()


class _Line(Asker):
    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self._provider = provider
        self.body: bytes | None = None
        """What was sent and not answered."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._provider.opened(self)
        self._next()

    def answered(self, ok: bool) -> None:
        assert self.body is not None
        self._provider.answered(self.body, ok)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._provider.closed(self)

    def _next(self) -> None:
        self.body = self._provider.next_body()
        if self.body is None:
            self.close()
        else:
            self.send(hooks.request(self.body, int(time.time())))
