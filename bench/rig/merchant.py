"""Merchants that cost little, so that what is measured is the server before them."""

import asyncio
import socket
import time
from typing import Protocol, cast

from bench.rig.hooks import number_of

_HEAD_END = b"\r\n\r\n"
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Merchant(Protocol):
    def take(self, connection: "Connection", head: bytes, body: bytes) -> None:
        """A request has come. `head` is in lower case; `connection.answer()`, now, later or never, is 200."""
        ...


class Connection(asyncio.Protocol):
    """One connection to a merchant; requests come one after the other."""

    def __init__(self, merchant: Merchant) -> None:
        self.opened_at = 0.0
        """By `time.perf_counter`."""
        self._merchant = merchant
        self._transport: asyncio.Transport
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.opened_at = time.perf_counter()
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(_HEAD_END)) >= 0:
            head = self._buffer[:end].lower()
            total = end + 4 + int(header(head, b"content-length"))
            if len(self._buffer) < total:
                return
            body = self._buffer[end + 4 : total]
            self._buffer = self._buffer[total:]
            self._merchant.take(self, head, body)

    def answer(self) -> None:
        self._transport.write(_ANSWER)

    @property
    def is_open(self) -> bool:
        """Not when whoever asked has gone."""
        return not self._transport.is_closing()


def header(head: bytes, name: bytes) -> bytes:
    """The value of a header that is there."""
    at = head.index(b"\r\n" + name + b":") + len(name) + 3
    return head[at:].split(b"\r\n", 1)[0].strip()


def reserve_port() -> socket.socket:
    """A port of loopback that is taken and refuses whoever dials it, until somebody listens on it."""
    reserved = socket.socket()
    reserved.bind(("127.0.0.1", 0))
    return reserved


async def listen(merchant: Merchant, reserved: socket.socket | None = None) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(lambda: Connection(merchant), sock=reserved or reserve_port())


def port_of(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


class Sink:
    """A merchant that takes everything and counts each webhook-id once."""

    def __init__(self, wanted: int) -> None:
        self.reached = asyncio.Event()
        """Set once as many events have come as were wanted."""
        self._wanted = wanted
        self._seen: set[bytes] = set()

    def want_more(self, count: int) -> None:
        """Beside what was wanted before."""
        self._wanted += count
        self.reached.clear()

    def take(self, connection: Connection, head: bytes, body: bytes) -> None:
        self._seen.add(header(head, b"webhook-id"))
        connection.answer()
        if len(self._seen) >= self._wanted:
            self.reached.set()


class Witness:
    """A merchant who takes everything and notes when each event first came, by `time.perf_counter`."""

    def __init__(self, wanted: int) -> None:
        self.reached = asyncio.Event()
        """Set once as many events have come as were wanted."""
        self.arrived_at: dict[int, float] = {}
        self._wanted = wanted

    def take(self, connection: Connection, head: bytes, body: bytes) -> None:
        self.arrived_at.setdefault(number_of(body), time.perf_counter())
        connection.answer()
        if len(self.arrived_at) >= self._wanted:
            self.reached.set()

    async def sees_all(self, patience_s: float) -> None:
        """Raises SystemExit when not all that were wanted have come after so long."""
        try:
            async with asyncio.timeout(patience_s):
                await self.reached.wait()
        except TimeoutError:
            missing = self._wanted - len(self.arrived_at)
            raise SystemExit(
                f"refused to report: {missing} of {self._wanted} events did not reach their merchant"
            ) from None
