"""What applications do today with a provider's hook: they check it with the provider's own library, by the real clock.

Where there is no library: as the provider's page says to do it. Each check raises when it refuses.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import razorpay
import standardwebhooks
import stripe
import svix.webhooks
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate
from dodopayments import DodoPayments
from paypalrestsdk.notifications import WebhookEvent
from pypaystack2 import PaystackClient

from tests.paypal_desk import MADE_AT_S, paypal, signing_key
from webhookd.core.secret import Secret
from webhookd.providers import PROVIDERS
from webhookd.providers.provider import Credentials, Provider
from webhookd.sandbox import paypal_keys

Headers = Mapping[str, str]
"""Lower-case names."""

SECRETS = {
    "stripe": "whsec_an_application_of_today",
    "razorpay": "a webhook secret of your own",
    "paystack": "sk_test_0123456789abcdef0123456789abcdef01234567",
    "flutterwave": "a secret hash of your own",
    "flutterwave-v3": "a plain secret hash",
    "standard": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "svix": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "dodo": "whsec_" + base64.b64encode(bytes(range(32))).decode(),
}
"""By kind of application: one for each way there is to check."""
PROVIDER_OF = {"flutterwave-v3": "flutterwave", "svix": "standard", "dodo": "standard"}
KINDS = (*SECRETS, "paypal")
TIMED = {"stripe", "standard", "svix", "dodo"}
"""Which refuse what was signed too long ago."""

BODIES = {
    "stripe": {"id": "evt_1", "type": "charge.succeeded", "object": "event", "data": {"object": {"id": "ch_1"}}},
    "razorpay": {"entity": "event", "event": "payment.captured", "payload": {}, "created_at": 1_772_366_400},
    "paystack": {"event": "charge.success", "data": {"id": 302_961}},
    "flutterwave": {"type": "charge.completed", "webhook_id": "wbk_1", "data": {}},
    "flutterwave-v3": {"event": "charge.completed", "data": {"id": 1, "status": "successful"}},
    "standard": {"type": "invoice.paid", "timestamp": "2026-03-01T12:00:00Z", "data": {}},
    "svix": {"type": "invoice.paid", "timestamp": "2026-03-01T12:00:00Z", "data": {}},
    "dodo": {"type": "payment.succeeded", "business_id": "bus_1", "timestamp": "2026-03-01T12:00:00Z", "data": {}},
    "paypal": {"id": "WH-1", "event_type": "PAYMENT.CAPTURE.COMPLETED", "resource_type": "capture", "resource": {}},
}


def body_of(kind: str) -> bytes:
    """As no JSON library of ours would write it: whoever parses and writes it anew breaks the signature."""
    return json.dumps(BODIES[kind], indent=3).replace('"data"', '"note": "2 \\u00d7 mug, Zürich",\n "data"').encode()


def source_of(kind: str) -> Provider:
    """The provider with the credentials of webhookd's source."""
    if kind == "paypal":
        return paypal()
    scheme = "verif-hash" if kind == "flutterwave-v3" else None
    return PROVIDERS[PROVIDER_OF.get(kind, kind)](Credentials([Secret(SECRETS[kind]), Secret(SECRETS["dodo"])], scheme))


def sent(kind: str, at_s: int) -> dict[str, str]:
    """The headers with which the provider sends the body of this kind, lower-case."""
    headers = source_of(kind).sign(body_of(kind), MADE_AT_S if kind == "paypal" else at_s, "msg_of_the_sender")
    named = {name.lower(): value for name, value in headers.items()}
    return {name.replace("webhook-", "svix-"): value for name, value in named.items()} if kind == "svix" else named


def check_stripe(headers: Headers, body: bytes) -> None:
    stripe.Webhook.construct_event(body, headers["stripe-signature"], SECRETS["stripe"])


def check_razorpay(headers: Headers, body: bytes) -> None:
    client = razorpay.Client(auth=("key", "secret"))
    client.utility.verify_webhook_signature(body.decode(), headers["x-razorpay-signature"], SECRETS["razorpay"])


def check_paystack(headers: Headers, body: bytes) -> None:
    client = PaystackClient(secret_key=SECRETS["paystack"])
    assert client.is_verified_webhook_payload(body, headers["x-paystack-signature"])


def check_flutterwave(headers: Headers, body: bytes) -> None:
    """developer.flutterwave.com, v4: "Verifying webhook signatures"."""
    expected = base64.b64encode(hmac.new(SECRETS["flutterwave"].encode(), body, hashlib.sha256).digest()).decode()
    assert headers["flutterwave-signature"] == expected


def check_flutterwave_v3(headers: Headers, body: bytes) -> None:
    assert headers["verif-hash"] == SECRETS["flutterwave-v3"]


def check_standard(headers: Headers, body: bytes) -> None:
    standardwebhooks.Webhook(SECRETS["standard"]).verify(body, dict(headers))


def check_svix(headers: Headers, body: bytes) -> None:
    svix.webhooks.Webhook(SECRETS["svix"]).verify(body, {n: v for n, v in headers.items() if n.startswith("svix-")})


def check_dodo(headers: Headers, body: bytes) -> None:
    DodoPayments(bearer_token="x", webhook_key=SECRETS["dodo"]).webhooks.unwrap(body.decode(), headers=dict(headers))


def check_paypal(headers: Headers, body: bytes) -> None:
    """As PayPal's SDK does it, with the certificate fetched."""
    message = WebhookEvent._get_expected_sig(
        headers["paypal-transmission-id"],
        headers["paypal-transmission-time"],
        paypal_keys.webhook_id(signing_key()),
        body.decode(),
    )
    assert headers["paypal-auth-algo"] == "SHA256withRSA"
    assert headers["paypal-cert-url"].startswith("https://api.sandbox.paypal.com/")
    key = load_pem_x509_certificate(paypal_keys.certificate(signing_key())).public_key()
    assert isinstance(key, RSAPublicKey)
    key.verify(base64.b64decode(headers["paypal-transmission-sig"]), message.encode(), PKCS1v15(), SHA256())


CHECKS: dict[str, Callable[[Headers, bytes], None]] = {
    "stripe": check_stripe,
    "razorpay": check_razorpay,
    "paystack": check_paystack,
    "flutterwave": check_flutterwave,
    "flutterwave-v3": check_flutterwave_v3,
    "standard": check_standard,
    "svix": check_svix,
    "dodo": check_dodo,
    "paypal": check_paypal,
}


def now_s() -> int:
    return int(datetime.now(UTC).timestamp())
