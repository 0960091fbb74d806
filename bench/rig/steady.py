"""A load that keeps its rate whatever the server does: an open loop."""

import asyncio
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import accumulate, cycle

from bench.rig.load import Asker

CONNECTIONS = 32
"""Opened before the first request; when all are in use, another one is."""
_PATIENCE_S = 30.0
LAG_P99_MS_MAX = 10.0
"""A load that was sent later than this says nothing of the server."""


Arrivals = Callable[[int, float], Sequence[float]]
"""When each of so many requests is due at a rate per second: seconds since the beginning, in ascending order."""


def evenly(count: int, per_s: float) -> list[float]:
    return [number / per_s for number in range(count)]


def poisson(seed: int) -> Arrivals:
    """As hooks of many customers come, who do not know of one another: now some at once, now none for a while."""

    def arrivals(count: int, per_s: float) -> list[float]:
        dice = random.Random(seed)
        return list(accumulate(dice.expovariate(per_s) for _ in range(count)))

    return arrivals


class SteadyLoad:
    """Each request is sent when it is due, whether or not the ones before it were answered.

    Times are those of `time.perf_counter`. Where they are lists or mappings by number, request 0 is the first.
    """

    def __init__(self, requests: Sequence[bytes], per_s: float, arrivals: Arrivals = evenly) -> None:
        self._requests = requests
        self._due_s = arrivals(len(requests), per_s)
        self._idle: deque[_Line] = deque()
        """Used in turn, so that none is idle for so long that the server would close it."""
        self._all_answered = asyncio.Event()
        self.due_at: list[float] = []
        """When each that was sent should have been."""
        self.sent_at: list[float] = []
        self.answered_at: dict[int, float] = {}
        self.lags_s: list[float] = []
        """How much later than planned each was sent: the generator's own fault."""
        self.latencies_s: list[float] = []
        """From writing each to its answer, in the order of the answers."""
        self.ok = 0
        self.refused = 0

    async def run(self, host: str, *ports: int) -> None:
        """Until each is answered, or nothing more comes: what is missing then is in neither count."""
        turns = cycle(ports)
        lines = [await self._line(host, next(turns)) for _ in range(CONNECTIONS)]
        self._idle.extend(lines)
        began = time.perf_counter()
        for number, (request, due_s) in enumerate(zip(self._requests, self._due_s, strict=True)):
            due_at = began + due_s
            # A timer counts whole milliseconds and may be early: the rest is waited for in turns of the loop.
            while (left_s := due_at - time.perf_counter()) > 0:
                await asyncio.sleep(left_s)
            if not self._idle:
                lines.append(await self._line(host, next(turns)))
                self._idle.append(lines[-1])
            now = time.perf_counter()
            self.due_at.append(due_at)
            self.sent_at.append(now)
            self.lags_s.append(now - due_at)
            self._idle.popleft().ask(number, request)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._all_answered.wait()
        except TimeoutError:
            pass
        finally:
            for line in lines:
                line.close()

    def judged(self) -> float:
        """How late it was sent, p99 in milliseconds. Raises SystemExit when what was measured does not count."""
        count, lag_p99_ms = len(self._requests), percentile([1_000 * lag for lag in self.lags_s], 99)
        if self.ok < count:
            raise SystemExit(f"refused to report: {count - self.ok} of {count} hooks were not answered 200")
        if lag_p99_ms > LAG_P99_MS_MAX:
            raise SystemExit(
                f"refused to report: the load was sent {lag_p99_ms:.1f} ms late (p99); is the machine busy?"
            )
        return lag_p99_ms

    async def _line(self, host: str, port: int) -> "_Line":
        _, line = await asyncio.get_running_loop().create_connection(lambda: _Line(self), host, port)
        return line

    def lost(self, line: "_Line") -> None:
        if line in self._idle:
            self._idle.remove(line)

    def answered(self, line: "_Line", number: int, ok: bool) -> None:
        now = time.perf_counter()
        self._idle.append(line)
        self.answered_at[number] = now
        self.latencies_s.append(now - self.sent_at[number])
        self.ok += ok
        self.refused += not ok
        if self.ok + self.refused == len(self._requests):
            self._all_answered.set()


class _Line(Asker):
    def __init__(self, load: SteadyLoad) -> None:
        super().__init__()
        self._load = load
        self._asked = 0

    def ask(self, number: int, request: bytes) -> None:
        self._asked = number
        self.send(request)

    def answered(self, ok: bool) -> None:
        self._load.answered(self, self._asked, ok)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self)


def percentile(values: Sequence[float], percent: float) -> float:
    """Of two values or more; `percent` from 0.1 to 99.9, in tenths."""
    return statistics.quantiles(values, n=1_000, method="inclusive")[round(10 * percent) - 1]
