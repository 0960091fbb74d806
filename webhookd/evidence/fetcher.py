"""One HTTPS request for evidence: no redirects, one deadline for all of it, and no more bytes than were asked for."""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable
from functools import partial

import aiohttp
import msgspec

from webhookd import __version__
from webhookd.providers.provider import Request

FETCH_S = 5.0
CONNECTIONS_MAX = 32
HEAD_BYTES_MAX = 8190
_MAX_AGE = re.compile(r"(?:^|,)\s*max-age=(\d{1,9})\s*(?:,|$)", re.ASCII | re.IGNORECASE)


Check = Callable[[str, int], None]


class FetchError(Exception):
    """There is no answer of use. `word` says why: connect, tls, timeout, status, size, …"""

    def __init__(self, word: str, status: int | None = None) -> None:
        super().__init__(word if status is None else f"{word} {status}")
        self.word = word
        self.status = status


class Answer(msgspec.Struct, frozen=True):
    body: bytes
    max_age_s: int | None
    """As the sender's Cache-Control has it."""


class Fetcher:
    """`check` is asked for each address and port about to be dialled; to forbid it, it raises what is no OSError."""

    def __init__(
        self,
        check: Check,
        *,
        timeout_s: float = FETCH_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._timeout_s = timeout_s
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                socket_factory=partial(_socket, check),
                ssl=tls or True,
                limit=CONNECTIONS_MAX,
                ttl_dns_cache=30,
                keepalive_timeout=15,
            ),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=False,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=HEAD_BYTES_MAX,
            max_field_size=HEAD_BYTES_MAX,
            headers={"User-Agent": f"webhookd/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        await self._session.close()

    async def fetch(self, request: Request) -> Answer:
        """Raises FetchError."""
        if not request.url.startswith("https://"):
            raise FetchError("url")
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._answer(request)
        except FetchError:
            raise
        except Exception as error:
            raise FetchError(_word(error)) from error

    async def _answer(self, request: Request) -> Answer:
        method = "GET" if request.body is None else "POST"
        response = await self._session.request(
            method, request.url, data=request.body, headers=request.headers, allow_redirects=False
        )
        try:
            if response.status != 200:
                raise FetchError("status", response.status)
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise FetchError("encoding")
            body = b""
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > request.answer_bytes_max:
                    raise FetchError("size")
            if request.holds not in body:
                raise FetchError("answer")
            return Answer(body, _max_age_s(response.headers.get("Cache-Control", "")))
        finally:
            if response.content.at_eof():
                response.release()
            else:
                response.close()


def _socket(check: Check, address: aiohttp.AddrInfoType) -> socket.socket:
    """For aiohttp, which connects it to this address."""
    family, kind, protocol, _, at = address
    try:
        check(*at[:2])
    except Exception as error:
        raise FetchError("blocked") from error
    return socket.socket(family, kind, protocol)


def _max_age_s(cache_control: str) -> int | None:
    found = _MAX_AGE.search(cache_control)
    return int(found[1]) if found else None


def _word(error: Exception) -> str:
    match error:
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
        case aiohttp.ClientPayloadError():
            return "cut_short"
        case _:
            return "protocol"
