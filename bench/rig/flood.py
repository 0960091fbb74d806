"""More hooks than can be taken, from a process of its own: `apart(flood.MODULE, Flood(…), Flooded)`.

An open loop (`per_s`) sends each hook when it is due, on a connection that is free or on another one. A closed loop
(`clients`) has each client wait for its answer. Who is refused may come again: when he was told to, or at once.
"""

import asyncio
import heapq
import resource
import time
from collections import deque
from contextlib import suppress
from typing import Literal, cast

import msgspec

from bench.rig.apart import answer
from bench.rig.hooks import Press

MODULE = "bench.rig.flood"
DISPUTES_EVERY = 50
FIRST_CONNECTIONS, CONNECTIONS_MAX = 64, 7_000
"""In an open loop: at first, and at most. A hook that finds none free is not sent, as by a proxy that has no more."""
ANSWERS_S_MAX, AGAIN_S_MAX = 15.0, 60.0
"""How long answers are waited for after the last hook was sent; and those who come again, until all are taken."""
_TICK_S = 0.001
_HEAD_END = b"\r\n\r\n"


class Flood(msgspec.Struct):
    """What is sent. One of `per_s` and `clients` is not 0."""

    port: int
    run: str
    first: int
    """The number of the first hook."""
    seconds: float
    per_s: float = 0
    clients: int = 0
    again: Literal["never", "when told", "at once"] = "never"


class Flooded(msgspec.Struct):
    """What became of it. Times are those of `time.perf_counter`, which is one clock for all processes."""

    began: float = 0
    ended: float = 0
    """When the last hook was sent for the first time."""
    over: float = 0
    """When the last one was answered, or given up."""
    hooks: int = 0
    """That should have been sent."""
    no_connection: int = 0
    """That found none free, and were not sent."""
    too_late: int = 0
    """That were not sent because the generator is too slow."""
    sent: int = 0
    """Requests until `ended`."""
    requests: int = 0
    """That were sent: a hook that comes again is one more."""
    taken: list[tuple[int, float, float]] = []
    """Number, when its 200 came, and how many milliseconds that took."""
    refused_at: list[float] = []
    """When each 503 came."""
    refused_ms: list[float] = []
    told: int = 0
    """503s that have a Retry-After."""
    odd: list[int] = []
    """Other answers."""
    cut: int = 0
    """Connections that ended while an answer was owed."""
    unanswered: int = 0
    lags_ms: list[float] = []
    """How late hooks were sent that were due."""
    connections_max: int = 0


