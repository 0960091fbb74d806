"""A load generator that costs little, so that what is measured is the server."""

import asyncio
import time
from collections.abc import Sequence
from itertools import cycle
from typing import cast

CONNECTIONS = 64
ENOUGH = 0.999
"""The share of requests that must have been answered 200, or the run is refused."""
WARM_UP_PART = 10
"""Before the load that counts comes one of a tenth of its hooks: who was just started is slower than he will be."""
_HEAD_END = b"\r\n\r\n"


class Asker(asyncio.Protocol):
    """One connection to the server: one request at a time, and what was answered."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so

    def send(self, request: bytes) -> None:
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(_HEAD_END)
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < end + 4 + length:
            return
        self._buffer = self._buffer[end + 4 + length :]
        self.answered(head.startswith(b"http/1.1 200"))

    def answered(self, ok: bool) -> None:
        """Whether it was 200."""
        raise NotImplementedError


class Client(Asker):
    """Sends the requests of a shared list, one after the other."""

    def __init__(self, load: "Load") -> None:
        super().__init__()
        self._load = load
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._next()

    def answered(self, ok: bool) -> None:
        self._load.answered(ok, time.perf_counter() - self._sent_at)
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.closed()

    def _next(self) -> None:
        request = self._load.take()
        if request is None:
            self.close()
            return
        self._sent_at = time.perf_counter()
        self.send(request)


class Load:
    """Closed loop: `connections` clients, each waiting for an answer before the next request."""

    def __init__(self, requests: Sequence[bytes], connections: int) -> None:
        self._requests = iter(requests)
        self._connections = connections
        self._open = connections
        self._done = asyncio.Event()
        self.ok = 0
        self.refused = 0
        self.latencies_s: list[float] = []

    async def run(self, host: str, *ports: int) -> float:
        """Seconds from the first request to the last answer. Each port has as many of the connections."""
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        for _, port in zip(range(self._connections), cycle(ports), strict=False):
            await loop.create_connection(lambda: Client(self), host, port)
        await self._done.wait()
        return time.perf_counter() - began

    def take(self) -> bytes | None:
        return next(self._requests, None)

    def answered(self, ok: bool, seconds: float) -> None:
        self.ok += ok
        self.refused += not ok
        self.latencies_s.append(seconds)

    def closed(self) -> None:
        self._open -= 1
        if self._open == 0:
            self._done.set()


async def answered_per_s(requests: Sequence[bytes], port: int | Sequence[int], clients: int = CONNECTIONS) -> float:
    """How many were answered 200 a second, by so many clients. Raises SystemExit when too few were."""
    load = Load(requests, clients)
    seconds = await load.run("127.0.0.1", *([port] if isinstance(port, int) else port))
    total = load.ok + load.refused
    if load.ok < ENOUGH * total or total == 0:
        raise SystemExit(f"refused to report: {load.refused} of {total} hooks were not answered 200")
    return load.ok / seconds


def warm_up_of(count: int) -> int:
    """How many hooks come before so many that count."""
    return max(1, count // WARM_UP_PART)
