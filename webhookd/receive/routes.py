"""The public listener: `POST /webhooks/{source}`, `/healthz`, `/readyz`, and nothing else.

A hook is judged in the order of what it costs: whether we can take it, its size, its raw bytes, its signature, and
only then what it says.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial

from aiohttp import StreamReader, web

from webhookd.clock import Clock
from webhookd.core.event import Appended, Event, Hook
from webhookd.core.refusal import UNKNOWN_SOURCE
from webhookd.providers.provider import Needs, Refused
from webhookd.receive.answer import Answer, problem
from webhookd.receive.at_once import Whole
from webhookd.receive.connection import VERSIONS, not_spoken
from webhookd.receive.entrance import CrowdedError, Entrance
from webhookd.receive.intake import Begun, EvidenceUnavailableError, Intake, Source
from webhookd.receive.replies import (
    GAVE_UP,
    OVERLOADED,
    UNAVAILABLE_RETRY_S,
    Meter,
    Reason,
    Replies,
    cannot_store,
    unavailable,
)
from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError

BODY_S = 10.0
READING_BYTES_MAX = 64 * 2**20
"""Of bodies that are being read from the network at one time, all connections together, what has come."""
EFFORT = 5
"""Of a refusal aiohttp's way, as many as at once: its connection ends with it, and the next one has to be made."""
_PREFIX = "/webhooks/"
_UNAVAILABLE = (StoreUnavailableError, StoreBrokenError)


