"""What the public listener says: a status line, a JSON body and little else."""

from collections.abc import Mapping
from http import HTTPStatus

from aiohttp import HttpVersion11, web

from webhookd.core.problem import PROBLEM_JSON, problem_body

UNREAD_BYTES_MAX = 64 * 2**10
"""Answers that one peer may leave unread before its connection is cut."""
_PHRASES = {status.value: status.phrase for status in HTTPStatus}


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
        may_stay = request.keep_alive and not getattr(request.protocol, "is_leaving", False)
        head = self.head(may_stay=may_stay, is_http_1_0=request.version < HttpVersion11)
        transport.write(head + (b"" if request.method == "HEAD" else self.body))
        request.writer.output_size += len(head)

    async def write_eof(self) -> None:
        """Nothing is left to write."""

    def head(self, *, may_stay: bool, is_http_1_0: bool = False) -> bytes:
        """All that comes before the body. With it is decided whether the connection stays: `keep_alive`."""
        self.keep_alive = may_stay and not self._close
        connection = ""
        if not self.keep_alive:
            connection = "Connection: close\r\n"
        elif is_http_1_0:
            connection = "Connection: keep-alive\r\n"
        return (
            f"HTTP/1.1 {self.status} {_PHRASES[self.status]}\r\nContent-Type: {self._content_type}\r\n"
            f"Content-Length: {len(self.body)}\r\n{self._headers}{connection}\r\n"
        ).encode()


def problem(status: int, detail: str, *, close: bool = False, headers: Mapping[str, str] | None = None) -> Answer:
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    return Answer(status, problem_body(status, detail), PROBLEM_JSON, close=close, headers=lines)
