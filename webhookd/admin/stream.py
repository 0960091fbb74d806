"""`GET /api/v1/stream`: what happens, as it happens, as server-sent events.

The log is the queue of events: who is slow reads on from where he is, and `Last-Event-ID` goes on after a break as if
there had been none. Attempts are told only to who listens: he holds some, and hears how many he has missed.
"""

import asyncio
from typing import ClassVar

import msgspec
import structlog
from aiohttp import web

from webhookd.admin.crier import ATTEMPTS_HELD_MAX, HEARTBEAT_S, Crier, Listener
from webhookd.admin.door.operation import Asked, Operation
from webhookd.admin.door.reasons import BusyError, Mistake, MistakesError
from webhookd.admin.door.texts import EventKey, Glob, SignerName, Text
from webhookd.clock import Clock
from webhookd.core.delivery import DeliveryState
from webhookd.core.endpoint import EndpointState
from webhookd.core.event import EventState
from webhookd.core.identifier import UnknownIdError, parse_event_id
from webhookd.store.protocol.errors import StoreError
from webhookd.store.protocol.feed import Feed, Landed
from webhookd.store.protocol.history import Filter

LISTENERS_MAX = 64
TAKING_S_MAX = 30.0
"""Who takes nothing for so long is gone, or as good as that."""
LAST_HEADER = "Last-Event-ID"
KINDS = ("event", "delivery", "endpoint")
_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",  # nginx would hold it back otherwise
}
_DETAIL = f"""\
Server-sent events, until one of the two leaves.

Messages, each with `data` in JSON: `hello` (first: the `position` that what follows comes after), `event` (an event of
the log, as `GET /events` has it), `delivery` (one of which an attempt was made: as it stands, `history` being the new
attempts), `endpoint` (one that stands otherwise than before: name, state, why, breaker), and `lagged`.

An `event` has an `id`. Whoever sends the last one back as `{LAST_HEADER}` (or as `after`) gets every later event, none
twice, however long ago that was. Other messages are told as they happen or not at all: a listener that falls behind by
more than {ATTEMPTS_HELD_MAX} attempts is told with `lagged` how many were left out. A comment comes after
{HEARTBEAT_S:.0f} s in which nothing else did. One that takes nothing for {TAKING_S_MAX:.0f} s is cut; {LISTENERS_MAX}
may listen at a time, and the next is answered 503."""
_log = structlog.get_logger("webhookd.admin")


class Kinds(frozenset[str]):
    """Which messages are wanted; on the wire their names, with commas between them."""

    __slots__ = ()
    SCHEMA: ClassVar = {
        "type": "string",
        "pattern": "^(event|delivery|endpoint)(,(event|delivery|endpoint)){0,2}$",
        "examples": ["event", "delivery,endpoint"],
    }

    @classmethod
    def read(cls, text: str) -> "Kinds":
        kinds = cls(text.split(","))
        if not kinds <= set(KINDS) or text.count(",") >= len(KINDS):
            raise ValueError(f"must be some of {', '.join(KINDS)}, with commas between them")
        return kinds


class StreamQuery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each narrows what has it: `endpoint` narrows no event, and `type` no endpoint."""

    kinds: Kinds | None = None
    source: Text | None = None
    provider: SignerName | None = None
    type: Glob | None = None
    state: EventState | DeliveryState | EndpointState | None = None
    endpoint: Text | None = None
    after: EventKey | None = None
    """As `Last-Event-ID`, which counts where both are given."""


class Listeners:
    """Who listens. The store is watched only while somebody does."""

    def __init__(self, feed: Feed, most: int = LISTENERS_MAX) -> None:
        self._feed = feed
        self._most = most
        self._listeners: set[Listener] = set()
        self._closed = False

    def join(self) -> Listener:
        """Raises BusyError."""
        if self._closed:
            raise BusyError("The daemon is stopping.")
        if len(self._listeners) >= self._most:
            raise BusyError(f"{self._most} listen already, which is all that may.")
        listener = Listener()
        self._listeners.add(listener)
        self._feed.watch_commits(self._landed)
        return listener

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        if not self._listeners:
            self._feed.watch_commits(None)

    def close(self) -> None:
        """Nobody is told anything more."""
        self._closed = True
        for each in self._listeners:
            each.end()

    def _landed(self, landed: Landed) -> None:
        for each in self._listeners:
            each.hear(landed)


class StreamApi:
    def __init__(self, feed: Feed, clock: Clock) -> None:
        self._feed = feed
        self._clock = clock
        self._listeners = Listeners(feed)

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "GET",
                "/api/v1/stream",
                self.stream,
                "What happens, as it happens",
                query=StreamQuery,
                media="text/event-stream",
                headers={LAST_HEADER: "The id of the last event that was told: what came after it is told first."},
                detail=_DETAIL,
            )
        ]

    def close(self) -> None:
        """End every stream."""
        self._listeners.close()

    async def stream(self, asked: Asked[StreamQuery, None]) -> web.StreamResponse:
        request, query = asked.request, asked.query
        after = _position(request, query.after)
        listener = self._listeners.join()
        try:
            # Who listens before the log's end is read misses nothing that comes after it.
            head = await self._feed.head()
            narrowed = Filter(query.source, query.provider, query.type, query.state, query.endpoint)
            after = head if after is None else min(after, head)
            crier = Crier(self._feed, self._clock, listener, query.kinds or KINDS, narrowed, after)
            await crier.begin()
            response = web.StreamResponse(headers=_HEADERS)
            await response.prepare(request)
            if request.method != "HEAD":
                await _told(crier, request, response)
        finally:
            self._listeners.leave(listener)
        return response


async def _told(crier: Crier, request: web.Request, response: web.StreamResponse) -> None:
    """What has been told cannot be taken back: whatever goes wrong ends the stream, and the client asks again."""

    async def take(data: bytes) -> None:
        async with asyncio.timeout(TAKING_S_MAX):
            await response.write(data)

    try:
        await crier.tell(take)
    except (TimeoutError, OSError):
        if request.transport is not None:
            request.transport.abort()
    except StoreError as error:
        _log.warning("stream_ended", reason=str(error)[:200])


def _position(request: web.Request, after: int | None) -> int | None:
    """Raises MistakesError."""
    if (given := request.headers.get(LAST_HEADER)) is None:
        return after
    try:
        return parse_event_id(given)[0]
    except UnknownIdError:
        raise MistakesError([Mistake(LAST_HEADER, "must be the id of an event, evt_…")]) from None
