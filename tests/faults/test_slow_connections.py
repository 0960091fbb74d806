"""Row 36: thousands of connections that are slow on purpose are cut at their deadlines, and good traffic goes on."""

import asyncio
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from random import Random

import pytest

from tests.faults.crowd import files_of
from tests.receive.inside import receiving
from tests.receive.wire import Wire, ask, event, head, post, stripe, wire
from tests.running import PATIENCE_S, daemon
from webhookd.receive import routes, server

pytestmark = pytest.mark.fault(36)
LOOK_EVERY_S = 0.05
DIALLED_AT_ONCE = 200
HURRIED = """
from webhookd.receive import routes, server
routes.BODY_S, server.KEEPALIVE_S = 1.0, 1.5
from webhookd.cli.app import main
main()
"""
HOOK = "POST /webhooks/stripe HTTP/1.1"
BODY_BEGUN = head(HOOK, {"Content-Length": "1000000"}) + b"{"
CHUNK_BEGUN = head(HOOK, {"Transfer-Encoding": "chunked"}) + b"f0000\r\n{"
HEALTHY = head("GET /healthz HTTP/1.1")
SLOW = {
    "says nothing": (b"", b""),
    "head, byte by byte": (b"POST /webhooks/stripe HTTP/1.1\r\nX: ", b"x"),
    "first line, byte by byte": (b"POST /", b"a"),
    "body, byte by byte": (BODY_BEGUN, b" "),
    "chunk, byte by byte": (CHUNK_BEGUN, b" "),
    "body that stays away": (BODY_BEGUN, b""),
    "silent after an answer": (HEALTHY, b""),
    "another head after an answer": (HEALTHY + b"POST /web", b"h"),
    "another body after an answer": (HEALTHY + BODY_BEGUN, b" "),
}
"""What is sent at once, and then again and again. None of them ends by itself."""
ANSWERS = {
    "body, byte by byte": [408],
    "chunk, byte by byte": [408],
    "body that stays away": [408],
    "silent after an answer": [200],
    "another head after an answer": [200],
    "another body after an answer": [200, 408],
}


def good(name: str) -> bytes:
    body = event(name)
    return post("stripe", body, stripe(body))


def sent(port: int, request: bytes) -> int:
    """The status. Nothing is between connecting and sending: on a busy machine its sender would be slow himself."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        connection.sendall(request)
        return int(connection.makefile("rb").readline().split()[1])


async def lives_slowly(connection: Wire, goes_on: bytes, byte_every_s: float) -> list[int]:
    """Until it is cut: the statuses that it was answered. Raises TimeoutError when it is not."""

    async def dribble() -> None:
        with suppress(OSError):
            while goes_on:
                await connection.send(goes_on)
                await asyncio.sleep(byte_every_s)

    dribbling = asyncio.create_task(dribble())
    try:
        return [*statuses(await connection.rest())]
    finally:
        dribbling.cancel()
        await asyncio.wait([dribbling])


def statuses(received: bytes) -> Iterator[int]:
    for piece in received.split(b"HTTP/1.1 ")[1:]:
        yield int(piece[:3])


async def test_slow_connections_are_cut_and_no_good_hook_notices(
    tmp_path: Path, torture: bool, dice: Random, record_property: Callable[[str, object], None]
) -> None:
    count, byte_every_s = (5_000, 2.0) if torture else (180, 0.1)
    kinds = [*SLOW] * (count // len(SLOW))
    dice.shuffle(kinds)
    command = None if torture else [sys.executable, "-c", HURRIED, "serve"]
    async with daemon(tmp_path, command=command) as running:
        assert (await ask(running.port, good("evt_first"))).status == 200
        files = files_of(running)
        found: Counter[tuple[str, tuple[int, ...]]] = Counter()
        hooks = 0

        dialling = asyncio.Semaphore(DIALLED_AT_ONCE)

        async def one(kind: str) -> None:
            async with AsyncExitStack() as stack:
                async with dialling:  # whoever is long kept from his first byte by the others is cut without it
                    connection = await stack.enter_async_context(wire(running.port))
                    await connection.send(SLOW[kind][0])
                found[kind, tuple(await lives_slowly(connection, SLOW[kind][1], byte_every_s))] += 1

        slow = [asyncio.create_task(one(kind)) for kind in kinds]
        while not all(task.done() for task in slow):
            assert await asyncio.to_thread(sent, running.port, good(f"evt_{hooks}")) == 200
            hooks += 1
        await asyncio.gather(*slow)
        wanted = Counter((kind, tuple(ANSWERS.get(kind, []))) for kind in kinds)
        assert found == wanted
        async with asyncio.timeout(PATIENCE_S):
            while files_of(running) > files:
                await asyncio.sleep(LOOK_EVERY_S)
        assert await running.stop() == 0
    record_property("slow_connections", len(kinds))
    record_property("acks", hooks + 1)


def test_the_deadlines_are_what_they_are_said_to_be() -> None:
    """What the test above shortens."""
    assert (server.KEEPALIVE_S, routes.BODY_S, server.LINGERING_S, server.CONNECTIONS_MAX) == (15, 10, 1, 8192)


async def test_bodies_that_are_only_announced_keep_no_good_one_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever says that much will come has not sent it: what is bounded is what has come."""
    monkeypatch.setattr(routes, "READING_BYTES_MAX", 2_000)
    async with receiving() as inside:
        at = int(inside.clock.at_s)
        liars = [wire(inside.port) for _ in range(20)]
        for liar in liars:
            connection = await liar.__aenter__()
            await connection.send(BODY_BEGUN)
        body = event("evt_1")
        request = post("stripe", body, stripe(body, at=at))
        async with wire(inside.port) as connection:
            await connection.send(request[:-10])
            assert (await ask(inside.port, HEALTHY)).status == 200
            await connection.send(request[-10:])
            assert (await connection.answer()).status == 200
        for liar in liars:
            await liar.__aexit__(None, None, None)


async def test_a_receiver_is_after_a_crowd_as_it_was_before() -> None:
    """No task and no timer is left of any of them."""
    async with receiving() as inside:
        assert (await ask(inside.port, HEALTHY)).status == 200
        before = len(asyncio.all_tasks())
        at = int(inside.clock.at_s)
        requests = [HEALTHY, BODY_BEGUN, CHUNK_BEGUN, b"", b"GET", *(good_at(f"evt_{n}", at) for n in range(40))]
        connections = [wire(inside.port) for _ in requests]
        for connection, request in zip(connections, requests, strict=True):
            await (await connection.__aenter__()).send(request)
        assert (await ask(inside.port, HEALTHY)).status == 200
        for connection in connections:
            await connection.__aexit__(None, None, None)
        async with asyncio.timeout(PATIENCE_S):
            while len(asyncio.all_tasks()) > before:
                await asyncio.sleep(LOOK_EVERY_S)
        assert (await ask(inside.port, good_at("evt_last", at))).status == 200


def good_at(name: str, at: int) -> bytes:
    body = event(name)
    return post("stripe", body, stripe(body, at=at))
