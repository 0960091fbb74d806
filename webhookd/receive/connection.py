"""aiohttp's connection with its gaps closed: errors that quote nothing, bodies that end, and not too many of them."""

import asyncio
import logging
from typing import Any, cast

from aiohttp import HttpVersion10, HttpVersion11, web
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from webhookd.core.fault import place
from webhookd.receive.answer import Answer, problem

VERSIONS = (HttpVersion11, HttpVersion10)
"""aiohttp's parser would take 0.9 and 2.0 too, read them as if they were 1.0 and 1.1, and answer in them."""
TURNED_AWAY_MAX, TURNED_AWAY_S = 128, 1.0
"""How many may be hearing at one time why they are not let in, and for how long."""
_log = logging.getLogger("webhookd.receive")
_TURNED_AWAY = problem(503, "Too many connections; please come again.", close=True, headers={"Retry-After": "5"})
_TURNED_AWAY_BYTES = _TURNED_AWAY.head(may_stay=False) + _TURNED_AWAY.body


def not_spoken() -> Answer:
    """To a request of any other version."""
    return problem(400, "Only HTTP/1.1 and HTTP/1.0 are spoken here.", close=True)


class BoundedServer(web.Server):
    """Beyond `connections_max` nobody is let in."""

    connections_max: int
    turned_away = 0
    """Connections that are hearing so."""


class TurnedAway(asyncio.Protocol):
    """A connection too many: it is told so, or cut when many are being told. What it sends is not looked at."""

    def __init__(self, server: BoundedServer) -> None:
        self._server = server
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        told = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        if self._server.turned_away >= TURNED_AWAY_MAX:
            told.abort()
            return
        self._server.turned_away += 1
        told.write(_TURNED_AWAY_BYTES)
        told.write_eof()  # not closed: with something of it unread, that would cut off what it is told
        self._end = asyncio.get_running_loop().call_later(TURNED_AWAY_S, told.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._end is not None:
            self._end.cancel()
            self._server.turned_away -= 1


class Connection(RequestHandler):
    """What is not HTTP gets a bare 400; neither it nor a fault of ours reaches the log as bytes."""

    __slots__ = ()

    def connection_made(self, transport: Any) -> None:
        server = cast("BoundedServer", self._manager)
        if len(server._connections) >= server.connections_max:  # noqa: SLF001 - its copy costs
            transport.abort()
            return
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        messages = self._messages
        if messages and isinstance(messages[-1][0], _ErrInfo):
            self._end_bodies()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Called twice for every body, each time through all of aiohttp's parser; nothing waits there unless paused."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _end_bodies(self) -> None:
        """What came is not HTTP: no body that is still awaited will get its end. aiohttp would let it wait."""
        bodies = [body for _, body in self._messages]
        if self._current_request is not None:
            bodies.append(self._current_request.content)
        for body in bodies:
            if not body.is_eof():
                body.set_exception(web.RequestPayloadError("broken off"))
                body.feed_eof()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> Any:
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has already begun")
        if status < 500:
            return problem(400, "This is not an HTTP request as RFC 9112 has it.", close=True)
        return self.fault(exc)

    def fault(self, error: BaseException | None) -> Answer:
        """Of ours: it is noted here, and the sender is to try again."""
        self.log_exception(exc_info=error)
        return problem(
            503, "Something went wrong here; please send it again.", close=True, headers={"Retry-After": "5"}
        )

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        error = kwargs.get("exc_info")
        _log.error("unhandled %s at %s", type(error).__name__, place(error))
