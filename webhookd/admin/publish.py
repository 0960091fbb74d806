"""`POST /api/v1/events`: an application's own events, in the same log and outbox as a provider's, never in the ledger.

The log is what makes a repeat a repeat: an event stands in it under its `Idempotency-Key`. So a key is remembered as
long as its event is, through crashes too, and there is nothing beside the log that could disagree with it.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Protocol

import msgspec
from aiohttp import web

from webhookd.admin.door.answers import JSON
from webhookd.admin.door.asked import converted
from webhookd.admin.door.operation import Asked, Operation
from webhookd.admin.door.reasons import BusyError, ConflictError, Mistake, MistakesError
from webhookd.admin.door.texts import Instant
from webhookd.clock import Clock
from webhookd.core.event import NAME_CHARS_MAX, OPERATIONAL, PUBLISHED, Event
from webhookd.core.identifier import KeyMint, event_id
from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError
from webhookd.store.protocol.log import EventLog

BODY_S = 10.0
READING_BYTES_MAX = 64 * 2**20
"""Bodies that are being read from the network at one time, all requests together, by what they may grow to."""
KEY_HEADER = "Idempotency-Key"
_KEY = re.compile(rf"[ -~]{{1,{NAME_CHARS_MAX}}}")
_DETAIL = """\
The body is stored and delivered byte for byte, and answered once it is fsynced. To the same key and body the first
answer is given again, for as long as the log knows the event; to another body 422, and nothing is stored; while the
first is being stored, 409."""
_ONCE = f"So that a repeat is one: 1 to {NAME_CHARS_MAX} printable ASCII characters of your own."
_WORD = "[A-Za-z0-9_-]+"
_TYPE = re.compile(rf"{_WORD}(\.{_WORD})*")


class Published(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What Standard Webhooks has for a payload."""

    type: Annotated[
        str, msgspec.Meta(min_length=1, max_length=NAME_CHARS_MAX, extra_json_schema={"pattern": f"^{_TYPE.pattern}$"})
    ]
    """Words between single dots, the largest first: "order.shipped"."""
    data: Any
    timestamp: Instant | msgspec.UnsetType = msgspec.UNSET
    """When it happened (RFC 3339), if it is to be known; it becomes the event's `occurred_at`."""


class PublishedView(msgspec.Struct):
    status: Literal["accepted"]
    event_id: str


class Meter(Protocol):
    """What is counted here."""

    def hook(self, source: str, result: str, seconds: float) -> None: ...


_decode = msgspec.json.Decoder(dict[str, Any]).decode


