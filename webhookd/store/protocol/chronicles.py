"""The seam to the store where a payment's history is read: what each event said, and what the payment was after it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from webhookd.core.delivery import DeliveryState
from webhookd.core.ledger import Effect, Kind

EVENTS_MAX = 200
"""Of one history: the first."""
DELIVERIES_MAX = 20
"""Of one event: those to the endpoints that were added first."""
LEFT_OUT_MAX = 1_000
"""Further events are counted no further than that."""


class StoodRow(msgspec.Struct, frozen=True):
    """A payment as it stood."""

    status: str
    """With its refunds."""
    amount: int | None
    currency: str | None
    exponent: int | None
    refunded: int


class OwedTo(NamedTuple):
    """A delivery of an event."""

    endpoint: int
    name: str
    state: DeliveryState


class SaidRow(msgspec.Struct, frozen=True):
    """One event that spoke of the payment, or of a refund of it."""

    key: int
    salt: int
    source: str
    type: str
    received_at: int
    occurred_at: int | None
    taken_at: int | None
    """When retention took it out of the log; what it said still counts."""
    kind: Kind | None
    """Of the object that it is about; None when it says nothing of money, or nothing that was understood."""
    object_id: str | None
    status: str | None
    detail: str | None
    amount: int | None
    currency: str | None
    exponent: int | None
    refunded: int | None
    """Of the payment, all in all, as it reports it."""
    reference: str | None
    effect: Effect | None
    """On the object that it is about."""
    against: str | None
    """How that object stood before."""
    stands: bool
    """Whether that object is, now, as this event says."""
    after: StoodRow | None
    """The payment after it; None where none was known yet."""
    deliveries: Sequence[OwedTo]
    """The first DELIVERIES_MAX; retention leaves none."""
    deliveries_left_out: int


class ChronicleRow(msgspec.Struct, frozen=True):
    events: Sequence[SaidRow]
    """In log order, no more than EVENTS_MAX."""
    left_out: int
    """How many more there are, counted to LEFT_OUT_MAX."""


class Chronicles(Protocol):
    """For `admin`."""

    async def chronicle(self, provider: str, payment_id: str) -> ChronicleRow:
        """As of one moment. Without events where nobody spoke of it."""
        ...
