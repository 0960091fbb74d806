"""What a Razorpay event says: its envelope, and by which ids it is told from others."""

import hashlib

from webhookd.core.event import Hook, Reading, is_name
from webhookd.providers.provider import NotUnderstoodError
from webhookd.providers.razorpay.facts import said
from webhookd.providers.razorpay.signature import EVENT_ID
from webhookd.providers.tree import parse, seconds, text

_BODY = "sha256:"


def read(hook: Hook) -> Reading:
    """Raises NotUnderstoodError.

    The event's id is in a header, and the header is outside the signature: who captured a hook may send it again under
    another id. So the body's digest is an id of the event as well; and the only one, when the header is missing or
    looks like a digest itself.
    """
    event = parse(hook.body)
    event_type = text(event, "event")
    if event_type is None:
        raise NotUnderstoodError("event is missing, empty, too long or unprintable")
    alias = _BODY + hashlib.sha256(hook.body).hexdigest()
    given = hook.headers.get(EVENT_ID)
    event_id = given if is_name(given) and not given.startswith(_BODY) else alias
    occurred_at = seconds(event, "created_at") or seconds(event, "payload", "created_at")
    payment_id, fact = said(event_type, event)
    return Reading(event_id, event_type, occurred_at, payment_id, fact, alias)
