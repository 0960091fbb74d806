"""`/api/v1/payments/{provider}/{id}/history`: what was said of a payment, event by event, and what came of it."""

from collections.abc import Sequence

import msgspec

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.door.reasons import NotFoundError
from webhookd.admin.ledger_views import Money
from webhookd.core.delivery import DeliveryState
from webhookd.core.event import is_name
from webhookd.core.identifier import delivery_id, event_id
from webhookd.core.ledger import Effect, Kind
from webhookd.core.money import EXPONENTS
from webhookd.core.units import time_text
from webhookd.store.protocol.chronicles import Chronicles, OwedTo, SaidRow, StoodRow


class Stood(msgspec.Struct):
    status: str
    """With its refunds."""
    amount: Money
    refunded: Money


class Fact(msgspec.Struct):
    """What an event says of the one object it is about, as the log has it."""

    kind: Kind
    id: str
    status: str
    detail: str | None
    """The provider's own word for the status."""
    amount: Money
    refunded: Money | None
    """All that was refunded of the payment, where the event reports it."""
    reference: str | None
    effect: Effect
    """On that object. `first`: nothing was said of it before. `moved`: it is in this state from then on. `same`: it
    was, and this fact stands from then on. Nothing moved where its state was less far on than how the object stood
    (`behind`), where it occurred before what stood (`earlier`), and where it is as far on and of the same time but of
    the lesser id (`tie`)."""
    against: str | None
    """How the object stood before; null where this is the first."""
    stands: bool
    """Whether the object is, now, as this event says."""


class Told(msgspec.Struct):
    """A delivery of the event."""

    id: str
    endpoint: str
    state: DeliveryState


class Said(msgspec.Struct):
    event_id: str
    source: str
    type: str
    received_at: str
    occurred_at: str | None
    taken_at: str | None
    """When retention took it out of the log; what it said still counts."""
    fact: Fact | None
    """Null where it says nothing of money, or nothing that was understood."""
    after: Stood | None
    """The payment after it; null while none was known."""
    deliveries: Sequence[Told]
    """At most the first twenty."""
    deliveries_left_out: int


class PaymentHistory(msgspec.Struct):
    data: Sequence[Said]
    """Every event that spoke of the payment or of a refund of it, in log order; at most the first 200."""
    left_out: int
    """How many more there are, counted to 1,000."""


class PaymentHistoryApi:
    def __init__(self, store: Chronicles) -> None:
        self._store = store

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                "GET",
                "/api/v1/payments/{provider:[^/]+}/{id:[^/]+}/history",
                self.history,
                "A payment's history, event by event",
                PaymentHistory,
                problems=[404],
                detail="Where it stood after each event is what the ledger makes of the events up to it, in log order.",
            )
        ]

    async def history(self, asked: Asked[Nothing, Nothing]) -> PaymentHistory:
        provider, payment_id = asked.path["provider"], asked.path["id"]
        if provider not in EXPONENTS or not is_name(payment_id):
            raise NotFoundError
        found = await self._store.chronicle(provider, payment_id)
        if not found.events:
            raise NotFoundError
        return PaymentHistory([_said(row) for row in found.events], found.left_out)


def _said(row: SaidRow) -> Said:
    return Said(
        event_id=event_id(row.key, row.salt),
        source=row.source,
        type=row.type,
        received_at=time_text(row.received_at),
        occurred_at=time_text(row.occurred_at),
        taken_at=time_text(row.taken_at),
        fact=_fact(row),
        after=None if row.after is None else _stood(row.after),
        deliveries=[_told(row.key, each) for each in row.deliveries],
        deliveries_left_out=row.deliveries_left_out,
    )


def _fact(row: SaidRow) -> Fact | None:
    if row.kind is None or row.object_id is None or row.status is None or row.effect is None:
        return None
    return Fact(
        kind=row.kind,
        id=row.object_id,
        status=row.status,
        detail=row.detail,
        amount=Money(row.amount, row.currency, row.exponent),
        refunded=None if row.refunded is None else Money(row.refunded, row.currency, row.exponent),
        reference=row.reference,
        effect=row.effect,
        against=row.against,
        stands=row.stands,
    )


def _stood(row: StoodRow) -> Stood:
    return Stood(
        row.status, Money(row.amount, row.currency, row.exponent), Money(row.refunded, row.currency, row.exponent)
    )


def _told(key: int, row: OwedTo) -> Told:
    return Told(delivery_id(key, row.endpoint), row.name, row.state)
