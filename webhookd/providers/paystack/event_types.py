"""The names Paystack has for its events. Sources: paystack.com/docs/payments/webhooks; its repository of samples."""

DOCUMENTED = frozenset(
    """
    charge.dispute.create charge.dispute.remind charge.dispute.resolve charge.success
    customeridentification.failed customeridentification.success
    dedicatedaccount.assign.failed dedicatedaccount.assign.success
    invoice.create invoice.payment_failed invoice.update
    paymentrequest.pending paymentrequest.success
    refund.failed refund.pending refund.processed refund.processing
    subscription.create subscription.disable subscription.expiring_cards subscription.not_renew
    transfer.failed transfer.success transfer.reversed
    """.split()
)
IN_SAMPLES_ONLY = frozenset(
    """
    refund.needs-attention
    direct_debit.authorization.created direct_debit.authorization.active
    bank.transfer.rejected
    preauthorization.reserve.success preauthorization.capture.success preauthorization.capture.failed
    preauthorization.release.success preauthorization.release.failed
    """.split()
)
"""Not in the documentation's table, but sent: PaystackOSS/doc-code-snippets, src/doc, of 2026-02-23."""
EVENT_TYPES = DOCUMENTED | IN_SAMPLES_ONLY
"""There is no `charge.failed`: Paystack tells of a charge only when it succeeded."""
