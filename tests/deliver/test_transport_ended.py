"""Attempts that are given up half way, at every await there is, and a transport that is closed under them."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Coroutine, Generator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.deliver.raw import Merchant, Peer, merchant, polite, post, served_by, transport, trusting, word
from tests.running import PATIENCE_S
from webhookd.core.proxy import Proxy
from webhookd.deliver import dial, resolve
from webhookd.deliver.connection import Connection
from webhookd.deliver.http_transport import HttpTransport
from webhookd.deliver.resolve import look_up
from webhookd.deliver.transport import Response, TransportError

AUTHORITY = trustme.CA()


class CancelledAt:
    """Runs a coroutine and cancels it at one of its awaits: while it waits, or when what it waited for is there."""

    def __init__(self, coroutine: Coroutine[Any, Any, Response], at: int, *, while_waiting: bool) -> None:
        self._coroutine = coroutine
        self._at = at
        self._while_waiting = while_waiting
        self.waits = 0

    def __await__(self) -> Generator[Any, Any, Response]:
        error: BaseException | None = None
        while True:
            try:
                future = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
            except StopIteration as done:
                return done.value
            self.waits += 1
            here = self.waits == self._at
            if here and self._while_waiting and future is not None:
                future.cancel()  # as asyncio.Task.cancel does
            error = None
            try:
                yield future
            except BaseException as raised:  # noqa: BLE001 - it is the coroutine's business
                error = raised
            if here and not self._while_waiting:
                error = asyncio.CancelledError()


async def tunnelling(peer: Peer) -> None:
    """An egress proxy that connects to wherever it is asked to."""
    head = (await peer.reader.readuntil(b"\r\n\r\n")).decode()
    host, _, port = head.split(" ")[1].rpartition(":")
    reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    await peer.say(b"HTTP/1.1 200 Connection established\r\n\r\n")

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.close()

    await asyncio.gather(pump(peer.reader, writer), pump(reader, peer.writer))


@asynccontextmanager
async def way(kind: str) -> AsyncIterator[tuple[HttpTransport, Merchant, str, dict[str, Any]]]:
    """A transport, and where it posts to."""
    tls = served_by(AUTHORITY) if kind in ("tls", "proxy") else None
    async with merchant(polite, ssl=tls) as there, merchant(tunnelling) as proxy:
        url = f"{'https' if tls else 'http'}://localhost:{there.port}/"
        settings = {"tls": trusting(AUTHORITY)} if tls else {}
        through = Proxy("127.0.0.1", proxy.port) if kind == "proxy" else None
        several = lambda host, port: [*look_up("127.0.0.2", 1), *look_up("127.0.0.1", port)]  # noqa: E731
        async with transport(proxy=through, look_up=several if kind == "addresses" else look_up) as ours:
            yield ours, there, url, settings


@pytest.mark.parametrize("while_waiting", [True, False])
@pytest.mark.parametrize("kind", ["plain", "addresses", "tls", "proxy"])
@pytest.mark.parametrize("kept", [False, True])
async def test_wherever_it_is_cancelled_nothing_stays_and_the_next_one_gets_its_own_answer(
    kind: str, kept: bool, while_waiting: bool
):
    for at in count(1):
        async with way(kind) as (ours, there, url, settings):
            if kept:
                await post(ours, url, 1, **settings)
            cancelled = CancelledAt(post(ours, url, 2, **settings), at, while_waiting=while_waiting)
            try:
                response = await cancelled
            except asyncio.CancelledError:
                assert not [each for each in ours._pool._open if each not in ours._pool._idle and not closing(each)]
            else:
                assert response.body == b"2"
            assert (await post(ours, url, 3, **settings)).body == b"3"
            async with asyncio.timeout(PATIENCE_S):
                await ours.close()
            await there.left_alone()
        if cancelled.waits < at:
            assert at > 1, "there was an await to be cancelled at"
            break
    gc.collect()  # a socket that nobody closed says so now, and fails the test


def closing(each: Any) -> bool:
    return each._transport.is_closing()


async def test_no_descriptor_is_left_behind():
    def descriptors() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    async def round_trip(cancel_at: int) -> None:
        async with way("tls") as (ours, there, url, settings):
            with suppress(asyncio.CancelledError):
                await CancelledAt(post(ours, url, 1, **settings), cancel_at, while_waiting=True)
            await ours.close()
            await there.left_alone()

    await round_trip(1)
    before = descriptors()
    for at in range(1, 8):
        await round_trip(at)
    async with asyncio.timeout(PATIENCE_S):
        while descriptors() > before:  # the merchant's side of the last ones ends in its own time
            await asyncio.sleep(0)


# --- Lost or closed between the dial and the request


@pytest.mark.parametrize("given_up", [False, True])
async def test_one_that_is_lost_before_it_is_used_is_a_failed_attempt(given_up: bool, monkeypatch: pytest.MonkeyPatch):
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    async def hangs_up(peer: Peer) -> None:
        pass

    async def dialled_too_late(*arguments: Any) -> Connection:
        connection = await dialled(*arguments)
        while not connection.over:
            await asyncio.sleep(0)
        if given_up:
            raise TransportError("timeout")
        return connection

    async with merchant(hangs_up) as there, transport() as ours:
        dialled = ours._dialler.dial
        monkeypatch.setattr(ours._dialler, "dial", dialled_too_late)
        assert await word(ours, there) == ("timeout" if given_up else "disconnected")
    gc.collect()
    assert complaints == []


async def test_one_that_was_dialled_while_all_is_closed_is_closed_too(monkeypatch: pytest.MonkeyPatch):
    async def closed_meanwhile(*arguments: Any) -> Connection:
        connection = await dialled(*arguments)
        await ours.close()
        return connection

    async with merchant(polite) as there, transport() as ours:
        dialled = ours._dialler.dial
        monkeypatch.setattr(ours._dialler, "dial", closed_meanwhile)
        assert await word(ours, there) == "disconnected"
        await there.left_alone()
        assert there.requests == [0]


# --- Closed


async def silent(peer: Peer) -> None:
    await peer.hung_up()


@pytest.mark.parametrize("kind", ["plain", "tls"])
async def test_closing_fails_what_is_under_way(kind: str):
    authority = AUTHORITY
    async with merchant(silent, ssl=served_by(authority) if kind == "tls" else None) as there, transport() as ours:
        url, tls = (f"https://localhost:{there.port}/", trusting(authority))
        if kind == "plain":
            url, tls = (f"http://localhost:{there.port}/", None)
        posted = [asyncio.create_task(word(ours, url, number, tls=tls)) for number in range(3)]
        await there.visited(3)
        while len(ours._pool._open) < 3:
            await asyncio.sleep(0)
        await ours.close()
        assert not ours._pool._open
        assert await asyncio.gather(*posted) == ["disconnected"] * 3
        await there.left_alone()
        assert await word(ours, url, tls=tls) == "disconnected", "and nobody is dialled afterwards"
        assert len(there.peers) == 3


async def test_closing_does_not_wait_for_dials(monkeypatch: pytest.MonkeyPatch):
    """A name server that says nothing, and a handshake that does not go on."""
    monkeypatch.setattr(dial, "TLS_S", 3_600)
    monkeypatch.setattr(resolve, "LOOKUP_S", 3_600)
    asked, over = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def never(host: str, port: int) -> list[Any]:
        loop.call_soon_threadsafe(asked.set)
        over.wait(PATIENCE_S)
        return []

    async with merchant(silent) as there, transport(look_up=never) as ours:
        urls = ("https://shop.example/", f"https://127.0.0.1:{there.port}/")
        dials = [asyncio.create_task(word(ours, url, timeout_s=3_600)) for url in urls]
        await asked.wait()
        await there.visited(1)
        await ours.close()
        async with asyncio.timeout(PATIENCE_S):
            name, handshake = await asyncio.gather(*dials)
        assert name in ("timeout", "dns")
        assert handshake == "timeout"
        assert not ours._resolver._under_way
        await there.left_alone()
        over.set()


async def test_closing_twice_is_closing():
    async with merchant(polite) as there, transport() as ours:
        await post(ours, there)
        await ours.close()
        await ours.close()


async def test_what_is_cancelled_and_closed_at_once_ends():
    async with merchant(silent) as there, transport() as ours:
        posted = asyncio.create_task(post(ours, there))
        await there.visited(1)
        posted.cancel()
        await ours.close()
        with pytest.raises((asyncio.CancelledError, TransportError)):
            await posted
