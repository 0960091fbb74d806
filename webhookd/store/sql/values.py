"""What the columns of a new row are, and what they hold, in the same order."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from webhookd.core.delivery import Settlement
from webhookd.core.event import Event
from webhookd.core.ledger import Fact, counts, standing
from webhookd.store.sql.connection import Table

FACT_COLUMNS = (
    *("kind", "object_id", "status", "detail", "major", "minor", "counts"),
    *("amount", "currency", "exponent", "refunded", "reference", "names"),
)
EVENT_COLUMNS = (
    *("key", "salt", "source", "provider", "provider_event_id", "type", "state", "received_at"),
    *("occurred_at", "payment_id", *FACT_COLUMNS, "headers", "sha256", "size", "body", "trace"),
)
LEDGER_COLUMNS = (
    *("provider", "kind", "id", "status", "detail", "major", "minor", "tie", "occurred_at", "amount", "currency"),
    *("exponent", "payment_id", "reference", "refunded", "refunded_at", "counted_at", "first_event"),
)
ATTEMPT_COLUMNS = (
    *("event", "endpoint", "number", "started_at", "duration_ms", "status"),
    *("error", "response", "replay", "state", "due_at", "step"),
)
COLUMNS: Mapping[Table, tuple[str, ...]] = {
    "event": EVENT_COLUMNS,
    "notice": EVENT_COLUMNS,
    "alias": ("source", "name", "event", "sha256"),
    "attempt": ATTEMPT_COLUMNS,
}
_encode = msgspec.json.Encoder().encode


def alias_values(event: Event) -> tuple[Any, ...]:
    return event.source, event.alias, event.key, event.sha256


def event_values(event: Event) -> tuple[Any, ...]:
    """What EVENT_COLUMNS hold."""
    return (
        *(event.key, event.salt, event.source, event.provider, event.provider_event_id, event.type, event.state),
        *(event.received_at, event.occurred_at, event.payment_id),
        *fact_values(event.fact, event.occurred_at),
        *(_encode(event.headers).decode(), event.sha256, event.size, event.body, event.trace),
    )


def fact_values(fact: Fact | None, occurred_at: int | None) -> tuple[Any, ...]:
    """The columns from `kind` to `names`."""
    if fact is None:
        return (None,) * 13
    names = fact.references if fact.reference is None else (fact.reference, *fact.references)
    return (
        *(fact.kind, fact.id, fact.status, fact.detail, *standing(fact, occurred_at), counts(fact)),
        *(fact.money.amount, fact.money.currency, fact.money.exponent, _refunded(fact), fact.reference),
        _encode(names).decode() if names else None,
    )


def _refunded(fact: Fact) -> int | None:
    """All of it, when the state says so and the event no amount."""
    if fact.kind == "payment" and fact.status == "refunded" and fact.refunded is None:
        return fact.money.amount
    return fact.refunded


def attempt_values(settlement: Settlement) -> tuple[Any, ...]:
    outcome = settlement.outcome
    return (
        *(settlement.key.event, settlement.key.endpoint, settlement.number, outcome.started_at, outcome.duration_ms),
        *(outcome.status, outcome.error, outcome.response, settlement.replay, settlement.state, settlement.due_at),
        settlement.step,
    )


VALUES: Mapping[Table, Callable[[Any], tuple[Any, ...]]] = {
    "event": event_values,
    "notice": event_values,
    "alias": alias_values,
    "attempt": attempt_values,
}
"""What `COLUMNS` hold of a noun."""


def tie(provider_event_id: str, source: str) -> str:
    """What decides between two facts of the same standing; the ledger has it of the one that stands."""
    return f"{provider_event_id}\x1f{source}"
