"""aiohttp's server with its gaps closed: idle limits, a bound on connections, and errors that quote nothing."""

import asyncio
import logging
import resource
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from aiohttp import HttpVersion11, web
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.web_protocol import RequestHandler, _ErrInfo

from webhookd.core.fault import place
from webhookd.core.problem import PROBLEM_JSON, problem_body

KEEPALIVE_S = 15.0
"""Also the only limit on a connection that is idle or sends its head byte by byte."""
LINGERING_S = 1.0
CONNECTIONS_MAX = 8192
FILES_KEPT = 512
"""Descriptors that connections of strangers leave to deliveries and to the store."""
UNREAD_BYTES_MAX = 64 * 2**10
"""Answers that one peer may leave unread before its connection is cut."""
FAREWELL_S, LOOK_S = 1.0, 0.02
"""What a connection has for one more request when the server stops; the answer says that it is the last."""
BACKLOG = 1024
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_log = logging.getLogger("webhookd.receive")


class Answer:
    """A response that is bytes already: a status line, a JSON body and little else, written in one piece.

    It stands where aiohttp expects a StreamResponse, and spares what that does for every answer anew.
    """

    __slots__ = ("_close", "_content_type", "_headers", "body", "keep_alive", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        content_type: str = "application/json",
        *,
        close: bool = False,
        headers: str = "",
    ) -> None:
        """`headers` are whole lines, each with its CRLF."""
        self.status = status
        self.body = body
        self._content_type = content_type
        self._close = close
        self._headers = headers
        self.keep_alive = False

    async def prepare(self, request: web.BaseRequest) -> None:
        """Raises ConnectionResetError when the peer is gone, or lets its answers pile up unread."""
        transport = request.transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            raise ConnectionResetError("the peer does not take its answer")
        self.keep_alive = request.keep_alive and not self._close and not getattr(request.protocol, "is_leaving", False)
        connection = "" if self.keep_alive else "Connection: close\r\n"
        if self.keep_alive and request.version < HttpVersion11:
            connection = "Connection: keep-alive\r\n"
        head = (
            f"HTTP/1.1 {self.status} {_PHRASES[self.status]}\r\nContent-Type: {self._content_type}\r\n"
            f"Content-Length: {len(self.body)}\r\n{self._headers}{connection}\r\n"
        )
        transport.write(head.encode() + (b"" if request.method == "HEAD" else self.body))
        request.writer.output_size += len(head)

    async def write_eof(self) -> None:
        """Nothing is left to write."""


def problem(status: int, detail: str, *, close: bool = False, headers: Mapping[str, str] | None = None) -> Answer:
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return Answer(status, problem_body(status, detail), PROBLEM_JSON, close=close, headers=lines)


class HookProtocol(RequestHandler):
    """One connection. What is not HTTP gets a bare 400; neither it nor a fault of ours reaches the log as bytes."""

    __slots__ = ()

    @property
    def is_leaving(self) -> bool:
        """Whether the server stops: then each answer is the last of its connection."""
        return cast(HookServer, self._manager).is_stopping

    def connection_made(self, transport: Any) -> None:
        server = cast(HookServer, self._manager)
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
        self.log_exception(exc_info=exc)
        return problem(
            503, "Something went wrong here; please send it again.", close=True, headers={"Retry-After": "5"}
        )

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        error = kwargs.get("exc_info")
        _log.error("unhandled %s at %s", type(error).__name__, place(error))


class HookServer(web.Server):
    """`body_bytes_max` bounds what is ever read of a body. Raises RuntimeError without aiohttp's C parser.

    The pure-Python parser reads malformed requests differently (aiohttp's THREAT_MODEL.md, 1.12).
    """

    def __init__(self, handler: Any, *, body_bytes_max: int) -> None:
        super().__init__(
            handler,
            keepalive_timeout=KEEPALIVE_S,
            lingering_time=LINGERING_S,
            auto_decompress=False,
            access_log=None,
        )
        if HttpRequestParser.__module__ == "aiohttp.http_parser":
            raise RuntimeError("aiohttp is installed without its C parser: install it from a wheel")
        self._body_bytes_max = body_bytes_max
        self.is_stopping = False
        files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.connections_max = min(CONNECTIONS_MAX, max(64, files_max - FILES_KEPT))

    def __call__(self) -> RequestHandler:
        return HookProtocol(self, loop=self._loop, **self._kwargs)

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
