"""The names Dodo Payments has for its events. Source: dodopayments 1.123.0. Other senders have names of their own."""

EVENT_TYPES = frozenset(
    """
    payment.succeeded payment.failed payment.processing payment.cancelled

    refund.succeeded refund.failed

    dispute.opened dispute.expired dispute.accepted dispute.cancelled dispute.challenged dispute.won dispute.lost

    subscription.active subscription.renewed subscription.on_hold subscription.past_due subscription.paused
    subscription.unpaused subscription.cancelled subscription.failed subscription.expired subscription.plan_changed
    subscription.updated subscription.update_payment_method

    payout.created payout.on_hold payout.in_progress payout.failed payout.success

    license_key.created

    credit.added credit.deducted credit.expired credit.rolled_over credit.rollover_forfeited credit.overage_charged
    credit.overage_reset credit.manual_adjustment credit.balance_low

    abandoned_checkout.detected abandoned_checkout.recovered dunning.started dunning.recovered

    entitlement_grant.created entitlement_grant.delivered entitlement_grant.failed entitlement_grant.revoked
    """.split()
)
