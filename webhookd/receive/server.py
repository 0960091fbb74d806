"""The public listener's server: idle limits, a bound on connections, and an end that loses no request."""

import asyncio
import resource
from typing import Any

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from webhookd.receive.at_once import AtOnce, AtOnceServer, HookConnection
from webhookd.receive.connection import TurnedAway

KEEPALIVE_S = 15.0
"""Also the only limit on a connection that is idle or sends its head byte by byte."""
LINGERING_S = 1.0
CONNECTIONS_MAX = 8192
FILES_KEPT = 512
"""Descriptors that connections of strangers leave to deliveries and to the store."""
FAREWELL_S, LOOK_S = 1.0, 0.02
"""What a connection has for one more request when the server stops; the answer says that it is the last."""
BACKLOG = 1024


class HookServer(AtOnceServer):
    """`body_bytes_max` bounds what is ever read of a body. Raises RuntimeError without aiohttp's C parser.

    The pure-Python parser reads malformed requests differently (aiohttp's THREAT_MODEL.md, 1.12).
    """

    def __init__(self, handler: Any, at_once: AtOnce, *, body_bytes_max: int) -> None:
        super().__init__(
            handler,
            keepalive_timeout=KEEPALIVE_S,
            lingering_time=LINGERING_S,
            tcp_keepalive=False,  # none lives for so long without being used
            auto_decompress=False,
            access_log=None,
        )
        if HttpRequestParser.__module__ == "aiohttp.http_parser":
            raise RuntimeError("aiohttp is installed without its C parser: install it from a wheel")
        self.at_once = at_once
        self._body_bytes_max = body_bytes_max
        self.is_stopping = False
        files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.connections_max = min(CONNECTIONS_MAX, max(64, files_max - FILES_KEPT))

    def __call__(self) -> RequestHandler | TurnedAway:  # type: ignore[override]
        if len(self._connections) >= self.connections_max:
            return TurnedAway(self)
        return HookConnection(self, loop=self._loop, **self._kwargs)

    def pre_shutdown(self) -> None:
        """From here on each answer is the last one of its connection, and says so."""
        self.is_stopping = True

    async def shutdown(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - aiohttp's own
        """Whose request is on its way, on a new connection or on a kept one, is served; then the silent ones end.

        To close a kept connection at once would lose what its sender writes at the same moment.
        """
        until = self._loop.time() + FAREWELL_S
        while self._connections and self._loop.time() < until:  # noqa: ASYNC110 - aiohttp does not say when one is gone
            await asyncio.sleep(LOOK_S)
        for connection in self._connections:
            connection.close()
        await super().shutdown(timeout)

    def _make_request(
        self, message: RawRequestMessage, payload: Any, protocol: RequestHandler, writer: Any, task: Any
    ) -> web.BaseRequest:
        return web.BaseRequest(
            message, payload, protocol, writer, task, self._loop, client_max_size=self._body_bytes_max
        )
