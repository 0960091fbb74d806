"""What Razorpay's events are about, its words for the states of that, and ours for each.

Source: razorpay/markdown-docs, webhooks/*.md and api/*/entity.md, of 2026-04-09.
"""

from collections.abc import Mapping

import msgspec

from webhookd.core.ledger import Kind


class Subject(msgspec.Struct, frozen=True):
    entity: str
    """Its name under `payload`."""
    kind: Kind
    named: bool = False
    """The event's name says the state. Elsewhere the entity's own field does, and the name where that is missing."""
    state_at: str = "status"


SUBJECTS: Mapping[str, Subject] = {
    "payment": Subject("payment", "payment"),
    "payment.dispute": Subject("dispute", "dispute", named=True),  # action_required has the status open
    "payment.downtime": Subject("payment.downtime", "downtime", named=True),
    "refund": Subject("refund", "refund"),  # created may have the status processed
    "order": Subject("order", "order"),
    "order.notification": Subject("notification", "order", named=True),
    "invoice": Subject("invoice", "invoice"),
    "payment_link": Subject("payment_link", "payment_link"),
    "subscription": Subject("subscription", "subscription"),
    "transfer": Subject("transfer", "transfer"),
    "settlement": Subject("settlement", "transfer"),
    "payout": Subject("payout", "transfer"),
    "payout.downtime": Subject("payout.downtime", "downtime", named=True),
    "payout_link": Subject("payout_link", "transfer", named=True),  # expired may have the status cancelled
    "fund_account.validation": Subject("fund_account.validation", "fund_account"),
    "account": Subject("account", "account", named=True),
    "product.payment_gateway": Subject("merchant_product", "account", state_at="activation_status"),
    "product.payment_link": Subject("merchant_product", "account", state_at="activation_status"),
    "product.payment_links": Subject("merchant_product", "account", state_at="activation_status"),
    "product.route": Subject("merchant_product", "account", state_at="activation_status"),
}
"""By the beginning of an event's name. What is not here says nothing about money of its own: the payment that came in
by a QR code or a virtual account has events of its own, a token is no money, and a transaction of the bank account
repeats its payout."""

STATES: Mapping[Kind, Mapping[str, str]] = {
    "payment": {
        "created": "pending",
        "pending": "pending",  # cash on delivery
        "failed": "failed",
        "authorized": "authorized",
        "captured": "captured",
        "refunded": "refunded",
    },
    "refund": {
        "created": "pending",
        "pending": "pending",
        "processed": "succeeded",
        "failed": "failed",
    },
    "dispute": {
        "created": "open",
        "open": "open",
        "action_required": "action_required",
        "under_review": "under_review",
        "closed": "closed",
        "won": "won",
        "lost": "lost",
    },
    "invoice": {
        "draft": "draft",
        "issued": "open",
        "partially_paid": "partially_paid",
        "expired": "expired",
        "cancelled": "cancelled",
        "deleted": "cancelled",
        "paid": "paid",
    },
    "payment_link": {
        "created": "open",
        "partially_paid": "partially_paid",
        "expired": "expired",
        "cancelled": "cancelled",
        "paid": "paid",
    },
    "order": {
        "created": "created",
        "notification.delivered": "created",  # the customer was told of the debit to come: nothing is paid yet
        "notification.failed": "created",
        "attempted": "created",
        "paid": "paid",
    },
    "subscription": {
        "created": "pending",
        "authenticated": "pending",  # the customer agreed; it has not begun
        "active": "active",
        "activated": "active",
        "charged": "active",
        "resumed": "active",
        "pending": "past_due",  # a charge failed, and is tried again
        "paused": "paused",
        "halted": "halted",
        "expired": "expired",
        "completed": "completed",
        "cancelled": "cancelled",
    },
    "transfer": {
        "created": "pending",
        "pending": "pending",
        "queued": "pending",
        "scheduled": "pending",
        "issued": "pending",  # a payout link
        "attempted": "pending",  # a payout link whose payout came back, open for another
        "on_hold": "held",
        "initiated": "processing",
        "processing": "processing",
        "failed": "failed",
        "rejected": "cancelled",  # by the business itself, before anything was paid
        "cancelled": "cancelled",
        "expired": "cancelled",
        "processed": "succeeded",
        "partially_reversed": "succeeded",
        "reversed": "reversed",
    },
    "account": {
        "under_review": "under_review",
        "needs_clarification": "needs_clarification",
        "verification_failed": "needs_clarification",
        "instantly_activated": "limited",  # may be paid, within a limit, and is not settled yet
        "payments_enabled": "limited",
        "activated_kyc_pending": "limited",
        "instant_activation_gmv_limit_warning": "limited",
        "no_doc_onboarding_gmv_limit_warning": "limited",
        "funds_hold": "limited",
        "funds_unhold": "active",
        "activated": "active",
        "rejected": "rejected",
        "suspended": "suspended",
        "app.authorization_revoked": "revoked",  # our access to it
    },
    "fund_account": {
        "created": "pending",
        "failed": "failed",  # the validation did not come about
        "invalid": "failed",
        "completed": "active",
        "active": "active",
    },
    "downtime": {"started": "started", "updated": "updated", "resolved": "resolved"},
}
"""Razorpay's word, from the entity or from the event's name, and our status."""
