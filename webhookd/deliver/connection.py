"""One connection to a merchant: a request is written in one piece, its answer read as it comes; then perhaps another.

No task and no timeout context of its own: a future for the answer, and one timer that makes it fail.
"""

import asyncio
import socket
import ssl
from typing import Protocol, cast

from webhookd.deliver.answer import AnswerReader, MalformedAnswerError
from webhookd.deliver.route import Origin
from webhookd.deliver.transport import Response, TransportError
from webhookd.deliver.wire import wire

KEPT_S = 4.0
"""How long an idle connection is trusted when the peer does not say: many servers close after 5 s."""
KEPT_S_MAX = 30.0
TRUSTED = 0.8
"""Of the time that the peer says it keeps one: what we write then should still find it open."""


class NeverTakenError(TransportError):
    """The peer closed a kept connection before it took the request, which may be written to another one."""


class Keeper(Protocol):
    """Told of every connection that it began and that it ended, once each."""

    def began(self, connection: "Connection") -> None: ...

    def ended(self, connection: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    def __init__(self, origin: Origin, connected: socket.socket, keeper: Keeper) -> None:
        self.origin = origin
        self.kept_until = 0.0
        """While it is idle: when it is not to be trusted any more, by the loop's clock."""
        self._socket = connected
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._reader = AnswerReader()
        self._transport: asyncio.Transport
        self._waiter: asyncio.Future[Response] | None = None
        self._fresh = True
        self._owed = 0
        """The peer must have acknowledged more than this, or it has not taken the whole request."""

    async def exchange(self, request: bytes, deadline: float) -> Response:
        """Raises TransportError; the connection is closed then, and also when the caller is cancelled."""
        if self._transport.is_closing():
            raise TransportError("disconnected")
        self._reader.begin()
        waiter: asyncio.Future[Response] = self._loop.create_future()
        self._waiter = waiter
        timer = self._loop.call_at(deadline, self._fail, "timeout")
        self._transport.write(request)
        self._owed += len(request)
        if self._fresh:
            self._transport.resume_reading()
        try:
            return await waiter
        except BaseException:
            self.abort()
            raise
        finally:
            timer.cancel()

    def keep(self) -> bool:
        """After an exchange: whether there may be another. Closed if not."""
        said = self._reader.keep_alive_s
        kept_s = KEPT_S if said is None else min(TRUSTED * said, KEPT_S_MAX)
        self._fresh = False
        self.kept_until = self._loop.time() + kept_s
        return kept_s > 0 and not self._transport.is_closing()

    def still_good(self) -> bool:
        """Right before another exchange: whether the peer still holds it, as far as that is known by now."""
        if self._transport.is_closing() or self._loop.time() >= self.kept_until:
            return False
        now = wire(self._socket)
        self._owed = 0 if now is None else now.acknowledged
        return now is None or now.established

    def abort(self) -> None:
        """At once, without the farewell of TLS: what is not written yet is dropped."""
        self._transport.abort()

    # --- Called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        self._transport.pause_reading()  # until the request is written: an answer may come early, but to something
        self._keeper.began(self)

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:
            self.abort()  # nobody asked
            return
        try:
            over = self._reader.feed(data)
        except MalformedAnswerError:
            self._fail("protocol")
        else:
            if over:
                self._answer()

    def eof_received(self) -> None:
        self._end("disconnected")
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end("tls" if isinstance(exc, ssl.SSLError) else "disconnected", whole=exc is None)
        self._keeper.ended(self)

    # --- How an exchange comes to its end

    def _answer(self) -> None:
        if not self._reader.reusable or self._transport.get_write_buffer_size():
            self.abort()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(self._reader.response())

    def _end(self, word: str, *, whole: bool = True) -> None:
        if self._waiter is None:
            return
        if whole and self._reader.end():
            self._answer()
        elif not self._fresh and not self._reader.started and self._not_taken():
            self._fail_with(NeverTakenError(word))
        else:
            self._fail(word)

    def _not_taken(self) -> bool:
        now = wire(self._socket)
        return now is not None and now.acknowledged < self._owed

    def _fail(self, word: str) -> None:
        self._fail_with(TransportError(word))

    def _fail_with(self, error: TransportError) -> None:
        self.abort()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
