"""The public listener: `POST /webhooks/{source}`, `/healthz`, `/readyz`, and nothing else.

A hook is judged in the order of what it costs: whether we can take it, its size, its raw bytes, its signature, and
only then what it says.
"""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from aiohttp import web

from webhookd.clock import Clock
from webhookd.core.event import Appended, Event, Hook
from webhookd.core.refusal import UNKNOWN_SOURCE
from webhookd.providers.provider import Refused
from webhookd.receive.answer import Answer, problem
from webhookd.receive.at_once import Whole
from webhookd.receive.bad_signatures import BadSignatures
from webhookd.receive.complaints import Complaints
from webhookd.receive.connection import VERSIONS, not_spoken
from webhookd.receive.intake import EvidenceUnavailableError, Intake, Source
from webhookd.receive.refusals import Refusals, Request
from webhookd.store.protocol import StoreBrokenError, StoreUnavailableError

BODY_S = 10.0
READING_BYTES_MAX = 64 * 2**20
"""Bodies that are being read from the network at one time, all connections together, by what they may grow to."""
UNAVAILABLE_RETRY_S = 5
TOO_MANY = "too_many_bad_signatures"
_PREFIX = "/webhooks/"
_UNAVAILABLE = (StoreUnavailableError, StoreBrokenError)


class Meter(Protocol):
    """What the receiver counts."""

    def hook(self, source: str, result: str, seconds: float) -> None: ...

    def bad_signature(self, source: str) -> None: ...

    def conflict(self, source: str) -> None: ...


class Reason(Exception):  # noqa: N818 - a reason to refuse, not an error of ours
    """Why a hook is refused, as the sender is told it, and a word for the metrics."""

    def __init__(
        self,
        status: int,
        word: str,
        detail: str,
        *,
        close: bool = False,
        headers: Mapping[str, str] | None = None,
        hook: Hook | None = None,
    ) -> None:
        """`hook` is what was judged, where it came to that."""
        super().__init__(word)
        self.word = word
        self.hook = hook
        self.response = problem(status, detail, close=close, headers=headers)


