"""Paystack's signature: `x-paystack-signature`, hex HMAC-SHA512 of the raw body, keyed with the API's secret key.

Source: paystack.com/docs/payments/webhooks, with pypaystack2 3.4.0 as an oracle. There is no secret for webhooks
alone: `sk_test_…` and `sk_live_…` sign what happens in their mode, and a new API key is a new key here.
"""

from webhookd.core.event import Hook
from webhookd.providers.body_hmac import BodyHmac
from webhookd.providers.provider import Claim, Credentials, Evidence, Verdict


class PaystackSignature:
    kept_headers: tuple[str, ...] = ("x-paystack-signature",)
    takes = frozenset({"secrets"})

    def __init__(self, credentials: Credentials) -> None:
        """Raises CredentialsError."""
        self._signature = BodyHmac(credentials.secrets, "sha512")

    def verify(self, hook: Hook, now_s: int, evidence: Evidence) -> Verdict:
        return self._signature.verdict(hook.headers.get("x-paystack-signature"), hook.body)

    def claim(self, hook: Hook) -> Claim:
        return self._signature.claim("x-paystack-signature", hook.headers.get("x-paystack-signature"))

    def sign(self, body: bytes, now_s: int, message_id: str) -> dict[str, str]:
        return {"X-Paystack-Signature": self._signature.sign(body), "User-Agent": "Paystack/2.0"}

    def sign_again(self, hook: Hook, now_s: int) -> dict[str, str]:
        return {"X-Paystack-Signature": self._signature.sign(hook.body)}
