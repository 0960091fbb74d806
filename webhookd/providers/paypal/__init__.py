"""PayPal."""

from webhookd.core.event import Hook, Reading
from webhookd.providers.paypal.event_types import EVENT_TYPES
from webhookd.providers.paypal.reading import read
from webhookd.providers.paypal.signature import PayPalSignature


class PayPal(PayPalSignature):
    name = "paypal"
    event_types = EVENT_TYPES

    @staticmethod
    def read(hook: Hook) -> Reading:
        return read(hook)
