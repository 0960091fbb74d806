"""A load that keeps its rate whatever the server does: an open loop."""

import asyncio
import statistics
import time
from collections import deque
from collections.abc import Sequence

from bench.rig.load import Asker

CONNECTIONS = 32
"""Opened before the first request; when all are in use, another one is."""
_PATIENCE_S = 30.0
LAG_P99_MS_MAX = 10.0
"""A load that was sent later than this says nothing of the server."""


class SteadyLoad:
    """Request n is sent n / `per_s` seconds after the first, whether or not the ones before it were answered.

    Times are those of `time.perf_counter`.
    """

    def __init__(self, requests: Sequence[bytes], per_s: float) -> None:
        self._requests = requests
        self._per_s = per_s
        self._idle: deque[_Line] = deque()
        """Used in turn, so that none is idle for so long that the server would close it."""
        self._all_answered = asyncio.Event()
        self.sent_at: list[float] = []
        self.lags_s: list[float] = []
        """How much later than planned each was sent: the generator's own fault."""
        self.latencies_s: list[float] = []
        """From writing each to its answer, in the order of the answers."""
        self.ok = 0
        self.refused = 0

    async def run(self, host: str, port: int) -> None:
        """Until each is answered, or nothing more comes: what is missing then is in neither count."""
        lines = [await self._line(host, port) for _ in range(CONNECTIONS)]
        self._idle.extend(lines)
        began = time.perf_counter()
        for number, request in enumerate(self._requests):
            due_at = began + number / self._per_s
            await asyncio.sleep(max(0.0, due_at - time.perf_counter()))
            if not self._idle:
                lines.append(await self._line(host, port))
                self._idle.append(lines[-1])
            now = time.perf_counter()
            self.sent_at.append(now)
            self.lags_s.append(now - due_at)
            self._idle.popleft().send(request)
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

    def answered(self, line: "_Line", ok: bool, seconds: float) -> None:
        self._idle.append(line)
        self.latencies_s.append(seconds)
        self.ok += ok
        self.refused += not ok
        if self.ok + self.refused == len(self._requests):
            self._all_answered.set()


class _Line(Asker):
    def __init__(self, load: SteadyLoad) -> None:
        super().__init__()
        self._load = load
        self._sent_at = 0.0

    def send(self, request: bytes) -> None:
        self._sent_at = time.perf_counter()
        super().send(request)

    def answered(self, ok: bool) -> None:
        self._load.answered(self, ok, time.perf_counter() - self._sent_at)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.lost(self)


def percentile(values: list[float], percent: int) -> float:
    """Of two values or more; `percent` from 1 to 99."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
