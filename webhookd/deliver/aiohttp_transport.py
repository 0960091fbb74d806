"""The transport on aiohttp's client."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from functools import partial

import aiohttp

from webhookd.core.delivery import RESPONSE_BYTES_MAX
from webhookd.deliver.guard import BlockedAddressError, Guard
from webhookd.deliver.transport import Response, TransportError

CONNECT_S = 5.0
HEAD_BYTES_MAX = 8190


class AiohttpTransport:
    """Two pools, since the guard sees an address but no URL: one for http:// without `allow_http`, one for the rest."""

    def __init__(self, guard: Guard) -> None:
        self._plain = self._session(guard, plain_http=True)
        self._open = self._session(guard, plain_http=False)

    async def close(self) -> None:
        await self._plain.close()
        await self._open.close()

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float, allow_http: bool
    ) -> Response:
        session = self._plain if url.startswith("http:") and not allow_http else self._open
        timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(CONNECT_S, timeout_s))
        try:
            response = await session.post(url, data=body, headers=headers, allow_redirects=False, timeout=timeout)
            try:
                start = b""
                async with asyncio.timeout(timeout_s):
                    while len(start) < RESPONSE_BYTES_MAX and not response.content.at_eof():
                        start += await response.content.read(RESPONSE_BYTES_MAX - len(start))
                retry_after = response.headers.get("Retry-After")
                return Response(response.status, retry_after, start)
            finally:
                if response.content.at_eof():
                    response.release()
                else:
                    response.close()
        except Exception as error:
            raise TransportError(_word(error)) from error

    def _session(self, guard: Guard, *, plain_http: bool) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                socket_factory=partial(guarded_socket, partial(guard.check, plain_http=plain_http)),
                ttl_dns_cache=30,
                limit=0,  # the dispatcher's caps are the limit
                keepalive_timeout=30,
            ),
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=HEAD_BYTES_MAX,
            max_field_size=HEAD_BYTES_MAX,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent"),
        )


def guarded_socket(check: Callable[[str, int], None], addr_info: tuple[object, ...]) -> socket.socket:
    """Called by aiohttp for every address that is about to be dialled."""
    family, kind, protocol, _, address = addr_info
    check(*address[:2])  # type: ignore[index]
    made = socket.socket(family, kind, protocol)  # type: ignore[arg-type]
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _word(error: Exception) -> str:
    match error:
        case BlockedAddressError():
            return "blocked"
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls"
        case aiohttp.ClientConnectorError():
            return "connect"
        case aiohttp.ClientOSError() | aiohttp.ServerDisconnectedError():
            return "disconnected"
        case aiohttp.InvalidURL():
            return "url"
        case _:
            return "protocol"