class Routes:
    """`unready` says why no hook may be accepted now, or None. `sources` may be exchanged while running."""

    def __init__(
        self, intake: Intake, clock: Clock, meter: Meter, *, body_bytes_max: int, unready: Callable[[], str | None]
    ) -> None:
        self.sources: Mapping[str, Source] = {}
        self.heard: dict[str, int] = {}
        """When each source brought its last event since the start, Unix milliseconds."""
        self._intake = intake
        self._clock = clock
        self._meter = meter
        self._body_bytes_max = body_bytes_max
        self._unready = unready
        self._reading_bytes = 0
        self._bad_signatures = BadSignatures()
        self._complaints = Complaints()
        self.refusals = Refusals(clock)

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
        began = self._clock.monotonic()
        hook = Hook(headers, request.body, self._clock.now_ms())
        try:
            begun = self._intake.begin(source, hook)
        except _UNAVAILABLE:
            self._answer_at_once(request, source, began, _cannot_store())
            return True
        if begun is None:
            return False
        if isinstance(begun, Refused):
            self._answer_at_once(request, source, began, self._refusal(request, source.name, begun, hook))
        else:
            begun.pending.add_done_callback(partial(self._end_at_once, request, source, hook, began, begun.event))
        return True

    def _end_at_once(
        self,
        request: Whole,
        source: Source,
        hook: Hook,
        began: float,
        event: Event,
        pending: asyncio.Future[Appended],
    ) -> None:
        ended: tuple[Answer, str] | Reason
        try:
            appended = pending.result()
            self._intake.note(source, event, appended)
            ended = self._acknowledged(request, source, hook, appended)
        except Reason as reason:
            ended = reason
        except _UNAVAILABLE:
            ended = _cannot_store()
        except Exception as error:  # noqa: BLE001 - whoever waits for an answer gets one
            request.fail(error)
            return
        self._answer_at_once(request, source, began, ended)

    def _answer_at_once(self, request: Whole, source: Source, began: float, ended: tuple[Answer, str] | Reason) -> None:
        if isinstance(ended, Reason):
            ended = self._refused(request, source, began, ended)
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
            response, result = self._refused(request, source, began, reason)
        self._meter.hook(source.name, result, self._clock.monotonic() - began)
        return response

    def _refused(self, request: Request, source: Source, began: float, reason: Reason) -> tuple[Answer, str]:
        self._complaints.refused(source.name, reason.word, began)
        if reason.word != TOO_MANY:  # the first ones have been noted, and cost more than this one may
            provider = source.provider if reason.hook is not None else None
            self.refusals.note(request, source.name, reason.word, reason.response.status, reason.hook, provider)
        return reason.response, reason.word

    async def _take_in(self, request: web.BaseRequest, source: Source) -> tuple[Answer, str]:
        if request.method != "POST":
            raise Reason(405, "method", "Hooks are sent with POST.", headers={"Allow": "POST"})
        if (why := self._unready()) is not None:
            raise _unavailable("unready", why)
        body = await self._body(request)
        hook = Hook(request.headers, body, self._clock.now_ms())
        try:
            appended = await self._intake.take_in(source, hook)
        except _UNAVAILABLE:
            raise _cannot_store() from None
        except EvidenceUnavailableError:
            raise _unavailable("cannot_verify", "The signature cannot be verified now; please send it again.") from None
        if isinstance(appended, Refused):
            raise self._refusal(request, source.name, appended, hook)
        return self._acknowledged(request, source, hook, appended)

    def _acknowledged(self, request: Request, source: Source, hook: Hook, appended: Appended) -> tuple[Answer, str]:
        """What is said to the sender once the log has it. Raises Reason."""
        if appended.status == "forged":
            self._complaints.forged(source.name, appended.event_id, self._clock.monotonic())
            raise self._refusal(request, source.name, Refused("forged"), hook)
        if appended.conflict:
            self._meter.conflict(source.name)
            self._complaints.odd(source.name, "known id, other body", appended.event_id, self._clock.monotonic())
        if appended.status == "quarantined":
            self._complaints.odd(source.name, "quarantined", appended.event_id, self._clock.monotonic())
        if appended.status != "duplicate":
            self.heard[source.name] = hook.received_at
        answer = f'{{"status":"{appended.status}","event_id":"{appended.event_id}"}}'  # both are our own plain words
        return Answer(200, answer.encode()), appended.status

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
            else:
                body = await self._slow_body(request)
        except TimeoutError:
            raise Reason(408, "slow_body", "The body took too long to arrive.", close=True) from None
        except web.HTTPRequestEntityTooLarge:
            raise self._too_large() from None
        except web.RequestPayloadError:
            raise Reason(400, "malformed_body", "The body is not framed as RFC 9112 has it.", close=True) from None
        except OSError:
            raise Reason(400, "cut_short", "The connection ended before the body did.", close=True) from None
        if len(body) > self._body_bytes_max:
            raise self._too_large()
        return body

    async def _slow_body(self, request: web.BaseRequest) -> bytes:
        """A body that is still under way. Raises TimeoutError after BODY_S, Reason when too many are."""
        size = self._body_bytes_max if request.content_length is None else request.content_length
        if self._reading_bytes + size > READING_BYTES_MAX and self._reading_bytes:
            raise _unavailable("too_many_bodies", "Too much is being received at the moment; please send it again.")
        self._reading_bytes += size
        try:
            async with asyncio.timeout(BODY_S):
                return await request.read()
        finally:
            self._reading_bytes -= size

    def _too_large(self) -> Reason:
        return Reason(413, "too_large", f"A body here has at most {self._body_bytes_max} bytes.", close=True)

    def _refusal(self, request: Request, source: str, refused: Refused, hook: Hook) -> Reason:
        self._meter.bad_signature(source)
        if self._bad_signatures.too_many(request.remote or "", self._clock.monotonic()):
            detail = "Too many bad signatures from your address."
            return Reason(429, TOO_MANY, detail, close=True, headers={"Retry-After": "30"})
        # One and the same answer for all: it must not tell a forger what was wrong.
        detail = "The signature is missing, wrong, or outside its time window."
        return Reason(401, refused.reason, detail, hook=hook)


def _cannot_store() -> Reason:
    return _unavailable("store_unavailable", "This cannot be stored now; please send it again.")


def _unavailable(word: str, detail: str) -> Reason:
    # Closed, so that the body of a refused hook need not be read.
    return Reason(503, word, detail, close=True, headers={"Retry-After": str(UNAVAILABLE_RETRY_S)})


async def _answer_expectation(request: web.BaseRequest, expectation: str) -> None:
    if expectation.lower() != "100-continue":
        raise Reason(417, "expectation", "Of the expectations only 100-continue is met.", close=True)
    if not request.content.is_eof():
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # nothing of the answer itself is sent yet
