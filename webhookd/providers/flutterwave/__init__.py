"""Flutterwave, v4 and v3."""

from webhookd.core.event import Hook, Reading
from webhookd.providers.flutterwave.event_types import EVENT_TYPES
from webhookd.providers.flutterwave.reading import read
from webhookd.providers.flutterwave.signature import FlutterwaveSignature


class Flutterwave(FlutterwaveSignature):
    name = "flutterwave"
    event_types = EVENT_TYPES

    @staticmethod
    def read(hook: Hook) -> Reading:
        return read(hook)
