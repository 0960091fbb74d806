"""Flutterwave's words for the states of its objects, and ours for each. Transfers say them in upper case.

Sources: developer.flutterwave.com, v3 and v4: webhooks, transfers, refunds, chargebacks.
"""

from collections.abc import Mapping

from webhookd.core.ledger import Kind

STATES: Mapping[Kind, Mapping[str, str]] = {
    "payment": {
        "pending": "pending",
        "failed": "failed",  # the customer may try again under the same reference
        "successful": "captured",  # v3
        "succeeded": "captured",  # v4
    },
    "refund": {
        "new": "pending",
        "pending": "pending",
        "pending-momo": "pending",
        "requires_action": "pending",
        "succeeded": "succeeded",
        # Taken from the merchant's balance; that it has reached the customer is only said by the longer words.
        "completed": "succeeded",
        "completed-bank-transfer": "succeeded",
        "completed-momo": "succeeded",
        "completed-mpgs": "succeeded",
        "completed-offline": "succeeded",
        "completed-preauth": "succeeded",
        "failed": "failed",
        "cancelled": "cancelled",
    },
    "dispute": {
        "created": "open",  # of the event's name
        "initiated": "open",
        "pending": "open",
        "declined": "under_review",  # by the merchant, who contests it
        "won": "won",
        "lost": "lost",
        "accepted": "lost",
    },
    "subscription": {"active": "active", "deactivated": "cancelled", "cancelled": "cancelled"},
    "transfer": {
        "new": "pending",
        "pending": "pending",
        "initiated": "pending",
        "processing": "processing",
        "successful": "succeeded",
        "success": "succeeded",  # of a bill payment
        "failed": "failed",
        "fail": "failed",  # of a bill payment
        "cancelled": "cancelled",
        "reversal": "reversed",  # of the event's name
        "reversed": "reversed",
    },
}
SUBJECTS: Mapping[str, Kind] = {
    "charge": "payment",
    "refund": "refund",
    "chargeback": "dispute",
    "subscription": "subscription",
    "transfer": "transfer",
    "singlebillpayment": "transfer",
}
"""What an event is about, by the first word of its name. `virtual_account.funded` is not here: the money that comes in
is told by the event of its charge, and would count twice.
"""
