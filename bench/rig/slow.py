"""Thousands of connections that are slow on purpose, from a process of its own: `apart(slow.MODULE, Slow(…), Slowed)`.

A third sends a head byte by byte, a third a body byte by byte, a third asks once and is then silent. Who is cut comes
again at once, so that there are always as many.
"""

import asyncio
import random
import resource
import time
from typing import Literal, cast

import msgspec

from bench.rig.apart import answer

MODULE = "bench.rig.slow"
Kind = Literal["head", "body", "idle"]
KINDS: tuple[Kind, ...] = ("head", "body", "idle")
BEGINNING: dict[Kind, bytes] = {
    "head": b"POST /webhooks/stripe HTTP/1.1\r\nHost: slow\r\nX-Slow: ",
    "body": b"POST /webhooks/stripe HTTP/1.1\r\nHost: slow\r\nContent-Length: 1000000\r\n\r\n{",
    "idle": b"GET /healthz HTTP/1.1\r\nHost: slow\r\n\r\n",
}
BYTE_EVERY_S = 3.0
_DIALLED_AT_ONCE = 100


class Slow(msgspec.Struct):
    port: int
    connections: int
    seconds: float


class Slowed(msgspec.Struct):
    dialled: int = 0
    cut: int = 0
    held: int = 0
    """The least that were open at one time, once all had been dialled."""
    lived_s: dict[str, float] = {}
    """The longest that one of a kind was open."""


class Held(asyncio.Protocol):
    def __init__(self, crowd: "Crowd", kind: Kind) -> None:
        self._crowd, self._kind = crowd, kind
        self._opened_at = time.perf_counter()
        self._transport: asyncio.Transport
        self._more: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        self._transport.write(BEGINNING[self._kind])
        if self._kind != "idle":
            self._later()

    def _later(self) -> None:
        loop = asyncio.get_running_loop()
        self._more = loop.call_later(BYTE_EVERY_S * random.uniform(0.5, 1.5), self._one_more)

    def _one_more(self) -> None:
        self._transport.write(b"x")
        self._later()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._more is not None:
            self._more.cancel()
        self._crowd.lost(self, self._kind, time.perf_counter() - self._opened_at)

    def close(self) -> None:
        self._transport.abort()


class Crowd:
    def __init__(self, asked: Slow) -> None:
        self._asked = asked
        self._found = Slowed(lived_s=dict.fromkeys(KINDS, 0.0))
        self._open: set[Held] = set()
        self._places = asyncio.Semaphore(_DIALLED_AT_ONCE)
        self._dialling: set[asyncio.Task[None]] = set()
        self._is_over = False

    async def run(self) -> Slowed:
        for number in range(self._asked.connections):
            self._dial(KINDS[number % len(KINDS)])
        await asyncio.gather(*self._dialling)
        until = time.perf_counter() + self._asked.seconds
        self._found.held = len(self._open)
        while time.perf_counter() < until:
            await asyncio.sleep(0.1)
            self._found.held = min(self._found.held, len(self._open))
        self._is_over = True
        for task in self._dialling:
            task.cancel()
        for each in [*self._open]:
            each.close()
        return self._found

    def lost(self, held: Held, kind: Kind, lived_s: float) -> None:
        self._open.discard(held)
        if not self._is_over:
            self._found.cut += 1
            self._found.lived_s[kind] = round(max(self._found.lived_s[kind], lived_s), 2)
            self._dial(kind)

    def _dial(self, kind: Kind) -> None:
        task = asyncio.ensure_future(self._open_one(kind))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _open_one(self, kind: Kind) -> None:
        loop = asyncio.get_running_loop()
        async with self._places:
            try:
                _, held = await loop.create_connection(lambda: Held(self, kind), "127.0.0.1", self._asked.port)
            except OSError:
                await asyncio.sleep(1)
                self._dial(kind)
                return
        self._found.dialled += 1
        self._open.add(held)


async def slow(asked: Slow) -> Slowed:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return await Crowd(asked).run()


if __name__ == "__main__":
    answer(slow, Slow)
