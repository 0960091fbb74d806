"""The API's objects: what a client may rely on, made from what the store holds."""

from collections.abc import Mapping, Sequence

import msgspec

from webhookd.core.identifier import delivery_id, event_id
from webhookd.core.units import time_text
from webhookd.store.protocol.history import AttemptRow, DeliveryRow, EventRow


class PaymentRef(msgspec.Struct):
    provider: str
    id: str


class Attempt(msgspec.Struct):
    number: int
    started_at: str
    duration_ms: int
    status: int | None
    error: str | None
    response: str
    replay: bool


class Delivery(msgspec.Struct):
    id: str
    event_id: str
    endpoint: str
    state: str
    attempts: int
    next_attempt_at: str | None
    last_status: int | None
    last_error: str | None
    created_at: str
    settled_at: str | None
    history: list[Attempt] | msgspec.UnsetType = msgspec.UNSET


class Event(msgspec.Struct):
    id: str
    source: str
    provider: str
    provider_event_id: str
    type: str
    state: str
    received_at: str
    occurred_at: str | None
    size: int
    sha256: str
    payment: PaymentRef | None
    delivery_states: Mapping[str, int] | msgspec.UnsetType = msgspec.UNSET
    """In a list, where they are asked for: how many of its deliveries there are in each state."""
    headers: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    deliveries: list[Delivery] | msgspec.UnsetType = msgspec.UNSET


def event_view(row: EventRow, deliveries: Sequence[Delivery] | None = None) -> Event:
    view = Event(
        id=event_id(row.key, row.salt),
        source=row.source,
        provider=row.provider,
        provider_event_id=row.provider_event_id,
        type=row.type,
        state=row.state,
        received_at=time_text(row.received_at),
        occurred_at=time_text(row.occurred_at),
        size=row.size,
        sha256=row.sha256.hex(),
        payment=PaymentRef(row.provider, row.payment_id) if row.payment_id is not None else None,
    )
    if deliveries is not None:
        view.headers = dict(row.headers)
        view.deliveries = list(deliveries)
    return view


def delivery_view(row: DeliveryRow, attempts: Sequence[AttemptRow] | None = None) -> Delivery:
    view = Delivery(
        id=delivery_id(row.event, row.endpoint),
        event_id=event_id(row.event, row.salt),
        endpoint=row.endpoint_name,
        state=row.state,
        attempts=row.attempts,
        next_attempt_at=time_text(row.due_at),
        last_status=row.last_status,
        last_error=row.last_error,
        created_at=time_text(row.created_at),
        settled_at=time_text(row.settled_at),
    )
    if attempts is not None:
        view.history = [
            Attempt(
                number=attempt.number,
                started_at=time_text(attempt.started_at),
                duration_ms=attempt.duration_ms,
                status=attempt.status,
                error=attempt.error,
                response=attempt.response.decode("utf-8", "replace"),
                replay=bool(attempt.replay),
            )
            for attempt in attempts
        ]
    return view
