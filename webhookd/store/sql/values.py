"""What the columns of a new row hold, in their order in `queries`."""

from typing import Any

import msgspec

from webhookd.core.delivery import Settlement
from webhookd.core.event import Event
from webhookd.core.ledger import Fact, counts, standing

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
