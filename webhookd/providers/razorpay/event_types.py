"""The names Razorpay has for its events. Source: razorpay/markdown-docs, webhooks/*.md, of 2026-04-09.

Besides: `payment.pending`, of a newer page. `product.payment_link.rejected` is spelled like that there, once.
"""

EVENT_TYPES = frozenset(
    """
    payment.authorized payment.captured payment.failed payment.pending payment.downtime.started
    payment.downtime.updated payment.downtime.resolved payment.dispute.created payment.dispute.won
    payment.dispute.lost payment.dispute.closed payment.dispute.under_review payment.dispute.action_required
    order.paid order.notification.delivered order.notification.failed
    refund.created refund.processed refund.failed refund.speed_changed
    invoice.partially_paid invoice.paid invoice.expired
    subscription.authenticated subscription.activated subscription.charged subscription.completed
    subscription.updated subscription.pending subscription.halted subscription.cancelled subscription.paused
    subscription.resumed
    transfer.processed transfer.failed
    settlement.processed
    product.route.under_review product.route.needs_clarification product.route.activated
    product.payment_gateway.activated product.payment_gateway.activated_kyc_pending
    product.payment_gateway.instantly_activated product.payment_gateway.needs_clarification
    product.payment_gateway.rejected product.payment_gateway.under_review product.payment_links.activated
    product.payment_links.activated_kyc_pending product.payment_links.needs_clarification
    product.payment_links.rejected product.payment_links.under_review product.payment_link.rejected
    qr_code.created qr_code.credited qr_code.closed
    virtual_account.created virtual_account.credited virtual_account.closed
    payment_link.paid payment_link.partially_paid payment_link.cancelled payment_link.expired
    account.app.authorization_revoked account.activated account.activated_kyc_pending account.funds_hold
    account.funds_unhold account.instantly_activated account.needs_clarification account.payments_enabled
    account.rejected account.suspended account.under_review account.updated
    account.instant_activation_gmv_limit_warning account.no_doc_onboarding_gmv_limit_warning
    payout.pending payout.rejected payout.queued payout.initiated payout.processed payout.updated payout.reversed
    payout.failed payout.downtime.started payout.downtime.resolved
    fund_account.validation.completed fund_account.validation.failed
    payout_link.pending payout_link.issued payout_link.processing payout_link.processed payout_link.attempted
    payout_link.cancelled payout_link.rejected payout_link.expired
    transaction.created
    banking_accounts.issued
    token.initiated token.confirmed token.rejected token.paused token.resumed token.cancelled
    token.cancellation_initiated token.activated token.deactivated token.suspended token.expiry_updated
    token.service_provider.activated token.service_provider.cancelled token.service_provider.deactivated
    token.service_provider.failed
    """.split()
)
