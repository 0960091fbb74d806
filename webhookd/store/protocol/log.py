"""The log and its outbox: what `receive` puts in and `dispatch` takes out."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from webhookd.core.delivery import Due, Priority, Settlement
from webhookd.core.event import Appended, Event

LATEST_MS = 2**62
"""Later than any time there is."""
Stretch = tuple[int, int]
"""Of time: its first and its last millisecond."""


class DueBatch(msgspec.Struct, frozen=True):
    due: Sequence[Due]
    behind: frozenset[Priority]
    """Those of the priorities asked for of which more was due than the limits let through."""
    next_due_at: int | None
    """When the first delivery comes due that is not due yet, of the other priorities asked for, Unix milliseconds; None
    when there is none."""


class EventLog(Protocol):
    """For `receive`."""

    def append(self, event: Event) -> Awaitable[Appended]:
        """Put the event into the log if it is new, with one delivery for every endpoint it is owed to.

        The answer comes once that is fsynced. A crash before it leaves all of it or nothing.
        Raises StoreUnavailableError, StoreBrokenError.
        """
        ...


class Outbox(Protocol):
    """For `dispatch`."""

    def announce(self, listener: Callable[[Sequence[Due], bool], None]) -> None:
        """Call the listener with the deliveries of each commit, right after it.

        The flag says whether these are all: a commit may owe more than one announcement can hold, and the rest is
        then to be found by `due`. A crash between commit and announcement costs nothing: `due` finds everything.
        """
        ...

    async def due(
        self,
        endpoint: int,
        now_ms: int,
        known: Sequence[int],
        rooms: Mapping[Priority, int],
        bytes_max: int,
        wait_ms_max: int = LATEST_MS,
    ) -> DueBatch:
        """The endpoint's pending deliveries whose time has come: by priority, then oldest first. Changes nothing.

        What would have to wait for longer than `wait_ms_max` was scheduled by a clock that has been set back since: its
        time has come, too. Passes over the events in `known`; gives at most so many of each priority as `rooms` says,
        none of another, and `bytes_max` bytes of bodies, but always one.
        """
        ...

    async def retime(self, endpoint: int, stretch: Stretch, by_ms: int, new_ms: int) -> Stretch | None:
        """Move what is pending for the endpoint and due in that stretch of time, or a part of it, by so much.

        What is due at `new_ms` or later and has never been tried stays: it may have come since the clock was set. Gives
        what is left of the stretch, None when all of it is moved. A crash leaves the parts that were moved.
        """
        ...

    async def settle(self, settlement: Settlement) -> None:
        """Record an attempt and move its delivery; fsynced on return. A crash before that leaves the delivery due."""
        ...
