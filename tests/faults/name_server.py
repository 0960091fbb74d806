"""A name server that says what it is told to say: addresses, a failure, nothing. DNS over UDP and TCP (RFC 1035)."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Literal

Says = Sequence[str] | Literal["failure", "nothing"]
"""IPv4 addresses; a name has none of the other kind."""
A, SERVER_FAILURE, NO_SUCH_NAME = 1, 2, 3
UDP_BYTES_MAX = 512
TTL_S = 0


class NameServer:
    def __init__(self, says: Mapping[str, Says]) -> None:
        self.says = dict(says)
        self.asked: list[str] = []

    def answer(self, question: bytes, bytes_max: int) -> bytes | None:
        """None: nothing is said. A longer answer is said to be cut: it is to be asked for over TCP."""
        name, end = _name(question)
        (kind,) = struct.unpack_from("!H", question, end)
        asked = question[12 : end + 4]
        says = self.says.get(name)
        self.asked.append(name)
        if says == "nothing":
            return None
        if says is None or says == "failure":
            code = NO_SUCH_NAME if says is None else SERVER_FAILURE
            return question[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, 0, 0, 0) + asked
        addresses = says if kind == A else []
        # Each is of the name that was asked for, which stands at byte 12.
        records = b"".join(struct.pack("!HHHIH", 0xC00C, A, 1, TTL_S, 4) + socket.inet_aton(each) for each in addresses)
        whole = question[:2] + struct.pack("!HHHHH", 0x8180, 1, len(addresses), 0, 0) + asked + records
        if len(whole) <= bytes_max:
            return whole
        return question[:2] + struct.pack("!HHHHH", 0x8380, 1, 0, 0, 0) + asked

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), (host, port))
        server = await asyncio.start_server(self._stream, host, port)
        try:
            yield
        finally:
            datagrams.close()
            server.close()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                if (answer := self.answer(await reader.readexactly(size), 65_535)) is not None:
                    writer.write(struct.pack("!H", len(answer)) + answer)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # type: ignore[override]
        if (answer := self._server.answer(data, UDP_BYTES_MAX)) is not None:
            self._transport.sendto(answer, addr)


def _name(question: bytes) -> tuple[str, int]:
    """What is asked for, and where it ends."""
    labels, at = [], 12
    while size := question[at]:
        labels.append(question[at + 1 : at + 1 + size].decode().lower())
        at += 1 + size
    return ".".join(labels), at + 1
