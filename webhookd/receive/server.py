"""aiohttp's server with its gaps closed: idle limits, a bound on connections, and errors that quote nothing."""

import logging
from typing import Any

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from webhookd.core.problem import PROBLEM_JSON, problem_body

KEEPALIVE_S = 15.0
"""Also the only limit on a connection that is idle or sends its head byte by byte."""
LINGERING_S = 1.0
CONNECTIONS_MAX = 8192
BACKLOG = 1024
_log = logging.getLogger("webhookd.receive")


def problem(status: int, detail: str, *, close: bool = False, **headers: str) -> web.Response:
    response = web.Response(
        status=status, body=problem_body(status, detail), headers={"Content-Type": PROBLEM_JSON, **headers}
    )
    if close:
        response.force_close()
    return response


class HookProtocol(RequestHandler):
    """One connection. What is not HTTP gets a bare 400; neither it nor a fault of ours reaches the log as bytes."""

    __slots__ = ()

    def connection_made(self, transport: Any) -> None:
        if self._manager is not None and len(self._manager.connections) >= CONNECTIONS_MAX:
            transport.abort()
            return
        super().connection_made(transport)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        if request.writer is not None and request.writer.output_size > 0:
            raise ConnectionError("the answer has already begun")
        if status < 500:
            return problem(400, "This is not an HTTP request as RFC 9112 has it.", close=True)
        self.log_exception(exc_info=exc)
        return problem(503, "Something went wrong here; please send it again.", close=True, **{"Retry-After": "5"})

    def log_exception(self, *args: Any, **kwargs: Any) -> None:
        # The message of an exception may quote the request; its class and the line it came from do not.
        error = kwargs.get("exc_info")
        trace = getattr(error, "__traceback__", None)
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else "?"
        _log.error("unhandled %s at %s", type(error).__name__, place)


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

    def __call__(self) -> RequestHandler:
        return HookProtocol(self, loop=self._loop, **self._kwargs)

    def _make_request(
        self, message: RawRequestMessage, payload: Any, protocol: RequestHandler, writer: Any, task: Any
    ) -> web.BaseRequest:
        # aiohttp refuses a body of exactly the limit; ours may be that large.
        size_max = self._body_bytes_max + 1
        return web.BaseRequest(message, payload, protocol, writer, task, self._loop, client_max_size=size_max)
