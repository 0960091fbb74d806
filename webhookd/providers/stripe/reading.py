"""What a Stripe event says: its envelope, and the facts about money in `data.object`."""

from webhookd.core.event import Hook, Reading
from webhookd.providers.provider import NotUnderstoodError
from webhookd.providers.tree import at, expandable, moment, parse, seconds, text


def read(hook: Hook) -> Reading:
    """Raises NotUnderstoodError."""
    event = parse(hook.body)
    event_id, event_type = text(event, "id"), text(event, "type")
    if event_id is None or event_type is None:
        raise NotUnderstoodError("id or type is missing, empty, too long or unprintable")
    # Seconds, or the time as text in Stripe's v2 events.
    occurred_at = seconds(event, "created") or moment(event, "created")
    subject = at(event, "data", "object")
    payment_id = (
        text(subject, "id") if at(subject, "object") == "payment_intent" else expandable(subject, "payment_intent")
    )
    return Reading(event_id, event_type, occurred_at, payment_id)
