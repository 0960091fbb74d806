"""Standard Webhooks: Dodo Payments, and whoever sends with Svix."""

from webhookd.core.event import Hook, Reading
from webhookd.providers.standard.event_types import EVENT_TYPES
from webhookd.providers.standard.reading import read
from webhookd.providers.standard.signature import StandardSignature


class Standard(StandardSignature):
    name = "standard"
    event_types = EVENT_TYPES

    @staticmethod
    def read(hook: Hook) -> Reading:
        return read(hook)
