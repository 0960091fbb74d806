"""From an origin to a connection: name, guard, socket, proxy, TLS. Each step has a limit, and a word when it fails.

The guard is asked for every address right before it is dialled, and once more for the one that was reached.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from aiohappyeyeballs import start_connection

from webhookd.core.proxy import Proxy
from webhookd.deliver.connection import Connection
from webhookd.deliver.guard import BlockedAddressError, Guard
from webhookd.deliver.proxy import tunnel
from webhookd.deliver.resolve import AddrInfo, Resolver, UnknownNameError, as_number
from webhookd.deliver.route import Origin
from webhookd.deliver.tls import tls_context
from webhookd.deliver.transport import TransportError

Ended = Callable[[Connection], None]
CONNECT_S = 5.0
"""For one connection, whichever of its addresses takes it."""
PROXY_S = 10.0
"""For the proxy's answer: it resolves and dials."""
TLS_S = 5.0
NEXT_ADDRESS_S = 0.25
"""RFC 8305, 5: how long an address may say nothing until the next is tried beside it."""
ADDRESSES_PER_FAMILY_MAX = 4
CONTEXTS_MAX = 256


class Dialler:
    def __init__(self, guard: Guard, resolver: Resolver, proxy: Proxy | None) -> None:
        self._guard = guard
        self._resolver = resolver
        self._proxy = proxy
        self._tls_context = lru_cache(maxsize=CONTEXTS_MAX)(tls_context)

    async def dial(self, origin: Origin, ended: Ended) -> Connection:
        """Raises TransportError. When the caller is cancelled, nothing stays open."""
        try:
            if self._proxy is None:
                connected = await self._directly(origin)
            else:
                connected = await self._through(self._proxy, origin)
        except BlockedAddressError as error:
            raise TransportError("blocked") from error
        return await self._speak(connected, origin, ended)

    async def _directly(self, origin: Origin) -> socket.socket:
        try:
            addresses = await self._resolver.resolve(origin.host, origin.port)
        except UnknownNameError as error:
            raise TransportError("dns") from error
        try:
            connected = await _connect(self._permitted(addresses, origin))
            with _closed_on_failure(connected):
                self._check(connected.getpeername(), origin)
        except (OSError, RuntimeError) as error:  # TimeoutError is an OSError; uvloop may raise RuntimeError
            raise TransportError("connect") from error
        return connected

    def _permitted(self, addresses: Sequence[AddrInfo], origin: Origin) -> list[AddrInfo]:
        """Those that may be dialled. Raises BlockedAddressError when there are none."""
        permitted, blocked = [], BlockedAddressError("no address")
        for each in addresses:
            try:
                self._check(each[4], origin)
            except BlockedAddressError as error:
                blocked = error
            else:
                permitted.append(each)
        if not permitted:
            raise blocked
        return permitted

    def _check(self, address: tuple[str, int], origin: Origin) -> None:
        self._guard.check(address[0], address[1], plain_http=origin.plain_http)

    async def _through(self, proxy: Proxy, origin: Origin) -> socket.socket:
        literal = as_number(origin.host, origin.port)
        if literal:
            self._permitted(literal, origin)
        elif origin.plain_http:
            raise BlockedAddressError("http:// without allow_http, and only the proxy knows where to")
        try:
            connected = await _connect(await self._resolver.resolve(proxy.host, proxy.port))
            with _closed_on_failure(connected):
                async with asyncio.timeout(PROXY_S):
                    await tunnel(connected, proxy, origin.authority)
        except (UnknownNameError, OSError, RuntimeError) as error:
            raise TransportError("proxy") from error
        return connected

    async def _speak(self, connected: socket.socket, origin: Origin, ended: Ended) -> Connection:
        """Hands the socket to the loop, which closes it from there on, also when this fails."""
        loop = asyncio.get_running_loop()
        connection = Connection(origin, connected, ended)
        if not origin.https:
            await loop.create_connection(lambda: connection, sock=connected)
            return connection
        try:
            with _closed_on_failure(connected):
                context = self._tls_context(origin.tls)
            async with asyncio.timeout(TLS_S):
                await loop.create_connection(
                    lambda: connection, sock=connected, ssl=context, server_hostname=origin.host
                )
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError, and so is a peer that hangs up
            raise TransportError("tls") from error
        return connection


async def _connect(addresses: Sequence[AddrInfo]) -> socket.socket:
    """Raises OSError, RuntimeError."""
    by_family: dict[int, list[AddrInfo]] = {}
    for each in addresses:
        by_family.setdefault(each[0], []).append(each)
    tried = [each for family in by_family.values() for each in family[:ADDRESSES_PER_FAMILY_MAX]]
    async with asyncio.timeout(CONNECT_S):
        connected = await start_connection(tried, happy_eyeballs_delay=NEXT_ADDRESS_S)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


@contextmanager
def _closed_on_failure(connected: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connected.close()
        raise
