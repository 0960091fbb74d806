"""Which of Flutterwave's shapes an event has, and what it says. The shapes tell themselves apart; no secret is needed.

- v4: `type`, `timestamp` (ms), `data`, and its own id as `webhook_id` or `id`.
- v3: `event` and `data`. No id of its own, no time of its own.
- v3, flat: the charge itself, with `txRef`. It has no name; it is `charge.completed`.
- v3, refund: the refund itself, with `AmountRefunded`. It has no name either; it is `refund.completed`.
- v3, transfer of old: the transfer in `transfer`, beside `event.type`. It is `transfer.completed`.
- v3, virtual card: flat, with `MaskedPan`. It is `virtual_card.` and its `Type`, as in `virtual_card.debit`.

Where there is no id of its own, an event is its name, its object and the object's state: the same again is a duplicate,
as in Flutterwave's own example. Never the body while there is such a name: v3 signs nothing, so that a space added by a
stranger would make a new event.
"""

import hashlib
from decimal import Decimal
from typing import Any

from webhookd.core.event import NAME_CHARS_MAX, SECONDS_MAX, Hook, Reading, occurred_ms
from webhookd.providers.flutterwave.facts import REFUND_MARK, Json, said
from webhookd.providers.provider import NotUnderstoodError
from webhookd.providers.tree import ident, moment, parse, text, word

CHARGE, REFUND, TRANSFER = "charge.completed", "refund.completed", "transfer.completed"
OBJECT_KEYS = ("id", "flw_ref", "flwRef", "FlwRef", "tx_ref", "txRef", "reference", "TransactionId")
TIME_KEYS = ("updated_at", "updatedAt", "created_datetime", "created_at", "createdAt", "date_created")


def read(hook: Hook) -> Reading:
    """Raises NotUnderstoodError."""
    event = parse(hook.body)
    event_type, subject = _opened(event)
    payment_id, fact = said(event_type, subject, event)
    event_id = _own_id(event) or _natural_id(event_type, subject) or f"sha256:{_sha256(hook.body)}"
    return Reading(event_id, event_type, _occurred_at(event, subject), payment_id, fact)


def _opened(event: Json) -> tuple[str, Json]:
    """The name of the event, and the object it is about."""
    name = text(event, "event") or text(event, "type")
    if name is not None:
        subject = event.get("data")
        return name, subject if isinstance(subject, dict) else {}
    if REFUND_MARK in event:
        return REFUND, event
    transfer = event.get("transfer")
    if isinstance(transfer, dict):
        return TRANSFER, transfer
    if "txRef" in event or "flwRef" in event:
        return CHARGE, event
    card = word(event, "Type") if "MaskedPan" in event else None
    name = text(event, "event.type") if card is None else f"virtual_card.{card.lower()}"
    if name is None:
        raise NotUnderstoodError("neither event, type nor any shape that is known without them")
    return name, event


def _own_id(event: Json) -> str | None:
    """v4 only: in a flat event of v3 `id` is the charge's."""
    if text(event, "event") is not None or text(event, "type") is None:
        return None
    return text(event, "webhook_id") or text(event, "id")


def _natural_id(event_type: str, subject: Json) -> str | None:
    found = next((found for key in OBJECT_KEYS if (found := ident(subject, key)) is not None), None)
    if found is None:
        return None
    state = word(subject, "status") or word(subject, "Status") or ""
    natural = f"{event_type}:{found}:{state.lower()}"
    return natural if len(natural) <= NAME_CHARS_MAX else f"sha256:{_sha256(natural.encode())}"


def _occurred_at(event: Json, subject: Json) -> int | None:
    """Unix milliseconds. v3 has no time of the event: when its object was last changed or, failing that, created."""
    at_ms = event.get("timestamp")
    if type(at_ms) is int and 0 < at_ms < SECONDS_MAX * 1_000:
        return at_ms
    return next((found for key in TIME_KEYS if (found := _time(subject, key)) is not None), None)


def _time(subject: Json, key: str) -> int | None:
    """ISO 8601, up to nanoseconds, or Unix seconds with a fraction."""
    found: Any = subject.get(key)
    is_number = type(found) is int or isinstance(found, Decimal)
    return occurred_ms(found) or None if is_number else moment(subject, key)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
