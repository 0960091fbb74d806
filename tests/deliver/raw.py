"""Merchants on raw sockets, who do to a connection what a test tells them, and a transport that posts to them."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any, NamedTuple

import trustme

from tests.running import PATIENCE_S
from webhookd.core.endpoint import ClientTls
from webhookd.core.secret import Secret
from webhookd.deliver.guard import Guard
from webhookd.deliver.http_transport import HttpTransport
from webhookd.deliver.transport import Response, Target, TransportError

LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
NOTHING = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Request(NamedTuple):
    line: str
    headers: dict[str, str]
    body: bytes


class Peer:
    """The merchant's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number
        """1 for the first connection, and so on."""
        self.requests: list[Request] = []

    async def request(self) -> Request:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        got = Request(line, headers, await self.reader.readexactly(int(headers["content-length"])))
        self.requests.append(got)
        return got

    async def say(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    def reset(self) -> None:
        lingering = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, lingering)
        self.writer.transport.abort()

    async def hung_up(self) -> None:
        """Until the other side has."""
        while await self.reader.read(65536):
            pass


Serve = Callable[[Peer], Awaitable[None]]


class Merchant:
    def __init__(self) -> None:
        self.port = 0
        self.peers: list[Peer] = []
        self._open = 0
        self._news = asyncio.Condition()

    @property
    def requests(self) -> list[int]:
        """How many were read in full, by connection."""
        return [len(peer.requests) for peer in self.peers]

    async def left_alone(self, *, but: int = 0) -> None:
        """Until no connection is open any more, or only so many."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: self._open <= but)

    async def visited(self, count: int) -> None:
        """Until so many connections have come."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: len(self.peers) >= count)

    async def take(self, serve: Serve, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer, len(self.peers) + 1)
        async with self._news:
            self.peers.append(peer)
            self._open += 1
            self._news.notify_all()
        try:
            await serve(peer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()
            async with self._news:
                self._open -= 1
                self._news.notify_all()


@asynccontextmanager
async def merchant(serve: Serve, **server: Any) -> AsyncIterator[Merchant]:
    made = Merchant()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await made.take(serve, reader, writer)

    listening = await asyncio.start_server(connected, server.pop("host", "127.0.0.1"), 0, **server)
    made.port = listening.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        listening.close()
        for peer in made.peers:
            peer.writer.transport.abort()
        await made.left_alone()


async def polite(peer: Peer) -> None:
    """Answers each request with its `webhook-id`, so that nobody takes an answer for another's."""
    while True:
        request = await peer.request()
        name = request.headers["webhook-id"].encode()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(name), name))


def saying(*pieces: bytes) -> Serve:
    """To each request; the connection stays until the other side ends it."""

    async def serve(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(*pieces)

    return serve


def saying_once(*pieces: bytes) -> Serve:
    """And hangs up."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.say(*pieces)

    return serve


@asynccontextmanager
async def transport(guard: Guard | None = None, **settings: Any) -> AsyncIterator[HttpTransport]:
    made = HttpTransport(guard or Guard(LOOPBACK), **settings)
    try:
        yield made
    finally:
        async with asyncio.timeout(PATIENCE_S):
            await made.close()


async def post(
    ours: HttpTransport,
    where: Merchant | str,
    number: int = 1,
    *,
    body: bytes = b"{}",
    timeout_s: float = PATIENCE_S,
    **target: Any,
) -> Response:
    url = where if isinstance(where, str) else f"http://127.0.0.1:{where.port}/hook"
    return await ours.post(Target(url, **target), {"webhook-id": str(number)}, body, timeout_s=timeout_s)


async def word(ours: HttpTransport, where: Merchant | str, number: int = 1, **settings: Any) -> str | None:
    """What the attempt fails with; None if it does not."""
    try:
        await post(ours, where, number, **settings)
    except TransportError as error:
        return error.word
    return None


def served_by(authority: trustme.CA, *names: str, **certificate: Any) -> ssl.SSLContext:
    """What a merchant speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("localhost",)), **certificate).configure_cert(context)
    return context


def trusting(authority: trustme.CA, certificate: trustme.LeafCert | None = None) -> ClientTls:
    """What an endpoint's TLS is made with when its authority is private, and perhaps wants to know us."""
    ca = authority.cert_pem.bytes()
    if certificate is None:
        return ClientTls(ca)
    chain = b"".join(each.bytes() for each in certificate.cert_chain_pems)
    return ClientTls(ca, chain, Secret(certificate.private_key_pem.bytes().decode()))
