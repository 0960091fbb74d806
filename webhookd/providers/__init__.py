"""Who signs webhooks, each in a room of its own. Pure: bytes and headers in, a verdict and a reading out."""

from collections.abc import Mapping

from webhookd.core.event import Hook, Reading
from webhookd.providers.flutterwave import Flutterwave
from webhookd.providers.paypal import PayPal
from webhookd.providers.paystack import Paystack
from webhookd.providers.provider import NotUnderstoodError, Provider
from webhookd.providers.razorpay import Razorpay
from webhookd.providers.standard import Standard
from webhookd.providers.stripe import Stripe

PROVIDERS: Mapping[str, type[Provider]] = {
    "stripe": Stripe,
    "standard": Standard,
    "paypal": PayPal,
    "flutterwave": Flutterwave,
    "paystack": Paystack,
    "razorpay": Razorpay,
}
"""Every provider by name."""


def reread(provider: str, hook: Hook) -> Reading | None:
    """A stored hook read again; None when its envelope cannot be understood."""
    try:
        return PROVIDERS[provider].read(hook)
    except NotUnderstoodError:
        return None
