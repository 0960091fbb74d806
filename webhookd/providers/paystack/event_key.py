"""The id of a Paystack event. There is none in what is sent, so it is drawn from what the event is about.

What happens only once to an object is told apart by the event's name and the object's own id: sent again, in whatever
bytes, it is the same event. What may happen again has the digest of the body in its id as well: of two different
reminders none is lost, while the same bytes are the same event.

What this cannot tell apart is two events of one name with equal bytes, such as two refunds of the same part of one
charge, both without an id yet: the second looks as a repetition of the first, to everybody but Paystack.
"""

from typing import Any

from webhookd.core.event import NAME_CHARS_MAX
from webhookd.providers.tree import ident

ONCE = frozenset(
    """
    charge.success charge.dispute.create charge.dispute.resolve paymentrequest.success
    refund.pending refund.processing refund.processed refund.failed
    transfer.success transfer.failed transfer.reversed
    preauthorization.reserve.success preauthorization.capture.success preauthorization.release.success
    """.split()
)
"""What happens to an object once. All else may come again: reminders, updates, failed attempts, what is new to us."""
NATURAL_IDS = (
    *("id", "reference", "transfer_code", "refund_reference"),
    *("subscription_code", "invoice_code", "request_code", "authorization_code", "customer_code"),
)
"""Where an object's own id is; the first that is there. A refund's `transaction_reference` is none: there may be more
refunds of one transaction."""


def event_key(event_type: str, data: Any, digest: str) -> str:
    """`data` may be anything; `digest` is the body's SHA-256 in hex."""
    natural_id = next((found for name in NATURAL_IDS if (found := ident(data, name)) is not None), None)
    if natural_id is None:
        key = f"{event_type}:{digest}"
    elif event_type in ONCE:
        key = f"{event_type}:{natural_id}"
    else:
        key = f"{event_type}:{natural_id}:{digest}"
    return key if len(key) <= NAME_CHARS_MAX else f"sha256:{digest}"
