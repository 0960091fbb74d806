"""One connection to a merchant: a request is written in one piece, its answer read as it comes; then perhaps another.

No task and no timeout context of its own: a future for the answer, and one timer that makes it fail. The timer is the
connection's and not the exchange's, for it hardly ever rings: when it does, it waits for the deadline there is by then.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import cast

from webhookd.deliver.answer import AnswerReader, MalformedAnswerError
from webhookd.deliver.route import Origin
from webhookd.deliver.transport import Response, TransportError
from webhookd.deliver.wire import is_empty, wire

KEPT_S = 4.0
"""How long an idle connection is trusted when the peer does not say: many servers close after 5 s."""
KEPT_S_MAX = 30.0
STOOD_STILL_S, STOOD_STILL_S_MAX = 0.05, 5.0
"""A timer that rings so much too late does so in a process that stood still: stopped, moved, or without a processor.
Then so much longer is waited, at most."""
TRUSTED = 0.8
"""Of the time that the peer says it keeps one: what we write then should still find it open."""


def time_lost(now: float, deadline: float) -> float | None:
    """How much longer to wait for a peer whose time was over then, as it was ours that stood still; None: no longer."""
    lost_s = now - deadline
    return min(lost_s, STOOD_STILL_S_MAX) if lost_s > STOOD_STILL_S else None


class NeverTakenError(TransportError):
    """The peer closed the connection before it took the request, which may be written to another one."""


class Connection(asyncio.Protocol):
    """`ended` is called when it is over, unless it was never made: a dial that is cancelled may leave it half made.

    The first answer is expected from the beginning: who is overloaded may say so to everybody he lets in.
    """

    def __init__(self, origin: Origin, connected: socket.socket, ended: Callable[["Connection"], None]) -> None:
        self.origin = origin
        self.over = False
        self.kept_until = 0.0
        """While it is idle: when it is not to be trusted any more, by the loop's clock."""
        self._socket = connected
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._reader = AnswerReader()
        self._answer: asyncio.Future[Response] = self._loop.create_future()
        """Done when nothing is expected."""
        self._asked = False
        self._deadline = 0.0
        """When what is expected is late, by the loop's clock."""
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        """By then, or before, the timer looks whether that is so."""
        self._received = 0
        """Bytes of the peer's that were read, before this and by it; without TLS they are those of the kernel."""
        self._owed = 0
        """The peer has not taken the request while it has acknowledged less than this."""

    async def exchange(self, request: bytes, deadline: float) -> Response:
        """Raises TransportError; the connection is closed then, and also when the caller is cancelled."""
        if self._asked:
            self._reader.begin()
            self._answer = self._loop.create_future()
        self._asked = True
        self._expect_by(deadline)
        self._owed += len(request)
        if not self._transport.is_closing():
            self._transport.write(request)
        try:
            return await self._answer
        except BaseException:
            self.abort()
            raise

    def keep(self) -> bool:
        """After an exchange: whether there may be another."""
        said = self._reader.keep_alive_s
        kept_s = KEPT_S if said is None else min(TRUSTED * said, KEPT_S_MAX)
        self.kept_until = self._loop.time() + kept_s
        if self._transport.is_closing() or self._transport.get_write_buffer_size():
            return False
        return self._reader.reusable

    def still_good(self) -> bool:
        """Right before another exchange: whether the peer still holds it, as far as that is known by now."""
        if self._transport.is_closing() or self._loop.time() >= self.kept_until:
            return False
        now = wire(self._socket)
        self._owed = 0 if now is None else now.acknowledged
        if now is not None and not now.established:
            return False
        # Bytes that nobody asked for would be taken for the next answer.
        return is_empty(self._socket) if now is None or self.origin.https else now.received == self._received

    def abort(self, word: str = "disconnected") -> None:
        """Ends it at once, without the farewell of TLS, and drops what is not written. What is under way fails."""
        self._fail(TransportError(word))
        self._transport.abort()

    # --- Called by the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without saying so
        if (now := wire(self._socket)) is not None:
            self._received = now.received

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._answer.done():
            self.abort()  # nobody asked
            return
        try:
            if self._reader.feed(data):
                self._answer.set_result(self._reader.response())
        except MalformedAnswerError:
            self.abort("protocol")

    def eof_received(self) -> None:
        self._complete()
        if not self._reader.started and self._not_taken():
            self._fail(NeverTakenError("disconnected"))
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self._complete()
        self._fail(TransportError("tls" if isinstance(exc, ssl.SSLError) else "disconnected"))
        if self._timer is not None:
            self._timer.cancel()
        self.over = True
        self._ended(self)

    # --- How long an answer is waited for

    def _expect_by(self, deadline: float) -> None:
        self._deadline = deadline
        if self._timer is not None:
            if self._rings_at <= deadline:
                return
            self._timer.cancel()
        self._set_timer()

    def _set_timer(self) -> None:
        self._rings_at = self._deadline
        self._timer = self._loop.call_at(self._deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._answer.done():
            return  # it is idle: the next exchange sets the timer anew
        now = self._loop.time()
        if self._deadline > self._rings_at:
            self._set_timer()
        elif (more_s := time_lost(now, self._rings_at)) is not None:  # what has come meanwhile has not been read
            self._deadline = now + more_s
            self._set_timer()
        else:
            self.abort("timeout")

    # --- How an exchange ends with the connection

    def _complete(self) -> None:
        if not self._answer.done() and self._reader.end():
            self._answer.set_result(self._reader.response())

    def _not_taken(self) -> bool:
        now = wire(self._socket)
        return now is not None and now.acknowledged < self._owed

    def _fail(self, error: TransportError) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)
            self._answer.exception()  # a caller who was cancelled does not ask for it
