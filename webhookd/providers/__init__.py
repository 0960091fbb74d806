"""Who signs webhooks, each in a room of its own. Pure: bytes and headers in, a verdict and a reading out."""

from collections.abc import Mapping

from webhookd.providers.provider import Provider
from webhookd.providers.standard import Standard
from webhookd.providers.stripe import Stripe

PROVIDERS: Mapping[str, type[Provider]] = {"stripe": Stripe, "standard": Standard}
"""Every provider by name."""
