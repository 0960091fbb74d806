"""The seam to the store where one event's story is read: all that is on record of it, as of one moment."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from webhookd.core.breaker import Health
from webhookd.core.delivery import DeliveryState
from webhookd.core.endpoint import EndpointState, Why
from webhookd.core.ledger import Kind
from webhookd.store.protocol.history import EventRow

ATTEMPTS_MAX = 500
"""Of one story: the newest."""
DELIVERIES_MAX = 200
ROUTES_MAX = 2_000
"""Rows of the routing table that are looked through for an event that went nowhere."""
CHANGES_LOOKED_AT_MAX = 100_000
"""Rows of the audit trail, the newest: it has no index by what was changed."""
CANDIDATES_MAX = 20


class OwedRow(msgspec.Struct, frozen=True):
    """A delivery, and how its endpoint stands."""

    endpoint: int
    endpoint_name: str
    state: DeliveryState
    due_at: int | None
    attempts: int
    is_replay: bool
    last_status: int | None
    last_error: str | None
    created_at: int
    settled_at: int | None
    is_held: bool
    behind: tuple[int, int] | None
    """Of one that is held: the earlier event of its payment that is to go first, key and salt."""
    endpoint_state: EndpointState
    why: Why | None
    health: Health


class TriedRow(msgspec.Struct, frozen=True):
    endpoint: int
    number: int
    started_at: int
    duration_ms: int
    status: int | None
    error: str | None
    is_replay: bool
    state: DeliveryState
    """What the delivery became by it."""


class ConflictRow(msgspec.Struct, frozen=True):
    first_at: int
    last_at: int
    times: int


class ChangeRow(msgspec.Struct, frozen=True):
    """What a person did to it, or to an endpoint that it is owed to."""

    at: int
    actor: str
    action: str
    subject: str


class ReplayRow(msgspec.Struct, frozen=True):
    """A replay that named it."""

    number: int
    created_at: int


class RouteRow(msgspec.Struct, frozen=True):
    """A row of the routing table that an event matches, or matches in part."""

    endpoint_name: str
    source: str
    pattern: str
    added_at: int
    is_its_source: bool
    is_its_type: bool


class MovedRow(msgspec.Struct, frozen=True):
    """What the event says of one object of the ledger."""

    kind: Kind
    id: str
    said: str
    stands: bool
    """Whether the ledger has the object as this event says."""


class Record(msgspec.Struct, frozen=True):
    """Of one event, and of one of its deliveries only where that was asked for."""

    event: EventRow
    body: bytes | None
    """Only of a quarantined one."""
    has_body: bool
    taken_at: int | None
    """When retention took it; then there is no more of it than this, and what it moved."""
    owed: Sequence[OwedRow]
    owed_left_out: int
    tried: Sequence[TriedRow]
    """By time."""
    tried_left_out: int
    conflicts: Sequence[ConflictRow]
    changes: Sequence[ChangeRow]
    replays: Sequence[ReplayRow]
    routes: Sequence[RouteRow]
    """Only for one that went nowhere."""
    moved: MovedRow | None
    payment_status: str | None
    """How its payment stands now."""


class Stories(Protocol):
    """For `admin`. Every read is one short snapshot."""

    async def record(self, key: int, salt: int | None, endpoint: int | None) -> Record | None:
        """Of an event, by its key and, if given, its salt; narrowed to its delivery to an endpoint, if given.

        None when neither the log nor what retention leaves has it, or it is not owed to that endpoint.
        """
        ...

    async def bearing(self, name: str) -> Sequence[EventRow]:
        """Events whose own id at their provider, or whose payment or object, has this name; the newest first.

        At most CANDIDATES_MAX. One that retention has taken is found by its provider's id only.
        """
        ...
