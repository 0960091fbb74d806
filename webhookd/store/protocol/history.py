"""What is in the log, and what became of it."""

from collections.abc import Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec


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
