"""Razorpay's signature: `X-Razorpay-Signature`, hex HMAC-SHA256 of the raw body, keyed with the webhook's own secret.

Source: razorpay.com/docs/webhooks/validate-test, and razorpay 2.0.1 as the oracle. The secret is optional at Razorpay,
but not here: without it there is nothing to verify. After a change of it, retries of older events still come with the
old one, for a day: keep both that long.
"""

from webhookd.core.event import Hook
from webhookd.providers.body_hmac import BodyHmac
from webhookd.providers.provider import Claim, Credentials, Evidence, Verdict

EVENT_ID = "x-razorpay-event-id"
"""The header that tells repetitions apart. It is outside the signature."""


class RazorpaySignature:
    kept_headers: tuple[str, ...] = ("x-razorpay-signature", EVENT_ID)
    takes = frozenset({"secrets"})

    def __init__(self, credentials: Credentials) -> None:
        """Raises CredentialsError."""
        self._signature = BodyHmac(credentials.secrets, "sha256")

    def verify(self, hook: Hook, now_s: int, evidence: Evidence) -> Verdict:
        return self._signature.verdict(hook.headers.get("x-razorpay-signature"), hook.body)

    def claim(self, hook: Hook) -> Claim:
        return self._signature.claim("x-razorpay-signature", hook.headers.get("x-razorpay-signature"))

    def sign(self, body: bytes, now_s: int, message_id: str) -> dict[str, str]:
        return {
            "X-Razorpay-Signature": self._signature.sign(body),
            "X-Razorpay-Event-Id": message_id,
            "Request-Id": message_id,
            "User-Agent": "Razorpay-Webhook/v1",
        }

    def sign_again(self, hook: Hook, now_s: int) -> dict[str, str]:
        """With the event's id as it came: it is what applications tell repetitions apart by."""
        event_id = hook.headers.get(EVENT_ID)
        signed = {"X-Razorpay-Signature": self._signature.sign(hook.body)}
        return signed if event_id is None else {**signed, "X-Razorpay-Event-Id": event_id}
