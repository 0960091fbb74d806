"""The names Flutterwave has for its events.

v3: developer.flutterwave.com/v3.0/docs/webhooks; `test_assess` is what the dashboard's test sends. v4:
`charge.completed` is documented, `transfer.disburse`, `transfer.reversal` and `refund.completed` are in the API
reference; the rest is what others list.
"""

EVENT_TYPES = frozenset(
    """
    charge.completed transfer.completed subscription.cancelled bvn.completed singlebillpayment.status test_assess

    charge.failed transfer.disburse transfer.reversal transfer.failed refund.completed refund.failed chargeback.created
    chargeback.updated virtual_account.funded
    """.split()
)
