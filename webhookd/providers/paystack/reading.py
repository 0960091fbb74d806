"""What a Paystack event says: `event` and `data` are its whole envelope; there is neither an id nor a time in it."""

import hashlib
from collections.abc import Mapping
from typing import Any

from webhookd.core.event import Hook, Reading
from webhookd.providers.event_name import split
from webhookd.providers.paystack.event_key import event_key
from webhookd.providers.paystack.facts import said
from webhookd.providers.provider import NotUnderstoodError
from webhookd.providers.tree import moment, parse, text

TIMES: Mapping[str, tuple[str, ...]] = {
    "charge": ("paid_at", "paidAt"),
    "charge.dispute.remind": ("updated_at", "updatedAt"),
    "charge.dispute.resolve": ("resolvedAt", "resolved_at", "updated_at", "updatedAt"),
    "invoice": ("paid_at",),
    "paymentrequest": ("paid_at",),
    "preauthorization.capture": ("captured_at",),
    "refund": ("refunded_at", "updated_at", "refund_created_at"),
    "transfer": ("updated_at", "updatedAt", "transferred_at"),
}
"""By the beginning of an event's name, the fields that say when it occurred; the first one counts. Else it is when the
object was made; refunds have as a rule no time at all."""
_MADE = ("created_at", "createdAt")


def read(hook: Hook) -> Reading:
    """Raises NotUnderstoodError."""
    event = parse(hook.body)
    event_type = text(event, "event")
    if event_type is None:
        raise NotUnderstoodError("event is missing, empty, too long or unprintable")
    data = event.get("data")
    key = event_key(event_type, data, hashlib.sha256(hook.body).hexdigest())
    payment_id, fact = said(event_type, data)
    return Reading(key, event_type, _occurred_at(event_type, data), payment_id, fact)


def _occurred_at(event_type: str, data: Any) -> int | None:
    subject, _ = split(event_type, TIMES)
    fields = (*(TIMES[subject] if subject is not None else ()), *_MADE)
    return next((found for field in fields if (found := moment(data, field)) is not None), None)