class PublishApi:
    """`salt` gives 63 random bits; `unready` says why nothing may be accepted now, or None."""

    def __init__(
        self,
        log: EventLog,
        mint: KeyMint,
        salt: Callable[[], int],
        clock: Clock,
        meter: Meter,
        *,
        body_bytes_max: int,
        unready: Callable[[], str | None],
    ) -> None:
        self._log = log
        self._mint = mint
        self._salt = salt
        self._clock = clock
        self._meter = meter
        self._body_bytes_max = body_bytes_max
        self._unready = unready
        self._under_way: set[str] = set()
        """Keys whose event is being committed; as many as the commit queue holds, at most."""
        self._reading_bytes = 0

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "POST",
                "/api/v1/events",
                self.publish,
                "Publish an event of your own",
                PublishedView,
                scope="publish",
                action="event.publish",
                body=Published,
                raw=True,
                problems=(400, 408, 409, 413, 415),
                headers={KEY_HEADER: _ONCE},
                detail=_DETAIL,
            )
        ]

    async def publish(self, asked: Asked[Any, None]) -> PublishedView:
        """Answered once it is fsynced. Of one key and body the first answer is given again; see `_append`."""
        began = self._clock.monotonic()
        if (why := self._unready()) is not None:
            raise BusyError(why)
        key = _key(asked.request)
        body = await self._body(asked.request)
        event = self._event(_read(body), key, body)
        view, result = await self._append(event)
        self._meter.hook(PUBLISHED, result, self._clock.monotonic() - began)
        return view

    async def _append(self, event: Event) -> tuple[PublishedView, str]:
        """Raises ConflictError while the key is under way, MistakesError when it was used for another body.

        Between minting its key and the queue of commits nothing is waited for: the log's order is that of its keys.
        """
        key = event.provider_event_id
        if key in self._under_way:
            raise ConflictError(f"An event with this {KEY_HEADER} is being stored just now; ask again for its answer.")
        self._under_way.add(key)
        try:
            appended = await self._log.append(event)
        except (StoreUnavailableError, StoreBrokenError):
            raise BusyError("This cannot be stored now; please send it again.") from None
        finally:
            self._under_way.discard(key)
        if appended.conflict:
            reason = f"was used for another body, in event {appended.event_id}; that one stands"
            raise MistakesError([Mistake(KEY_HEADER, reason)])
        result = "accepted" if appended.event_id == event.id else "duplicate"
        return PublishedView("accepted", appended.event_id), result

    def _event(self, published: Published, idempotency_key: str | None, body: bytes) -> Event:
        now_ms = self._clock.now_ms()
        key, salt = self._mint.next(now_ms), self._salt()
        return Event(
            key=key,
            salt=salt,
            source=PUBLISHED,
            provider=OPERATIONAL,
            provider_event_id=idempotency_key or event_id(key, salt),
            type=published.type,
            state="accepted",
            received_at=now_ms,
            occurred_at=None if published.timestamp is msgspec.UNSET else int(published.timestamp),
            payment_id=None,
            fact=None,
            alias=None,
            headers=[("content-type", "application/json")],
            sha256=hashlib.sha256(body).digest(),
            size=len(body),
            body=body,
        )

    async def _body(self, request: web.Request) -> bytes:
        """The raw bytes, refused as early as can be known."""
        if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
            raise web.HTTPUnsupportedMediaType(reason="Send the body without Content-Encoding.")
        media = request.headers.get("Content-Type", JSON).partition(";")[0].strip().lower()
        if media != JSON:
            raise web.HTTPUnsupportedMediaType(reason=f"Send it as Content-Type: {JSON}.")
        most = self._body_bytes_max
        size = most if request.content_length is None else request.content_length
        if size > most:
            raise self._too_large(size)
        if self._reading_bytes + size > READING_BYTES_MAX and self._reading_bytes:
            raise BusyError("Too much is being received at the moment; please send it again.")
        self._reading_bytes += size
        try:
            async with asyncio.timeout(BODY_S):
                return await self._read_on(request)
        except TimeoutError:
            raise web.HTTPRequestTimeout(reason="The body took too long to arrive.") from None
        except (OSError, web.RequestPayloadError):
            raise web.HTTPBadRequest(reason="The body did not arrive whole.") from None
        finally:
            self._reading_bytes -= size

    async def _read_on(self, request: web.Request) -> bytes:
        parts, size = [], 0
        async for part in request.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > self._body_bytes_max:
                raise self._too_large(size)
        return b"".join(parts)

    def _too_large(self, size: int) -> web.HTTPException:
        most = self._body_bytes_max
        return web.HTTPRequestEntityTooLarge(most, size, reason=f"An event here has at most {most} bytes.")


def _key(request: web.Request) -> str | None:
    given = request.headers.getall(KEY_HEADER, [])
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise web.HTTPBadRequest(reason=f"{KEY_HEADER} has 1 to {NAME_CHARS_MAX} printable ASCII characters, once.")
    return given[0]


def _read(body: bytes) -> Published:
    """Raises MistakesError."""
    try:
        given = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise MistakesError([Mistake("body", "must be a JSON object, in UTF-8")]) from None
    published = converted(given, Published)
    if not _TYPE.fullmatch(published.type):
        raise MistakesError([Mistake("type", "must be words of letters, digits, _ and -, with dots between them")])
    if published.type.startswith(f"{OPERATIONAL}."):
        raise MistakesError([Mistake("type", f'"{OPERATIONAL}." is for what webhookd says itself')])
    return published
