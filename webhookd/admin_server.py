"""The admin listener's server: what the hooks' server closes, closed here too, and nobody holds an answer for ever."""

import asyncio
import resource
from typing import Any, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from webhookd.admin.waiting import WAITING_MAX
from webhookd.receive.answer import problem
from webhookd.receive.connection import VERSIONS, BoundedServer, Connection, not_spoken
from webhookd.receive.server import KEEPALIVE_S, LINGERING_S

UNREAD_S_MAX = 30.0
"""So long may a peer take nothing of what it was answered."""
UNREAD_MAX = 256
"""Answers that wait to be taken, each of up to a MiB; beyond it whoever does not take his at once is cut."""
CONNECTIONS_BESIDE = 64
"""Connections beside those that wait for a payment."""


class AdminProtocol(Connection):
    """One connection. What is not HTTP is answered as on the hooks' listener, and quoted nowhere."""

    unread_s = UNREAD_S_MAX
    _patience: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        server = cast(AdminServer, self._manager)
        if self.transport is not None:
            wait_s = self.unread_s if server.unread < UNREAD_MAX else 0.0
            self._patience = self._loop.call_later(wait_s, self.transport.abort)
            server.unread += 1

    def resume_writing(self) -> None:
        self._calm()
        super().resume_writing()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
            cast(AdminServer, self._manager).unread -= 1


class AdminServer(BoundedServer):
    """Strangers may connect: at the bound the newest is cut, so that they leave the rest its descriptors."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.unread = 0
        self.connections_max = min(WAITING_MAX, files_max // 3) + CONNECTIONS_BESIDE

    def __call__(self) -> RequestHandler:
        return AdminProtocol(self, loop=self._loop, **self._kwargs)


class AdminRunner(web.AppRunner):
    async def _make_server(self) -> web.Server:
        await super()._make_server()  # makes the application ready
        return AdminServer(
            self._handle,
            request_factory=self.app._make_request,  # noqa: SLF001
            handler_cancellation=True,
            keepalive_timeout=KEEPALIVE_S,
            lingering_time=LINGERING_S,
            auto_decompress=False,
            access_log=None,
        )

    async def _handle(self, request: web.Request) -> Any:
        if request.version not in VERSIONS:
            return not_spoken()
        if request.headers.get("Expect", "100-continue").lower() != "100-continue":
            # The router's own answer quotes it, and comes before anything else is asked.
            return problem(417, "Of the expectations only 100-continue is met.", close=True)
        return await self.app._handle(request)  # noqa: SLF001 - as aiohttp's own runner has it