class Flooder:
    def __init__(self, asked: Flood) -> None:
        self.asked = asked
        self.found = Flooded()
        self._press = Press(asked.run, int(time.time()), DISPUTES_EVERY)
        self._next = asked.first
        self._idle: deque[Line] = deque()
        self._lines: set[Line] = set()
        self._dialling: set[asyncio.Task[None]] = set()
        self._again: list[tuple[float, int]] = []
        self._owed = 0
        self._is_over = False

    async def run(self) -> Flooded:
        asked, found = self.asked, self.found
        for _ in range(asked.clients or FIRST_CONNECTIONS):
            self._dial()
        await asyncio.gather(*self._dialling)
        found.began = time.perf_counter()
        if asked.clients:
            await self._closed_loop()
        else:
            await self._open_loop()
        found.over = time.perf_counter()
        found.unanswered = self._owed
        self._is_over = True
        for task in self._dialling:
            task.cancel()
        for line in [*self._lines]:
            line.close()
        return found

    async def _closed_loop(self) -> None:
        while self._idle:
            self._idle.popleft().ask(self._take_next())
        await asyncio.sleep(self.asked.seconds)
        self._is_over = True
        self.found.ended, self.found.sent = time.perf_counter(), self.found.requests
        self.found.hooks = self._next - self.asked.first
        await self._answers(ANSWERS_S_MAX)

    async def _open_loop(self) -> None:
        asked, found = self.asked, self.found
        until = found.began + asked.seconds
        found.hooks = round(asked.per_s * asked.seconds)
        sent = 0
        while sent < found.hooks:
            now = time.perf_counter()
            while sent < found.hooks and (due := found.began + sent / asked.per_s) <= now:
                found.lags_ms.append(1_000 * (time.perf_counter() - due))
                self._send(self._take_next())
                sent += 1
                if now - due > 1 and time.perf_counter() > until + 1:
                    found.too_late = found.hooks - sent
                    sent = found.hooks
            self._send_again(now)
            await asyncio.sleep(_TICK_S)
        found.ended, found.sent = time.perf_counter(), found.requests
        give_up = found.ended + AGAIN_S_MAX
        while (self._again or (asked.again != "never" and self._owed)) and time.perf_counter() < give_up:
            self._send_again(time.perf_counter())
            await asyncio.sleep(_TICK_S)
        await self._answers(ANSWERS_S_MAX)

    async def _answers(self, patience_s: float) -> None:
        until = time.perf_counter() + patience_s
        while self._owed and time.perf_counter() < until:
            await asyncio.sleep(_TICK_S)

    def _take_next(self) -> int:
        self._next += 1
        return self._next - 1

    def _send(self, number: int) -> None:
        if self._idle:
            self._idle.popleft().ask(number)
        elif len(self._lines) + len(self._dialling) < CONNECTIONS_MAX:
            self._dial(number)
        else:
            self.found.no_connection += 1

    def _send_again(self, now: float) -> None:
        while self._again and self._again[0][0] <= now:
            self._send(heapq.heappop(self._again)[1])

    def _dial(self, number: int | None = None) -> None:
        task = asyncio.ensure_future(self._open(number))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _open(self, number: int | None) -> None:
        try:
            loop = asyncio.get_running_loop()
            _, line = await loop.create_connection(lambda: Line(self), "127.0.0.1", self.asked.port)
        except OSError:
            self.found.cut += 1
            self._comes_again(number, 1.0)
            return
        self._lines.add(line)
        self.found.connections_max = max(self.found.connections_max, len(self._lines))
        if number is not None:
            line.ask(number)
        else:
            self._idle.append(line)

    # --- What lines tell

    def asks(self, number: int) -> bytes:
        self._owed += 1
        self.found.requests += 1
        return self._press.request(number)

    def answered(self, line: "Line", number: int, sent_at: float, status: int, retry_s: float | None) -> None:
        now = time.perf_counter()
        self._owed -= 1
        found = self.found
        if status == 200:
            found.taken.append((number, now, 1_000 * (now - sent_at)))
        elif status == 503:
            found.refused_at.append(now)
            found.refused_ms.append(1_000 * (now - sent_at))
            found.told += retry_s is not None
        else:
            found.odd.append(status)
        if self.asked.clients:
            if not self._is_over and not line.ends:
                line.ask(number if status == 503 and self.asked.again == "at once" else self._take_next())
            return
        if not line.ends:
            self._idle.append(line)
        if status == 503:
            self._comes_again(number, retry_s or 1.0)

    def lost(self, line: "Line", number: int | None) -> None:
        self._lines.discard(line)
        with suppress(ValueError):
            self._idle.remove(line)
        if number is not None:
            self._owed -= 1
            self.found.cut += not self._is_over
            self._comes_again(number, 1.0)
        if self.asked.clients and not self._is_over:
            self._dial(self._take_next())

    def _comes_again(self, number: int | None, after_s: float) -> None:
        if number is not None and self.asked.again == "when told" and not self._is_over:
            heapq.heappush(self._again, (time.perf_counter() + after_s, number))


class Line(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, flooder: Flooder) -> None:
        self.ends = False
        """Whether the server closes it after this answer."""
        self._flooder = flooder
        self._transport: asyncio.Transport
        self._number: int | None = None
        self._sent_at = 0.0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so

    def ask(self, number: int) -> None:
        self._number = number
        request = self._flooder.asks(number)
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return
        head = self._buffer[:end].lower()
        if len(self._buffer) < end + 4 + int(_value(head, b"content-length:") or 0):
            return
        self._buffer = b""
        number, self._number = self._number, None
        if number is not None:
            retry = _value(head, b"retry-after:")
            self.ends = b"connection: close" in head
            retry_s = None if retry is None else float(retry)
            self._flooder.answered(self, number, self._sent_at, int(head[9:12]), retry_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._flooder.lost(self, self._number)

    def close(self) -> None:
        self._transport.abort()


def _value(head: bytes, name: bytes) -> bytes | None:
    at = head.find(name)
    return None if at < 0 else head[at + len(name) :].split(b"\r\n", 1)[0].strip()


async def flood(asked: Flood) -> Flooded:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return await Flooder(asked).run()


if __name__ == "__main__":
    answer(flood, Flood)
