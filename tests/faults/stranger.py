"""Sends bytes and hears all that comes back, on a bare socket: a stream would lose what came before a reset.

What came back is read as strictly as RFC 9112 has it: whoever answers rubbish must not do so in rubbish.
"""

import asyncio
import json
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from tests.running import PATIENCE_S

_HEAD = re.compile(rb"HTTP/1\.[01] (\d{3}) ([ -~]+)\r\n((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+: [ -~]*\r\n)*)\r\n")
_CHUNK = re.compile(rb"([0-9a-f]+)\r\n")
BODILESS = (204, 304)
PIECE_BYTES = 2**16


class Told(NamedTuple):
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Heard(NamedTuple):
    """All that came back on one connection, until the other side ended it."""

    received: bytes
    was_reset: bool

    def answers(self) -> list[Told]:
        """Raises AssertionError where they are not HTTP, or one is cut short without a reset."""
        found, rest = [], self.received
        while rest:
            told, after = _one(rest)
            if told is None:
                assert self.was_reset, f"half an answer: {rest[:500]!r}"
                break
            found.append(told)
            rest = after
        return found


async def heard(port: int, pieces: Iterable[bytes], address: str = "127.0.0.1") -> Heard:
    """Send the pieces, and listen until the other side ends the connection. Raises TimeoutError when it does not."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.bind((address, 0))
        async with asyncio.timeout(PATIENCE_S):
            await loop.sock_connect(connection, ("127.0.0.1", port))
            sending = asyncio.ensure_future(_send(connection, pieces))
            try:
                return await _listen(connection)
            finally:
                sending.cancel()
                await asyncio.wait([sending])


async def _send(connection: socket.socket, pieces: Iterable[bytes]) -> None:
    loop = asyncio.get_running_loop()
    with suppress(OSError):  # cut while sending: what came back before that is heard all the same
        for piece in pieces:
            await loop.sock_sendall(connection, piece)
            await asyncio.sleep(0)


async def _listen(connection: socket.socket) -> Heard:
    loop, received = asyncio.get_running_loop(), bytearray()
    try:
        while piece := await loop.sock_recv(connection, PIECE_BYTES):
            received += piece
    except OSError:
        return Heard(bytes(received), was_reset=True)
    return Heard(bytes(received), was_reset=False)


def _one(raw: bytes) -> tuple[Told | None, bytes]:
    """The first answer and what follows it. None where it is not there whole."""
    head = _HEAD.match(raw)
    if head is None:
        assert b"\r\n\r\n" not in raw, f"no answer in HTTP: {raw[:500]!r}"
        return None, b""
    lines = [line.split(": ", 1) for line in head[3].decode("ascii").split("\r\n")[:-1]]
    headers = {name.lower(): value for name, value in lines}
    assert len(headers) == len(lines), f"a header twice: {head[0]!r}"
    status, rest = int(head[1]), raw[head.end() :]
    if status < 200 or status in BODILESS:
        return Told(status, headers, b""), rest
    body, rest = _chunks(rest) if "transfer-encoding" in headers else _whole(rest, int(headers["content-length"]))
    return (None if body is None else Told(status, headers, body)), rest


def _whole(raw: bytes, size: int) -> tuple[bytes | None, bytes]:
    return (raw[:size] if len(raw) >= size else None), raw[size:]


def _chunks(raw: bytes) -> tuple[bytes | None, bytes]:
    body = b""
    while size := _CHUNK.match(raw):
        end = size.end() + int(size[1], 16)
        if len(raw) < end + 2:
            return None, b""
        assert raw[end : end + 2] == b"\r\n", f"no chunk: {raw[:100]!r}"
        body, raw = body + raw[size.end() : end], raw[end + 2 :]
        if end == size.end():
            return body, raw
    assert len(raw) < 16, f"no chunk: {raw[:100]!r}"
    return None, b""


def assert_problem_body(told: Told) -> None:
    """As RFC 9457 and the contract have it."""
    assert told.headers["content-type"] == "application/problem+json", told
    problem = json.loads(told.body)
    assert problem.keys() - {"errors"} == {"type", "title", "status", "detail"}, problem
    assert (problem["status"], problem["type"]) == (told.status, "about:blank")
    assert all(isinstance(problem[name], str) and problem[name] for name in ("title", "detail"))
    assert told.status != 503 or "retry-after" in told.headers
    assert told.status != 405 or "allow" in told.headers
