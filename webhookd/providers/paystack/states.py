"""What Paystack's events are about, its words for the states of that, and ours for each.

Sources: paystack.com/docs/payments (webhooks, refunds, disputes, subscriptions, transfers); PaystackOSS/openapi;
PaystackOSS/doc-code-snippets of 2026-02-23.
"""

from collections.abc import Mapping

from webhookd.core.ledger import Kind

SUBJECTS: Mapping[str, Kind] = {
    "charge": "payment",
    "charge.dispute": "dispute",
    "preauthorization": "payment",
    "refund": "refund",
    "transfer": "transfer",
    "invoice": "invoice",
    "paymentrequest": "invoice",
    "subscription": "subscription",
}
"""By the beginning of an event's name. What is not here moves no money: customers, accounts that are assigned to them,
mandates, and the bank transfer that was sent back because its sum was wrong."""

STATES: Mapping[Kind, Mapping[str, str]] = {
    "payment": {
        "pending": "pending",
        "ongoing": "pending",
        "processing": "pending",
        "queued": "pending",
        "abandoned": "failed",  # a late bank transfer may still complete it
        "failed": "failed",
        "success": "captured",
        "reversed": "refunded",
        "reserve.success": "authorized",
        "authorized": "authorized",
        "release.failed": "authorized",  # still held
        "release_failed": "authorized",
        "release.success": "cancelled",
        "released": "cancelled",
        "capture.failed": "failed",
        "capture_failed": "failed",
        "capture.success": "captured",
        "captured": "captured",
    },
    "refund": {
        "pending": "pending",
        "processing": "pending",
        "needs-attention": "pending",  # waits for the customer's bank account
        "processed": "succeeded",
        "failed": "failed",
    },
    "dispute": {
        "create": "open",
        "remind": "open",
        "pending": "open",
        "awaiting-merchant-feedback": "action_required",
        "awaiting-bank-feedback": "under_review",
        "resolve": "closed",
        "resolved": "closed",  # where the resolution says no more
        "declined": "won",  # the merchant declined it, and it was left at that
        "merchant-accepted": "lost",
        "auto-accepted": "lost",  # the merchant let the time run out
    },
    "invoice": {
        "pending": "open",
        "payment_failed": "failed",  # the event's name says it, of an invoice that is pending
        "failed": "failed",
        "success": "paid",
    },
    "subscription": {
        "create": "active",
        "active": "active",
        "not_renew": "active",
        "non-renewing": "active",  # until the period that was paid for is over
        "attention": "past_due",
        "complete": "completed",
        "completed": "completed",
        "disable": "cancelled",
        "cancelled": "cancelled",
    },
    "transfer": {
        "pending": "pending",
        "failed": "failed",
        "success": "succeeded",
        "reversed": "reversed",
    },
}
"""Paystack's word, and our status: `status`, of a dispute that is resolved its `resolution`; and what follows the
subject in the event's name where that says more, or `status` is missing."""

NAMED = frozenset({"invoice.payment_failed"})
"""The events whose name says more than `status`."""
