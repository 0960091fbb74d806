"""Who signs webhooks, each in a room of its own. Pure: bytes and headers in, a verdict and a reading out."""

from collections.abc import Callable, Mapping, Sequence

from webhookd.core.secret import Secret
from webhookd.providers.provider import Provider
from webhookd.providers.standard import Standard
from webhookd.providers.stripe import Stripe

PROVIDERS: Mapping[str, Callable[[Sequence[Secret]], Provider]] = {"stripe": Stripe, "standard": Standard}
"""Every provider by name. Calling one with a source's secrets (at least one) raises ValueError for a wrong kind."""