class Routes:
    """`unready` says why no hook may be accepted now, or None. `sources` may be exchanged while running."""

    def __init__(
        self, intake: Intake, clock: Clock, meter: Meter, *, body_bytes_max: int, unready: Callable[[], str | None]
    ) -> None:
        self.sources: Mapping[str, Source] = {}
        self._intake = intake
        self._clock = clock
        self._meter = meter
        self._body_bytes_max = body_bytes_max
        self._unready = unready
        self._reading_bytes = 0
        self._entrance = Entrance(clock.monotonic)
        self._fetching: set[asyncio.Task[None]] = set()
        self._replies = Replies(clock, meter)
        self.heard, self.refusals = self._replies.heard, self._replies.refusals

    async def handle(self, request: web.BaseRequest) -> Answer:
        if request.version not in VERSIONS:
            return not_spoken()
        path = request.raw_path.partition("?")[0]
        if not path.startswith("/"):  # the absolute form of RFC 9112, 3.2.2
            path = request.path
        if path.startswith(_PREFIX):
            return await self._hook(request, path[len(_PREFIX) :])
        if path in ("/healthz", "/readyz"):
            return self._health(request, path)
        return problem(404, "Nothing is here. Hooks go to POST /webhooks/{source}.")

    def _health(self, request: web.BaseRequest, path: str) -> Answer:
        if request.method not in ("GET", "HEAD"):
            return problem(405, "Only GET is answered here.", headers={"Allow": "GET, HEAD"})
        why = self._unready() if path == "/readyz" else None
        if why is not None:
            return problem(503, why, headers={"Retry-After": str(UNAVAILABLE_RETRY_S)})
        return Answer(200, b'{"status":"ok"}')

    def at_once(self, request: Whole) -> bool:
        """The way of nearly every hook: it is here, whole, to a source that we know. The others take the longer one."""
        path, headers = request.raw_path.partition("?")[0], request.headers
        source = self.sources.get(path[len(_PREFIX) :]) if path.startswith(_PREFIX) else None
        if source is None or request.method != "POST" or len(request.body) > self._body_bytes_max:
            return False
        if "Expect" in headers or "Content-Encoding" in headers or "Transfer-Encoding" in headers:
            return False
        if self._unready() is not None:
            return False
        began, size = self._clock.monotonic(), len(request.body)
        if self._entrance.is_shut:
            self._refuse_at_once(request, source, began)
            return True
        hook = Hook(headers, request.body, self._clock.now_ms())
        if self._entrance.enter(size):
            self._begin_at_once(request, source, hook, began)
        else:
            self._entrance.wait(size, partial(self._called_at_once, request, source, hook, began))
        return True

    def _called_at_once(self, request: Whole, source: Source, hook: Hook, began: float, is_in: bool) -> None:
        """After it has waited."""
        if not is_in:
            self._refuse_at_once(request, source, began)
        elif request.transport is None:
            self._entrance.leave(len(hook.body))
            self._meter.hook(source.name, GAVE_UP, self._clock.monotonic() - began)
        else:
            try:
                self._begin_at_once(request, source, hook, began)
            except Exception as error:  # noqa: BLE001 - whoever waits for an answer gets one
                request.fail(error)

    def _begin_at_once(self, request: Whole, source: Source, hook: Hook, began: float) -> None:
        """It is inside, until its answer is known, or something has to be fetched first."""
        begun: Begun | Refused | Needs | None = None
        try:
            begun = self._intake.begin(source, hook, {})
        except _UNAVAILABLE:
            self._answer_at_once(request, source, began, cannot_store())
        finally:
            if not isinstance(begun, Begun):
                self._entrance.leave(len(hook.body))
        if isinstance(begun, Begun):
            begun.pending.add_done_callback(partial(self._end_at_once, request, source, hook, began, begun.event))
        elif isinstance(begun, Refused):
            self._answer_at_once(request, source, began, self._replies.refusal(request, source.name, begun, hook))
        elif isinstance(begun, Needs):
            task = asyncio.get_running_loop().create_task(self._fetch_and_end(request, source, hook, began))
            self._fetching.add(task)
            task.add_done_callback(self._fetching.discard)

    async def _fetch_and_end(self, request: Whole, source: Source, hook: Hook, began: float) -> None:
        try:
            self._answer_at_once(request, source, began, await self._judged(request, source, hook))
        except Reason as reason:
            self._answer_at_once(request, source, began, reason)
        except Exception as error:  # noqa: BLE001 - whoever waits for an answer gets one
            request.fail(error)

    def _end_at_once(
        self,
        request: Whole,
        source: Source,
        hook: Hook,
        began: float,
        event: Event,
        pending: asyncio.Future[Appended],
    ) -> None:
        self._entrance.leave(len(hook.body))
        ended: tuple[Answer, str] | Reason
        try:
            appended = pending.result()
            self._intake.note(source, event, appended)
            ended = self._replies.acknowledged(request, source, hook, appended)
        except Reason as reason:
            ended = reason
        except _UNAVAILABLE:
            ended = cannot_store()
        except Exception as error:  # noqa: BLE001 - whoever waits for an answer gets one
            request.fail(error)
            return
        self._answer_at_once(request, source, began, ended)

    def _refuse_at_once(self, request: Whole, source: Source, began: float) -> None:
        answer = self._replies.overloaded_at_once(request, source, began)
        self._meter.hook(source.name, OVERLOADED, self._clock.monotonic() - began)
        request.body = b""  # it may wait for its refusal
        self._entrance.refuse(partial(request.answer, answer))

    def _answer_at_once(self, request: Whole, source: Source, began: float, ended: tuple[Answer, str] | Reason) -> None:
        if isinstance(ended, Reason):
            ended = self._replies.refused(request, source, began, ended)
        response, result = ended
        self._meter.hook(source.name, result, self._clock.monotonic() - began)
        request.answer(response)

    async def _hook(self, request: web.BaseRequest, name: str) -> Answer:
        began = self._clock.monotonic()
        source = self.sources.get(name)
        if source is None:
            self._meter.hook("unknown", UNKNOWN_SOURCE, 0)
            self.refusals.note(request, None, UNKNOWN_SOURCE, 404)
            return problem(404, "No such source is configured here.")
        try:
            response, result = await self._take_in(request, source)
        except Reason as reason:
            response, result = self._replies.refused(request, source, began, reason)
        self._meter.hook(source.name, result, self._clock.monotonic() - began)
        return response

    async def _take_in(self, request: web.BaseRequest, source: Source) -> tuple[Answer, str]:
        if request.method != "POST":
            raise Reason(405, "method", "Hooks are sent with POST.", headers={"Allow": "POST"})
        if (why := self._unready()) is not None:
            raise unavailable("unready", why)
        if self._entrance.is_shut:
            raise await self._overloaded()
        body = await self._body(request)
        return await self._judged(request, source, Hook(request.headers, body, self._clock.now_ms()))

    async def _judged(self, request: web.BaseRequest | Whole, source: Source, hook: Hook) -> tuple[Answer, str]:
        """Raises Reason."""
        try:
            appended = await self._intake.take_in(source, hook, partial(self._inside, request, len(hook.body)))
        except _UNAVAILABLE:
            raise cannot_store() from None
        except CrowdedError:
            raise self._replies.overloaded() from None
        except EvidenceUnavailableError:
            raise unavailable("cannot_verify", "The signature cannot be verified now; please send it again.") from None
        if isinstance(appended, Refused):
            raise self._replies.refusal(request, source.name, appended, hook)
        return self._replies.acknowledged(request, source, hook, appended)

    @asynccontextmanager
    async def _inside(self, request: web.BaseRequest | Whole, size: int) -> AsyncIterator[None]:
        """Raises CrowdedError, Reason."""
        async with self._entrance.turn(size):
            if request.transport is None:
                raise Reason(400, GAVE_UP, "The connection ended before its turn had come.", close=True)
            yield

    async def _overloaded(self) -> Reason:
        """At the pace of refusals."""
        now = asyncio.Event()
        self._entrance.refuse(now.set, EFFORT)
        await now.wait()
        return self._replies.overloaded()

    async def _body(self, request: web.BaseRequest) -> bytes:
        """The raw bytes. What is too large, encoded or too slow is refused, as early as it can be known."""
        headers = request.headers
        if (request.content_length or 0) > self._body_bytes_max:
            raise self._too_large()
        if headers.get("Transfer-Encoding", "chunked").strip().lower() != "chunked":
            raise Reason(501, "transfer_encoding", "Of the transfer codings only chunked is understood.", close=True)
        if headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise Reason(
                415, "content_encoding", "Send the body as it was signed, without content-encoding.", close=True
            )
        try:
            if (expectation := headers.get("Expect")) is not None:
                await _answer_expectation(request, expectation)
            if request.content.is_eof():
                body = request.content.read_nowait(-1)
            elif request.transport is None:
                raise ConnectionResetError  # before we had begun to wait for it: nobody tells those who do
            else:
                body = await self._slow_body(request.content)
        except TimeoutError:
            raise Reason(408, "slow_body", "The body took too long to arrive.", close=True) from None
        except web.RequestPayloadError:
            raise Reason(400, "malformed_body", "The body is not framed as RFC 9112 has it.", close=True) from None
        except OSError:
            raise Reason(400, "cut_short", "The connection ended before the body did.", close=True) from None
        if len(body) > self._body_bytes_max:
            raise self._too_large()
        return body

    async def _slow_body(self, content: StreamReader) -> bytes:
        """A body that is still under way. Raises TimeoutError after BODY_S, Reason when too much has come."""
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_S):
                while piece := await content.readany():
                    body += piece
                    self._reading_bytes += len(piece)
                    if len(body) > self._body_bytes_max:
                        raise self._too_large()
                    if self._reading_bytes > READING_BYTES_MAX:
                        detail = "Too much is being received at the moment; please send it again."
                        raise unavailable("too_many_bodies", detail)
            return bytes(body)
        finally:
            self._reading_bytes -= len(body)

    def _too_large(self) -> Reason:
        return Reason(413, "too_large", f"A body here has at most {self._body_bytes_max} bytes.", close=True)


async def _answer_expectation(request: web.BaseRequest, expectation: str) -> None:
    if expectation.lower() != "100-continue":
        raise Reason(417, "expectation", "Of the expectations only 100-continue is met.", close=True)
    if not request.content.is_eof():
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the answer itself is sent yet
