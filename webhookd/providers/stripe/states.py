"""Stripe's words for the states of its objects, and ours for each. Source: the enums of stripe-python 16.1.0."""

from collections.abc import Mapping

from webhookd.core.ledger import Kind

STATES: Mapping[Kind, Mapping[str, str]] = {
    "payment": {
        "requires_payment_method": "pending",
        "requires_confirmation": "pending",
        "requires_action": "pending",
        "processing": "pending",
        "pending": "pending",
        "payment_failed": "failed",  # the type says it: the intent itself is back at requires_payment_method
        "failed": "failed",
        "requires_capture": "authorized",
        "uncaptured": "authorized",  # a charge that succeeded, and is not captured
        "canceled": "cancelled",
        "expired": "cancelled",
        "released": "cancelled",  # a charge that was never captured, and is said to be refunded
        "succeeded": "captured",
    },
    "refund": {
        "pending": "pending",
        "requires_action": "pending",
        "succeeded": "succeeded",
        "failed": "failed",
        "canceled": "cancelled",
    },
    "dispute": {
        "warning_needs_response": "action_required",
        "needs_response": "action_required",
        "appeal_needs_response": "action_required",
        "warning_under_review": "under_review",
        "under_review": "under_review",
        "appeal_under_review": "under_review",
        "warning_closed": "closed",
        "prevented": "closed",
        "won": "won",
        "lost": "lost",
    },
    "invoice": {
        "draft": "draft",
        "open": "open",
        "payment_failed": "failed",  # the type says it of an open invoice
        "partially_paid": "partially_paid",  # an open invoice with a part paid
        "uncollectible": "uncollectible",
        "void": "cancelled",
        "deleted": "cancelled",
        "paid": "paid",
    },
    "payment_link": {"active": "open", "inactive": "cancelled"},
    "order": {
        "open": "created",
        "unpaid": "approved",  # complete, but the money is still to come
        "async_payment_failed": "cancelled",
        "expired": "expired",
        "paid": "paid",
        "no_payment_required": "paid",
    },
    "subscription": {
        "incomplete": "pending",
        "trialing": "trialing",
        "active": "active",
        "past_due": "past_due",
        "paused": "paused",
        "unpaid": "halted",
        "incomplete_expired": "expired",
        "canceled": "cancelled",
    },
    "transfer": {
        "pending": "pending",
        "in_transit": "processing",
        "failed": "failed",
        "canceled": "cancelled",
        "paid": "succeeded",
        "succeeded": "succeeded",
        "created": "succeeded",  # a transfer to a connected account has no status: it is made at once
        "reversed": "reversed",
    },
    "account": {
        "enabled": "active",
        "charges_enabled": "limited",
        "payouts_enabled": "limited",
        "disabled": "pending",  # and no reason given: not set up yet
        "action_required.requested_capabilities": "needs_clarification",
        "requirements.past_due": "needs_clarification",
        "requirements.pending_verification": "under_review",
        "under_review": "under_review",
        "listed": "suspended",
        "other": "suspended",
        "platform_paused": "suspended",
        "rejected.fraud": "rejected",
        "rejected.incomplete_verification": "rejected",
        "rejected.listed": "rejected",
        "rejected.other": "rejected",
        "rejected.platform_fraud": "rejected",
        "rejected.platform_other": "rejected",
        "rejected.platform_terms_of_service": "rejected",
        "rejected.terms_of_service": "rejected",
        "authorized": "pending",  # what it may do is for the next account.updated to say
        "deauthorized": "revoked",
    },
}
"""Stripe's `status`; where another field or the event's type says more, the word for that."""
