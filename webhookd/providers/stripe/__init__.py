"""Stripe."""

from webhookd.core.event import Hook, Reading
from webhookd.providers.stripe.event_types import EVENT_TYPES
from webhookd.providers.stripe.reading import read
from webhookd.providers.stripe.signature import StripeSignature


class Stripe(StripeSignature):
    name = "stripe"
    event_types = EVENT_TYPES

    @staticmethod
    def read(hook: Hook) -> Reading:
        return read(hook)
