"""What a Standard Webhooks event says: the specification's envelope, and in it Dodo Payments' facts about money."""

from webhookd.core.event import Hook, Reading
from webhookd.providers.provider import NotUnderstoodError
from webhookd.providers.standard.facts import said
from webhookd.providers.standard.signature import message_headers
from webhookd.providers.tree import moment, parse, text


def read(hook: Hook) -> Reading:
    """Raises NotUnderstoodError."""
    event = parse(hook.body)
    message_id, _, _ = message_headers(hook)
    event_type = text(event, "type")
    if event_type is None or message_id is None:
        raise NotUnderstoodError("type is missing, empty, too long or unprintable")
    payment_id, fact = said(event_type, event)
    return Reading(message_id, event_type, moment(event, "timestamp"), payment_id, fact)
