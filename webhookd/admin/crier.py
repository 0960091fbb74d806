"""Tells one listener what happens, in the words of server-sent events."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence

import msgspec

from webhookd.admin.views import Attempt, Delivery, delivery_view, event_view
from webhookd.clock import Clock
from webhookd.core.delivery import DeliveryKey, Settlement
from webhookd.core.identifier import SALT_BITS, event_id
from webhookd.core.units import time_text
from webhookd.store.protocol.feed import Feed, Landed, StandingRow
from webhookd.store.protocol.history import DeliveryRow, Filter

ATTEMPTS_HELD_MAX = 1_000
"""Of each listener; at the bound the oldest are dropped, and he is told how many."""
HEARTBEAT_S = 15.0
PAUSE_S = 0.1
"""Between two looks of a listener at the disk: what is committed meanwhile is one look."""
RETRY_MS = 1_000
_SALT_MAX = 2**SALT_BITS - 1
_encode = msgspec.json.Encoder().encode
Take = Callable[[bytes], Awaitable[None]]


class Hello(msgspec.Struct):
    position: str
    """An id as of the last event there is, or of the one that is gone on after: what comes after it is told."""


class Lagged(msgspec.Struct):
    attempts: int
    """So many were not told: `GET /deliveries` says how their deliveries stand."""


class Standing(msgspec.Struct):
    """How an endpoint stands that stood otherwise before."""

    name: str
    state: str
    why: str | None
    managed_by: str
    breaker: str
    retry_at: str | None
    failing_since: str | None


class Listener:
    """Holds what has landed since he last looked."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.over = False
        self.has_events = False
        self.endpoints_moved = False
        self.missed = 0
        self._settlements: deque[Settlement] = deque(maxlen=ATTEMPTS_HELD_MAX)

    def hear(self, landed: Landed) -> None:
        self.has_events |= landed.head > 0
        self.endpoints_moved |= landed.endpoints_moved
        self.missed += max(0, len(self._settlements) + len(landed.settlements) - ATTEMPTS_HELD_MAX)
        self._settlements.extend(landed.settlements)
        self.news.set()

    def settlements(self) -> Sequence[Settlement]:
        """And holds them no more."""
        held = [*self._settlements]
        self._settlements.clear()
        return held

    def end(self) -> None:
        self.over = True
        self.news.set()


class Crier:
    def __init__(
        self, feed: Feed, clock: Clock, listener: Listener, kinds: Collection[str], narrowed: Filter, after: int
    ) -> None:
        """`after` is the key of the last event that the listener knows."""
        self._feed = feed
        self._clock = clock
        self._listener = listener
        self._kinds = kinds
        self._narrowed = narrowed
        self._after = after
        self._standings: dict[str, StandingRow] = {}
        self._told_at = 0.0

    async def begin(self) -> None:
        """Know how endpoints stand, so that a change of it is one. Raises StoreError."""
        if "endpoint" in self._kinds:
            self._standings = {each.name: each for each in await self._feed.standings()}

    async def tell(self, take: Take) -> None:
        """Until the listener is to be told nothing more. Raises StoreError, and what `take` raises."""
        listener = self._listener
        position = event_id(self._after, _SALT_MAX)
        await self._give(take, b"retry: %d\n" % RETRY_MS + _message("hello", Hello(position), position))
        listener.has_events = True  # there may be some between the position and the log's end
        listener.news.set()
        while not listener.over:
            alarm = self._clock.call_later(HEARTBEAT_S, listener.news.set)
            try:
                await listener.news.wait()
            finally:
                alarm.cancel()
            listener.news.clear()
            async for message in self._news():
                await self._give(take, message)
            if self._clock.monotonic() - self._told_at >= HEARTBEAT_S:
                await self._give(take, b": still here\n\n")
            if not listener.over:
                await self._clock.sleep(PAUSE_S)

    async def _give(self, take: Take, data: bytes) -> None:
        await take(data)
        self._told_at = self._clock.monotonic()

    async def _news(self) -> AsyncIterator[bytes]:
        """Events first: what is settled is of an event that came before."""
        listener = self._listener
        settlements, missed, endpoints_moved = listener.settlements(), listener.missed, listener.endpoints_moved
        listener.missed, listener.endpoints_moved = 0, False
        if listener.has_events:
            listener.has_events = False
            async for message in self._events():
                yield message
        if "delivery" in self._kinds and settlements:
            if missed:
                yield _message("lagged", Lagged(missed))
            for told in await self._deliveries(settlements):
                yield _message("delivery", told)
        if "endpoint" in self._kinds and endpoints_moved:
            for standing in await self._moved():
                yield _message("endpoint", standing)

    async def _events(self) -> AsyncIterator[bytes]:
        while "event" in self._kinds and not self._listener.over:
            stretch = await self._feed.stretch(self._after, self._narrowed)
            for row in stretch.events:
                view = event_view(row)
                yield _message("event", view, view.id)
            if stretch.reached == self._after:
                return
            self._after = stretch.reached

    async def _deliveries(self, settlements: Sequence[Settlement]) -> list[Delivery]:
        """Each once, as it stands now, with the attempts that were made of it."""
        made: dict[DeliveryKey, list[Attempt]] = {}
        for each in settlements:
            made.setdefault(each.key, []).append(_attempt(each))
        rows = {DeliveryKey(row.event, row.endpoint): row for row in await self._rows([*made])}
        told = []
        for key, attempts in made.items():
            if (row := rows.get(key)) is not None:
                view = delivery_view(row)
                view.history = attempts
                told.append(view)
        return told

    async def _rows(self, keys: Sequence[DeliveryKey]) -> Sequence[DeliveryRow]:
        return await self._feed.deliveries(keys, self._narrowed)

    async def _moved(self) -> list[Standing]:
        before, wanted = self._standings, self._narrowed
        self._standings = {each.name: each for each in await self._feed.standings()}
        return [
            Standing(
                name=each.name,
                state=each.state,
                why=each.why,
                managed_by=each.managed_by,
                breaker=each.breaker,
                retry_at=time_text(each.retry_at),
                failing_since=time_text(each.failing_since),
            )
            for each in self._standings.values()
            if before.get(each.name) != each
            and wanted.endpoint in (None, each.name)
            and wanted.state in (None, each.state)
        ]


def _attempt(settlement: Settlement) -> Attempt:
    outcome = settlement.outcome
    return Attempt(
        number=settlement.number,
        started_at=time_text(outcome.started_at),
        duration_ms=outcome.duration_ms,
        status=outcome.status,
        error=outcome.error,
        response=outcome.response.decode("utf-8", "replace"),
        replay=settlement.replay,
    )


def _message(kind: str, data: object, position: str | None = None) -> bytes:
    """Without a position it does not move the listener's: he goes on, after a break, behind the last event."""
    head = f"id: {position}\nevent: {kind}\ndata: " if position is not None else f"event: {kind}\ndata: "
    return head.encode() + _encode(data) + b"\n\n"
