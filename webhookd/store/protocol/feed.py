"""The seam to what has just been committed, for who wants to be told rather than to ask."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from webhookd.core.delivery import DeliveryKey, Settlement
from webhookd.store.protocol.history import DeliveryRow, EventRow, Filter


class Landed(msgspec.Struct, frozen=True):
    """What one commit brought."""

    head: int
    """The key of its newest event; 0 where it brought none."""
    settlements: Sequence[Settlement]
    endpoints_moved: bool
    """Whether an endpoint may stand otherwise than before."""


class Stretch(msgspec.Struct, frozen=True):
    """A part of the log."""

    events: Sequence[EventRow]
    """Those that were asked for, oldest first; without their headers."""
    reached: int
    """The key of the last event of the part; that it begins after, where nothing is left."""


class StandingRow(msgspec.Struct, frozen=True):
    """How an endpoint stands on disk."""

    name: str
    state: str
    why: str | None
    managed_by: str
    breaker: str
    retry_at: int | None
    failing_since: int | None


class Feed(Protocol):
    """For `admin`. Every read is one short snapshot. Commits bring events in the order of their keys."""

    def watch_commits(self, listener: Callable[[Landed], None] | None) -> None:
        """Call the listener with each commit from now on, right after it; None: nobody listens, and nothing is made."""
        ...

    async def head(self) -> int:
        """The key that the log ends with."""
        ...

    async def stretch(self, after: int, narrowed: Filter) -> Stretch:
        """What comes after this key, a bounded part of it. Of the filter: source, provider, type and state."""
        ...

    async def deliveries(self, keys: Sequence[DeliveryKey], narrowed: Filter) -> Sequence[DeliveryRow]:
        """Those of them that fit the filter, as they stand now. Of the filter: also endpoint."""
        ...

    async def standings(self) -> Sequence[StandingRow]:
        """All endpoints, also those that were removed."""
        ...
