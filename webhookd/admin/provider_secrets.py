"""Where each provider has the secret of a webhook, as its page of docs/sources has it; and what people trip over."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from webhookd.admin.door.texts import ProviderName


class ProviderSecret(NamedTuple):
    title: str
    what: str
    """The secret, as the provider calls it."""
    where: str
    """Where to click for it."""
    headers: Sequence[str]
    """Nobody else's hooks have these."""
    trips: Sequence[str] = ()
    """What it is, most often, when nothing verifies."""
    setting: Literal["secrets", "webhook_id"] = "secrets"


PROVIDER_SECRETS: Mapping[ProviderName, ProviderSecret] = {
    "stripe": ProviderSecret(
        "Stripe",
        "signing secret (whsec_…)",
        "Stripe Dashboard → Developers → Webhooks (or Workbench → Webhooks) → the destination with this URL → Reveal",
        ("stripe-signature",),
        (
            "Test and live mode have destinations of their own, each with its own secret.",
            "`stripe listen --forward-to` has a signing secret of its own; give it a source of its own.",
        ),
    ),
    "paypal": ProviderSecret(
        "PayPal",
        "Webhook ID",
        "PayPal Developer Dashboard → Apps & Credentials → Sandbox or Live → your app → Webhooks → the ID of this URL",
        ("paypal-transmission-id", "paypal-transmission-sig"),
        (
            "Sandbox and live have webhooks of their own, each with its own ID.",
            "The Webhooks Simulator signs for a webhook whose id is, literally, WEBHOOK_ID.",
        ),
        "webhook_id",
    ),
    "flutterwave": ProviderSecret(
        "Flutterwave",
        "secret hash",
        "Flutterwave dashboard → Settings → Webhooks, in the mode you mean; it is of your own making",
        ("flutterwave-signature", "verif-hash"),
        ('Hooks of v3 have `verif-hash` and need scheme = "verif-hash"; of v4 `flutterwave-signature`, and "hmac".',),
    ),
    "paystack": ProviderSecret(
        "Paystack",
        "secret key (sk_live_… or sk_test_…)",
        "Paystack dashboard → Settings → API Keys & Webhooks: the API's secret key signs, there is no other",
        ("x-paystack-signature",),
        (
            "sk_test_… signs what happens in test mode, sk_live_… the rest.",
            "A new API key is a new secret: list both until the old one's retries are over.",
        ),
    ),
    "razorpay": ProviderSecret(
        "Razorpay",
        "webhook secret",
        "Razorpay Dashboard → Account & Settings → Webhooks, in the mode you mean; it is of your own making",
        ("x-razorpay-signature",),
        ("After a change of the secret, retries of older events are signed with the old one: list both for a day.",),
    ),
    "standard": ProviderSecret(
        "Standard Webhooks",
        "signing secret (whsec_…) or public key (whpk_…)",
        "The sender's dashboard, at Dodo Payments Developer → Webhooks → the endpoint with this URL → Signing secret",
        ("webhook-signature", "svix-signature"),
        ("Each endpoint has a secret of its own, in test mode another than in live mode.",),
    ),
}


def sender_of(headers: Collection[str]) -> ProviderName | None:
    """The provider whose hooks have one of these headers; None when it is nobody's."""
    return next((name for name, each in PROVIDER_SECRETS.items() if not set(each.headers).isdisjoint(headers)), None)
