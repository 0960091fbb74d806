"""Somebody who looks at the dashboard, at the least cost to himself: one connection, one page at a time."""

import asyncio
import time
from typing import NamedTuple
from urllib.parse import quote

_HEAD_END = b"\r\n\r\n"


class Read(NamedTuple):
    status: int
    head: bytes
    body: bytes
    seconds: float
    """From writing the request to its last byte."""


class Reader:
    """`open` first, and `close` at the end. Raises ConnectionError when the daemon is gone."""

    def __init__(self, admin: str) -> None:
        self._admin = admin
        self._host, _, port = admin.removeprefix("http://").rpartition(":")
        self._port = int(port)
        self._cookie = b""
        self._in: asyncio.StreamReader
        self._out: asyncio.StreamWriter

    async def open(self, token: str) -> None:
        """Logged in. Raises SystemExit when the token does not open the door."""
        self._in, self._out = await asyncio.open_connection(self._host, self._port)
        form = f"then=/&token={quote(token)}".encode()
        entered = await self._ask(
            f"POST /login HTTP/1.1\r\nOrigin: {self._admin}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(form)}\r\n",
            form,
        )
        if entered.status != 303:
            raise SystemExit(f"the login was answered {entered.status}")
        self._cookie = b"Cookie: " + _header(entered.head, b"set-cookie").partition(b";")[0] + b"\r\n"

    async def read(self, path: str) -> Read:
        return await self._ask(f"GET {path} HTTP/1.1\r\nAccept: text/html\r\n", b"")

    def close(self) -> None:
        self._out.close()

    async def _ask(self, head: str, body: bytes) -> Read:
        host = f"Host: {self._host}:{self._port}\r\n".encode()
        began = time.perf_counter()
        self._out.write(head.encode() + host + self._cookie + b"\r\n" + body)
        try:
            answered = await self._in.readuntil(_HEAD_END)
            text = await self._in.readexactly(int(_header(answered, b"content-length") or b"0"))
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("the daemon closed the connection") from error
        return Read(int(answered.split(b" ", 2)[1]), answered, text, time.perf_counter() - began)


def _header(head: bytes, name: bytes) -> bytes:
    """Its value; empty when it is not there."""
    at = head.lower().find(b"\r\n" + name + b":")
    return head[at + len(name) + 3 :].partition(b"\r\n")[0].strip() if at >= 0 else b""
