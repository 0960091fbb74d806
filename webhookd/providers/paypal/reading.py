"""What a PayPal event says: its envelope, and by which ids it is told from others."""

from webhookd.core.event import Hook, Reading
from webhookd.providers.paypal.facts import said
from webhookd.providers.paypal.transmission import transmission_id
from webhookd.providers.provider import NotUnderstoodError
from webhookd.providers.tree import moment, parse, text


def read(hook: Hook) -> Reading:
    """Raises NotUnderstoodError.

    The event's own id is the same however often it is sent. The transmission's id is an alias: the signature is bound
    to it, but to no more of the body than a CRC-32. So another body under a transmission that is known is a forgery.
    """
    sent_as = transmission_id(hook.headers)
    alias = None if sent_as is None else f"transmission:{sent_as}"
    try:
        event = parse(hook.body)
        event_id, event_type = text(event, "id"), text(event, "event_type")
        if event_id is None or event_type is None:
            raise NotUnderstoodError("id or event_type is missing, empty, too long or unprintable")
    except NotUnderstoodError as error:
        error.alias = alias
        raise
    payment_id, fact = said(event_type, event)
    return Reading(event_id, event_type, moment(event, "create_time"), payment_id, fact, alias)
