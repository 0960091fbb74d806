"""Paystack."""

from webhookd.core.event import Hook, Reading
from webhookd.providers.paystack.event_types import EVENT_TYPES
from webhookd.providers.paystack.reading import read
from webhookd.providers.paystack.signature import PaystackSignature


class Paystack(PaystackSignature):
    name = "paystack"
    event_types = EVENT_TYPES

    @staticmethod
    def read(hook: Hook) -> Reading:
        return read(hook)
