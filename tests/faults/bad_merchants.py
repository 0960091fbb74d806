"""Merchants who are bad in every way there is, for a connection or two, and then take what they are owed."""

import asyncio
import datetime as dt
import gzip
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import trustme

from tests.deliver.raw import NOTHING, Merchant, Peer, Request, Serve, merchant, saying_once, served_by

AUTHORITY, STRANGER = trustme.CA(), trustme.CA()
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
SOON = "300ms"
"""The time of an attempt to those who would take all of it."""
BOMB = gzip.compress(b"\0" * 50_000_000)
FAILED = b"HTTP/1.1 500 Internal Server Error\r\n"


async def resets(peer: Peer) -> None:
    await peer.reader.read(1)  # or the connection would not be established for its other end
    peer.reset()


async def takes_it(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")


async def works_and_resets(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def works_and_hangs_up(peer: Peer) -> None:
    await peer.request()


async def breaks_off(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    peer.reset()


async def swallows(peer: Peer) -> None:
    await peer.request()
    await peer.hung_up()


async def trickles(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nX: ")
    while not peer.reader.at_eof():
        await peer.say(b"x")
        await asyncio.sleep(0.01)


async def never_ends(peer: Peer) -> None:
    await peer.request()
    await peer.say(FAILED, b"\r\n")
    while not peer.reader.at_eof():
        await peer.say(b"x" * 65_536)


async def answers_in_the_clear(peer: Peer) -> None:
    """To whoever speaks TLS, and says hello."""
    assert (await peer.reader.read(65_536))[:1] == b"\x16", "a request, or a part of one, was sent in the clear"
    await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def stalls(peer: Peer) -> None:
    assert (await peer.reader.read(65_536))[:1] == b"\x16"
    await peer.hung_up()


class Kind(NamedTuple):
    """What an attempt at such a merchant is called, and how he is bad: he does it, or he shows what he should not."""

    word: str
    serve: Serve = takes_it
    shows: Callable[[], ssl.SSLContext] | None = None
    is_tls: bool = False
    timeout: str | None = None
    """Of an attempt, where it would last for all of its time."""


KINDS = {
    "resets": Kind("disconnected", resets),
    "works-and-resets": Kind("disconnected", works_and_resets),
    "works-and-hangs-up": Kind("disconnected", works_and_hangs_up),
    "breaks-off": Kind("disconnected", breaks_off),
    "swallows": Kind("timeout", swallows, timeout=SOON),
    "trickles": Kind("timeout", trickles, timeout=SOON),
    "never-ends": Kind("status", never_ends),
    "large-head": Kind("protocol", saying_once(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n")),
    "interim": Kind("protocol", saying_once(b"HTTP/1.1 100 Continue\r\n\r\n" * 100 + NOTHING)),
    "no-http": Kind("protocol", saying_once(b"\0" * 100_000)),
    "bomb": Kind(
        "status", saying_once(FAILED + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB) + BOMB)
    ),
    "expired": Kind("tls", shows=lambda: served_by(AUTHORITY, not_after=YESTERDAY), is_tls=True),
    "another-name": Kind("tls", shows=lambda: served_by(AUTHORITY, "other.example"), is_tls=True),
    "a-stranger": Kind("tls", shows=lambda: served_by(STRANGER), is_tls=True),
    "in-the-clear": Kind("tls", answers_in_the_clear, is_tls=True),
    "stalls": Kind("timeout", stalls, is_tls=True, timeout=SOON),
}


def redirecting(port: int) -> Kind:
    """To this machine's own port."""
    found = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:%d/hook\r\nContent-Length: 0\r\n\r\n"
    return Kind("redirect", saying_once(found % port))


class BadMerchant:
    """Bad to so many connections as `left` says, and good to those after them."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.left = 0
        self.port = 0
        self._front: Merchant
        self._good: Merchant
        self._bad: Merchant | None = None
        self.faults: list[AssertionError] = []

    @property
    def got(self) -> list[Request]:
        """All that he read."""
        peers = [*self._front.peers, *self._good.peers, *(self._bad.peers if self._bad else ())]
        return [request for peer in peers for request in peer.requests]

    async def _serve(self, peer: Peer) -> None:
        self.left -= 1
        if self.left < 0:
            await _splice(peer, self._good.port)
        elif self._bad is not None:
            await _splice(peer, self._bad.port)
        else:
            try:
                await self.kind.serve(peer)
            except AssertionError as fault:
                self.faults.append(fault)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        tls = {"ssl": served_by(AUTHORITY)} if self.kind.is_tls else {}
        async with AsyncExitStack() as stack:
            self._good = await stack.enter_async_context(merchant(takes_it, **tls))
            if self.kind.shows is not None:
                self._bad = await stack.enter_async_context(merchant(takes_it, ssl=self.kind.shows()))
            self._front = await stack.enter_async_context(merchant(self._serve))
            self.port = self._front.port
            yield


async def _splice(peer: Peer, port: int) -> None:
    """Make of the connection one to that port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def there() -> None:
        while data := await peer.reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def back() -> None:
        while data := await reader.read(65_536):
            await peer.say(data)
        peer.writer.close()

    try:
        await asyncio.gather(there(), back())
    finally:
        writer.transport.abort()
