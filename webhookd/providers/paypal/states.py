"""What PayPal's events are about, its words for the states of that, and ours for each.

Source: paypal/paypal-rest-api-specifications (payments_payment_v2, checkout_orders_v2, customer_disputes_v1,
billing_subscriptions_v1, invoicing_v2, payments_payouts_batch_v1), and of the v1 API the SDKs' fixtures. The v1 API
writes the same words in lower case or in title case; here all are in upper case.
"""

from collections.abc import Mapping

from webhookd.core.ledger import Kind

RESOURCES: Mapping[str, str] = {
    "capture": "capture",
    "sale": "capture",  # the v1 API's capture
    "authorization": "authorization",
    "refund": "refund",
    "dispute": "dispute",
    "checkout-order": "order",
    "order": "order",
    "payment": "order",  # the v1 API's: what its sales, authorizations and orders belong to
    "invoices": "invoice",
    "invoice": "invoice",
    "subscription": "subscription",
    "agreement": "subscription",
    "payouts-item": "payouts_item",
    "payouts": "payouts_batch",
}
"""What the resource of an event is, by its `resource_type` in lower case and with hyphens."""

NAMES: Mapping[str, str] = {
    "PAYMENT.CAPTURE": "capture",
    "PAYMENT.SALE": "capture",
    "PAYMENT.AUTHORIZATION": "authorization",
    "PAYMENT.REFUND": "refund",
    "PAYMENT.ORDER": "order",
    "PAYMENTS.PAYMENT": "order",
    "CHECKOUT.ORDER": "order",
    "CHECKOUT.CHECKOUT": "order",
    "CHECKOUT.PAYMENT-APPROVAL": "order",
    "CUSTOMER.DISPUTE": "dispute",
    "RISK.DISPUTE": "dispute",
    "INVOICING.INVOICE": "invoice",
    "BILLING.SUBSCRIPTION": "subscription",
    "PAYMENT.PAYOUTS-ITEM": "payouts_item",
    "PAYMENT.PAYOUTSBATCH": "payouts_batch",
    "PAYMENT.REFERENCED-PAYOUT-ITEM": "referenced_payout",
    "MERCHANT.ONBOARDING": "account",
    "MERCHANT.PARTNER-CONSENT": "account",
    "CUSTOMER.MERCHANT-INTEGRATION": "account",
    "CUSTOMER.MANAGED-ACCOUNT": "account",
    "CUSTOMER.ACCOUNT-LIMITATION": "account",
}
"""The same by the beginning of the event's name, where the `resource_type` says nothing. What is in neither is not of
money: plans, products, tokens of cards, and a customer's consent to share data.
"""

STATES: Mapping[Kind, Mapping[str, str]] = {
    "payment": {
        "PENDING": "pending",
        "DECLINED": "failed",
        "DENIED": "failed",
        "FAILED": "failed",
        "CREATED": "authorized",  # an authorization
        "AUTHORIZED": "authorized",
        "PARTIALLY_CAPTURED": "authorized",  # an authorization: its captures are payments of their own
        "CAPTURED": "authorized",
        "VOIDED": "cancelled",
        "EXPIRED": "cancelled",
        "COMPLETED": "captured",
        "PARTIALLY_REFUNDED": "partially_refunded",
        "REFUNDED": "refunded",
        "REVERSED": "refunded",  # the event's name says it: PayPal or the buyer's bank took the money back
    },
    "refund": {
        "PENDING": "pending",
        "COMPLETED": "succeeded",
        "REFUNDED": "succeeded",  # the event's name, of a refund without a state
        "REVERSED": "succeeded",
        "FAILED": "failed",
        "CANCELLED": "cancelled",
    },
    "dispute": {
        "OPEN": "open",
        "CREATED": "open",  # the event's name, of a dispute without a state
        "OTHER": "open",
        "WAITING_FOR_SELLER_RESPONSE": "action_required",
        "WAITING_FOR_BUYER_RESPONSE": "under_review",
        "UNDER_REVIEW": "under_review",
        "RESOLVED": "closed",  # where the outcome says no more
        "RESOLVED_WITH_PAYOUT": "closed",  # PayPal paid, to one side or the other
        "NONE": "closed",
        "RESOLVED_SELLER_FAVOUR": "won",
        "DENIED": "won",  # PayPal denied the buyer's claim
        "CANCELED_BY_BUYER": "won",
        "RESOLVED_BUYER_FAVOUR": "lost",
        "ACCEPTED": "lost",  # PayPal accepted the buyer's claim
    },
    "invoice": {
        "DRAFT": "draft",
        "CREATED": "draft",  # the event's name
        "SCHEDULED": "draft",
        "SENT": "open",
        "UNPAID": "open",
        "PAYMENT_PENDING": "open",
        "PARTIALLY_PAID": "partially_paid",
        "CANCELLED": "cancelled",
        "PAID": "paid",
        "MARKED_AS_PAID": "paid",
        "PARTIALLY_REFUNDED": "paid",
        "REFUNDED": "refunded",
        "MARKED_AS_REFUNDED": "refunded",
    },
    "order": {
        "CREATED": "created",
        "SAVED": "created",
        "PAYER_ACTION_REQUIRED": "created",
        "PENDING": "created",  # an order of the v1 API
        "APPROVED": "approved",  # by the buyer; or completed, but authorized only, or with no capture that is through
        "BUYER-APPROVED": "approved",
        "AUTHORIZED": "approved",
        "PROCESSED": "approved",  # the event's name, of an order without a state
        "VOIDED": "cancelled",
        "CANCELLED": "cancelled",
        "FAILED": "cancelled",
        "REVERSED": "cancelled",  # the approval was taken back
        "CAPTURED": "paid",
        "COMPLETED": "paid",  # and captured
    },
    "subscription": {
        "APPROVAL_PENDING": "pending",
        "APPROVED": "pending",
        "PENDING": "pending",
        "CREATED": "pending",
        "ACTIVE": "active",
        "ACTIVATED": "active",
        "RE-ACTIVATED": "active",
        "REACTIVATED": "active",
        "PAYMENT.FAILED": "past_due",  # the event's name, of a subscription that is still active
        "SUSPENDED": "paused",
        "EXPIRED": "expired",
        "CANCELLED": "cancelled",
    },
    "transfer": {
        "PENDING": "pending",
        "NEW": "pending",
        "PROCESSING": "processing",
        "UNCLAIMED": "held",  # the receiver has 30 days to open an account
        "ONHOLD": "held",
        "HELD": "held",
        "FAILED": "failed",
        "BLOCKED": "failed",
        "DENIED": "failed",
        "CANCELED": "cancelled",
        "SUCCESS": "succeeded",
        "SUCCEEDED": "succeeded",
        "COMPLETED": "succeeded",
        "RETURNED": "reversed",
        "REFUNDED": "reversed",
        "REVERSED": "reversed",
    },
    "account": {
        "SELLER-ONBOARDING-INITIATED": "pending",
        "ACCOUNT-CREATED": "pending",
        "ADDED": "limited",  # a limitation
        "ESCALATED": "limited",
        "UPDATED": "limited",
        "LIFTED": "active",
        "COMPLETED": "active",  # the onboarding
        "SELLER-ALREADY-INTEGRATED": "active",
        "CREATION-FAILED": "rejected",
        "REVOKED": "revoked",  # our access to it
    },
}
"""PayPal's word, from the resource or from the end of the event's name, and our status."""
