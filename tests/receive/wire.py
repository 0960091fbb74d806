"""Raw bytes to a receiver and what comes back: no HTTP client stands between, because none would send such things."""

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from tests.running import PATIENCE_S, STANDARD_SECRET, STRIPE_SECRET

Headers = dict[str, str | bytes]
_addresses = itertools.count(2)


def new_address() -> str:
    """A loopback address nobody has sent a bad signature from yet: they are counted by address."""
    number = next(_addresses)
    return f"127.1.{number >> 8}.{number & 255}"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    raw: bytes
    """Head and body as they came."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection. An end that comes as a reset is an end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *pieces: bytes) -> None:
        async with asyncio.timeout(PATIENCE_S):
            self._writer.write(b"".join(pieces))
            await self._writer.drain()

    def end(self) -> None:
        """Send no more, and still listen."""
        self._writer.write_eof()

    async def answer(self, *, to_head: bool = False) -> Answer:
        async with asyncio.timeout(PATIENCE_S):
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("ascii").split("\r\n")[:-2]
            version, status, phrase = first.split(" ", 2)
            assert version == "HTTP/1.1"
            assert phrase
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            size = 0 if to_head or status.startswith("1") else int(headers["content-length"])
            body = await self._reader.readexactly(size)
        return Answer(int(status), headers, head + body, body)

    async def rest(self) -> bytes:
        """All that comes until the other side ends the connection."""
        received = bytearray()
        async with asyncio.timeout(PATIENCE_S):
            try:
                while piece := await self._reader.read(2**16):
                    received += piece
            except ConnectionResetError:
                pass
        return bytes(received)

    async def cut(self) -> None:
        """Go away without a word."""
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()


@asynccontextmanager
async def wire(port: int, address: str = "127.0.0.1") -> AsyncIterator[Wire]:
    async with asyncio.timeout(PATIENCE_S):
        connection = Wire(*await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0)))
    try:
        yield connection
    finally:
        await connection.cut()


async def ask(port: int, *pieces: bytes, address: str = "127.0.0.1") -> Answer:
    """The answer to what is sent on a connection of its own."""
    async with wire(port, address) as connection:
        await connection.send(*pieces)
        return await connection.answer()


def head(line: str, headers: Headers | None = None, *more: bytes, host: bytes | None = b"hooks.example") -> bytes:
    """A request's head; `more` are header lines as they are."""
    lines = [line.encode()]
    if host is not None:
        lines.append(b"Host: " + host)
    for name, value in (headers or {}).items():
        lines.append(name.encode() + b": " + (value if isinstance(value, bytes) else value.encode()))
    return b"\r\n".join([*lines, *more, b"", b""])


def post(source: str, body: bytes, headers: Headers, *more: bytes) -> bytes:
    return head(f"POST /webhooks/{source} HTTP/1.1", {"Content-Length": str(len(body)), **headers}, *more) + body


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def stripe_v1(body: bytes, timestamp: str | bytes, secret: str = STRIPE_SECRET) -> str:
    """The hex digest, made without a line of the code under test."""
    stamp = timestamp if isinstance(timestamp, bytes) else timestamp.encode()
    return hmac.new(secret.encode(), stamp + b"." + body, hashlib.sha256).hexdigest()


def stripe(body: bytes, secret: str = STRIPE_SECRET, *, at: int | None = None) -> Headers:
    stamp = str(int(time.time()) if at is None else at)
    return {"Content-Type": "application/json", "Stripe-Signature": f"t={stamp},v1={stripe_v1(body, stamp, secret)}"}


def standard_v1(body: bytes, message_id: str, timestamp: str, secret: str = STANDARD_SECRET) -> str:
    key = b64decode(secret.removeprefix("whsec_"))
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def standard(body: bytes, message_id: str, secret: str = STANDARD_SECRET, *, at: int | None = None) -> Headers:
    stamp = str(int(time.time()) if at is None else at)
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": standard_v1(body, message_id, stamp, secret),
    }


def event(name: str, **more: Any) -> bytes:
    """A Stripe event with this id."""
    return json.dumps(
        {
            "id": name,
            "object": "event",
            "type": "payment_intent.succeeded",
            "created": 1_700_000_000,
            "data": {"object": {"id": "pi_1", "object": "payment_intent"}},
            **more,
        }
    ).encode()


def event_of_size(name: str, size: int) -> bytes:
    bare = event(name, padding="")
    return event(name, padding="x" * (size - len(bare)))


def assert_problem(answer: Answer, status: int) -> None:
    """The answer is that status, told as RFC 9457 has it."""
    assert answer.status == status, answer.raw
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.keys() == {"type", "title", "status", "detail"}
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    assert problem["detail"]
