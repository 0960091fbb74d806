"""The seam to the store, cut by who asks. A method is one transaction; its docstring says what a crash leaves."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec

from webhookd.core.delivery import Due, Priority, Settlement
from webhookd.core.event import Appended, Event
from webhookd.core.ledger import Kind

LATEST_MS = 2**62
"""Later than any time there is."""
Stretch = tuple[int, int]
"""Of time: its first and its last millisecond."""


class StoreError(Exception):
    """The root of what a store raises."""


class StoreUnavailableError(StoreError):
    """Not now: the queue or the disk is full, or the database is held by somebody else. Nothing was stored."""


class StoreBrokenError(StoreError):
    """The disk failed under the database. Whether the last transaction is kept is unknown: the process must stop."""


class RefusalError(Exception):
    """A change that was not made, and has written nothing: what else is in its batch is not concerned."""


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


class EventRow(msgspec.Struct, frozen=True):
    key: int
    salt: int
    source: str
    provider: str
    provider_event_id: str
    type: str
    state: str
    received_at: int
    occurred_at: int | None
    payment_id: str | None
    size: int
    sha256: bytes
    headers: Sequence[tuple[str, str]]


class DeliveryRow(msgspec.Struct, frozen=True):
    event: int
    salt: int
    endpoint: int
    endpoint_name: str
    state: str
    attempts: int
    due_at: int | None
    last_status: int | None
    last_error: str | None
    created_at: int
    settled_at: int | None


class AttemptRow(msgspec.Struct, frozen=True):
    number: int
    started_at: int
    duration_ms: int
    status: int | None
    error: str | None
    response: bytes
    replay: bool


class Filter(msgspec.Struct, frozen=True):
    """What a list is narrowed by; None means any. Newest first, `before` a key and `after` a key exclusive."""

    source: str | None = None
    provider: str | None = None
    type: str | None = None
    """A glob."""
    state: str | None = None
    endpoint: str | None = None
    error: str | None = None
    """Of deliveries: what the last attempt found, …"""
    status: int | None = None
    """… and what it was answered."""
    since_ms: int | None = None
    until_ms: int | None = None
    before: tuple[int, int] | None = None
    """(event key, endpoint number) of the last row seen."""
    after: int | None = None
    """An event key: only newer ones, oldest first."""


Row = TypeVar("Row")


class Looked(msgspec.Struct, Generic[Row], frozen=True):
    """What one look along a list found: it looks at a bounded number of rows, however few of them are wanted."""

    rows: Sequence[Row]
    """Perhaps none: that is no sign that there are none further on."""
    then: Sequence[int] | None
    """Where the look ended, as the next one's `before` or `after` has it; None at the true end of the list."""


class History(Protocol):
    """For `admin`. Every read is one short snapshot."""

    async def events(self, narrowed: Filter, limit: int) -> Looked[EventRow]: ...

    async def event(self, key: int, salt: int) -> EventRow | None: ...

    async def body(self, key: int) -> bytes | None: ...

    async def deliveries(self, narrowed: Filter, limit: int) -> Looked[DeliveryRow]: ...

    async def deliveries_of(self, event: int) -> Sequence[DeliveryRow]: ...

    async def delivery(self, event: int, endpoint: int) -> DeliveryRow | None: ...

    async def attempts(self, event: int, endpoint: int) -> Sequence[AttemptRow]: ...

    async def odd_events(self) -> Mapping[str, int]:
        """How many events went nowhere, by state: unrouted, quarantined."""
        ...


class PaymentRow(msgspec.Struct, frozen=True):
    provider: str
    id: str
    status: str
    """As it stands with its refunds."""
    detail: str | None
    amount: int | None
    currency: str | None
    exponent: int | None
    refunded: int
    reference: str | None
    occurred_at: int | None
    first_event: int
    events: Sequence[str] = ()
    """The ids of the events that spoke of it, in log order; no more than the first hundred."""


class ObjectRow(msgspec.Struct, frozen=True):
    """Whatever the ledger knows that is no payment."""

    provider: str
    kind: Kind
    id: str
    status: str
    detail: str | None
    amount: int | None
    currency: str | None
    exponent: int | None
    payment_id: str | None
    reference: str | None
    occurred_at: int | None
    first_event: int
    events: Sequence[str] = ()
    """As of a payment."""


class LedgerFilter(msgspec.Struct, frozen=True):
    """What a list of the ledger is narrowed by; None means any. Those first heard of last come first."""

    provider: str | None = None
    status: str | None = None
    reference: str | None = None
    payment: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    before: int | None = None
    """The `first_event` of the last row seen."""


class RevenueRow(msgspec.Struct, frozen=True):
    """One currency of one provider on one day."""

    day: int
    """Days since 1970-01-01, UTC."""
    provider: str
    currency: str | None
    exponent: int | None
    gross: int
    refunded: int
    disputed: int
    unreadable: int
    """Payments, refunds and disputes without an amount that could be read: they are missing in the sums."""


class Ledger(Protocol):
    """For `admin`. Every read is one short snapshot, but `revenue`, which is as many as it takes."""

    async def payment(self, provider: str, payment_id: str) -> PaymentRow | None: ...

    async def payments(self, narrowed: LedgerFilter, limit: int) -> Looked[PaymentRow]: ...

    async def objects(self, kind: Kind, narrowed: LedgerFilter, limit: int) -> Looked[ObjectRow]: ...

    async def revenue(self, since_ms: int, until_ms: int) -> Sequence[RevenueRow]:
        """What counted in that time, by day, provider and currency; unsorted."""
        ...


class Payments(Protocol):
    """For `admin`: who waits for a payment."""

    def watch_payments(self, listener: Callable[[str, str], None]) -> None:
        """Call the listener with provider and id of each payment that a commit spoke of, right after it."""
        ...
