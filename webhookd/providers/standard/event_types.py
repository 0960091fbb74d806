"""The names Dodo Payments has for its events. Source: dodopayments 1.123.0. Other senders have names of their own."""

EVENT_TYPES = frozenset[str]()
