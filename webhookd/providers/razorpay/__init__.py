"""Razorpay."""

from webhookd.core.event import Hook, Reading
from webhookd.providers.razorpay.event_types import EVENT_TYPES
from webhookd.providers.razorpay.reading import read
from webhookd.providers.razorpay.signature import RazorpaySignature


class Razorpay(RazorpaySignature):
    name = "razorpay"
    event_types = EVENT_TYPES

    @staticmethod
    def read(hook: Hook) -> Reading:
        return read(hook)
