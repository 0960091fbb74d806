"""The names Stripe has for its events. Source: the endpoint's enabled_events in stripe-python 16.1.0."""

EVENT_TYPES = frozenset[str]()
