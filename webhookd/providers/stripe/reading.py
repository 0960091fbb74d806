"""What a Stripe event says: its envelope. What it says about money is read in `facts`."""

from webhookd.core.event import Hook, Reading, is_name, occurred_ms
from webhookd.providers.provider import NotUnderstoodError
from webhookd.providers.stripe.facts import said
from webhookd.providers.tree import moment, parse


def read(hook: Hook) -> Reading:
    """Raises NotUnderstoodError.

    The event's own id tells repetitions apart. Its `created` is when it occurred; the `t` of the signature is not: it
    is that of this delivery.
    """
    event = parse(hook.body)
    event_id, event_type = event.get("id"), event.get("type")
    if not is_name(event_id) or not is_name(event_type):
        raise NotUnderstoodError("id or type is missing, empty, too long or unprintable")
    created = event.get("created")
    # Seconds, or the time as text in Stripe's v2 events.
    occurred_at = occurred_ms(created) if type(created) is int else moment(event, "created")
    payment_id, fact = said(event)
    return Reading(event_id, event_type, occurred_at, payment_id, fact)
