"""What is counted on disk: what each endpoint is owed, and which captured payments did not arrive.

Counting a million rows takes a fifth of a second. A count that took longer than CHEAP_S is kept for REST times as long,
and one that cannot be had (the disk is slow, the backlog immense) leaves the last one standing, which gets older for
all to see.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from webhookd.core.identifier import key_floor
from webhookd.store.protocol.endpoints import EndpointRow

CHEAP_S = 0.5
REST = 20
STUCK_EVERY_S = 15.0
STUCK_AFTER_MS = 3_600_000
"""How long the delivery of a captured payment may be pending."""
STUCK_MAX = 1_000
"""Counting ends there: it is more than anybody can look at."""


class StuckPage(Protocol):
    """Some of the outbox, looked through."""

    @property
    def found(self) -> Sequence[tuple[int, str, int]]:
        """Endpoint's number, state, how many are stuck."""
        ...

    @property
    def then(self) -> object | None:
        """Where to go on; None at the end."""
        ...


class Counts(Protocol):
    """What the store can count. Each is one short read, and raises where that is not to be had now."""

    async def endpoints(self, after: int = 0, limit: int = -1, *, removed: bool) -> Sequence[EndpointRow]: ...

    async def odd_events(self) -> Mapping[str, int]: ...


class Outbox(Protocol):
    async def stuck(self, older_than: int, place: object | None) -> StuckPage:
        """From that place on; None is the beginning. `older_than` is an event's key."""
        ...


class Survey:
    """`seconds` is a clock that never steps back; `unavailable` is what the store raises when it cannot read now."""

    def __init__(
        self,
        counts: Counts,
        outbox: Outbox,
        now_ms: Callable[[], int],
        seconds: Callable[[], float],
        unavailable: type[Exception],
    ) -> None:
        self._counts = counts
        self._outbox = outbox
        self.now_ms = now_ms
        self._seconds = seconds
        self._unavailable = unavailable
        self.rows: Sequence[EndpointRow] = ()
        self.odd: Mapping[str, int] = {}
        self.stuck: Mapping[tuple[int, str], int] = {}
        """By endpoint's number and state."""
        self.counted_at: float | None = None
        """When the rows were counted, by `seconds`; None: not yet."""
        self._began_at = self._stuck_at = seconds()
        self._look_again_at = self._stuck_again_at = 0.0
        self._turn = asyncio.Lock()

    @property
    def age_s(self) -> float:
        return self._seconds() - (self._began_at if self.counted_at is None else self.counted_at)

    @property
    def stuck_age_s(self) -> float:
        return self._seconds() - self._stuck_at

    async def look(self) -> None:
        """Count what the endpoints are owed, unless that was done just now."""
        async with self._turn:
            began = self._seconds()
            if began < self._look_again_at:
                return
            try:
                rows, odd = await self._counts.endpoints(removed=False), await self._counts.odd_events()
            except self._unavailable:
                pass
            else:
                self.rows, self.odd, self.counted_at = rows, odd, began
            self._look_again_at = self._rested(began)

    async def look_for_stuck(self) -> None:
        """The whole outbox, some of it at a time, so that others can read in between. A duty, every STUCK_EVERY_S."""
        began = self._seconds()
        if began < self._stuck_again_at:
            return
        found: Counter[tuple[int, str]] = Counter()
        older_than = key_floor(self.now_ms() - STUCK_AFTER_MS)
        place: object | None = None
        try:
            while True:
                page = await self._outbox.stuck(older_than, place)
                for endpoint, state, count in page.found:
                    found[endpoint, state] += count
                place = page.then
                if place is None or found.total() >= STUCK_MAX:
                    break
        except self._unavailable:
            return
        self.stuck, self._stuck_at = found, began
        self._stuck_again_at = self._rested(began)

    def _rested(self, began: float) -> float:
        """When to do again what was begun then and is done now."""
        now = self._seconds()
        return now + REST * (now - began) if now - began > CHEAP_S else now
