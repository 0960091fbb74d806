"""Dodo Payments' words for the states of its objects, and ours for each.

Sources: the enums of dodopayments 1.123.0; docs.dodopayments.com/developer-resources/webhooks for what a word means.
"""

from collections.abc import Mapping

from webhookd.core.ledger import Kind

STATES: Mapping[Kind, Mapping[str, str]] = {
    "payment": {
        "processing": "pending",
        "requires_customer_action": "pending",
        "requires_merchant_action": "pending",
        "requires_payment_method": "pending",
        "requires_confirmation": "pending",
        "failed": "failed",
        "cancelled": "cancelled",
        "requires_capture": "authorized",
        "partially_captured": "captured",
        "partially_captured_and_capturable": "captured",
        "succeeded": "captured",
        "partial": "partially_refunded",  # the refund_status of a payment that succeeded
    },
    "refund": {"pending": "pending", "review": "pending", "succeeded": "succeeded", "failed": "failed"},
    "dispute": {
        "dispute_opened": "open",
        "dispute_challenged": "under_review",
        "dispute_cancelled": "closed",  # withdrawn
        "dispute_expired": "closed",  # not answered in time; it "usually" goes against the merchant
        "dispute_won": "won",
        "dispute_accepted": "lost",  # not contested
        "dispute_lost": "lost",
    },
    "subscription": {
        "pending": "pending",
        "active": "active",
        "renewed": "active",  # of the event's name
        "unpaused": "active",  # of the event's name
        "past_due": "past_due",
        "paused": "paused",
        "on_hold": "halted",  # a renewal failed, and its days of grace are over
        "expired": "expired",
        "failed": "cancelled",  # it never began: no mandate for it
        "cancelled": "cancelled",
    },
    "transfer": {  # payouts; a failed one may be recovered, and a bank may return one that had succeeded
        "not_initiated": "pending",
        "created": "pending",  # of the event's name
        "in_progress": "processing",
        "on_hold": "held",
        "failed": "failed",
        "success": "succeeded",
    },
}
SUBJECTS: Mapping[str, Kind] = {
    "payment": "payment",
    "refund": "refund",
    "dispute": "dispute",
    "subscription": "subscription",
    "payout": "transfer",
}
"""What an event is about: its `payload_type`, in lower case, or else the first word of its name."""
