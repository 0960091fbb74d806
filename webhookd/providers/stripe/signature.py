"""Stripe's signature: `Stripe-Signature: t=…,v1=…` over `t.body`, hex HMAC-SHA256 keyed with the secret as written.

Source: docs.stripe.com/webhooks, and stripe-python 16.1.0 as the oracle. One rule is stricter than the SDK's: a
timestamp more than 300 s ahead is refused too.
"""

import hmac

from webhookd.core.event import Hook, occurred_ms
from webhookd.core.signature import HmacKey
from webhookd.providers.provider import (
    STALE,
    TOLERANCE_S,
    VERIFIED,
    Claim,
    Credentials,
    CredentialsError,
    Evidence,
    Refused,
    Verdict,
)
from webhookd.providers.shape import number_shape, shape, some


class StripeSignature:
    kept_headers: tuple[str, ...] = ("stripe-signature",)
    takes = frozenset({"secrets"})

    def __init__(self, credentials: Credentials) -> None:
        """Raises CredentialsError."""
        if not credentials.secrets:
            raise CredentialsError("secrets", "at least one is needed")
        self._keys = [HmacKey(secret.reveal().encode()) for secret in credentials.secrets]

    def verify(self, hook: Hook, now_s: int, evidence: Evidence) -> Verdict:
        header = hook.headers.get("stripe-signature")
        if header is None:
            return Refused("no_signature")
        timestamp, signatures = _parse(header)
        if timestamp is None or not signatures:
            return Refused("malformed_signature")
        content = b"%d.%b" % (timestamp, hook.body)
        match = False
        for key in self._keys:
            expected = key.hexdigest(content).encode()
            for signature in signatures:
                match |= hmac.compare_digest(expected, signature)
        if not match:
            return Refused("wrong_signature")
        if abs(now_s - timestamp) > TOLERANCE_S:
            return STALE
        return VERIFIED

    def claim(self, hook: Hook) -> Claim:
        header = hook.headers.get("stripe-signature")
        if header is None:
            return Claim([])
        timestamp, _ = _parse(header)
        looks = some([_shape(item) for item in header.split(",")], ",")
        return Claim([("stripe-signature", looks)], None if timestamp is None else occurred_ms(timestamp))

    def sign(self, body: bytes, now_s: int, message_id: str) -> dict[str, str]:
        return {**self._signed(body, now_s), "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)"}

    def sign_again(self, hook: Hook, now_s: int) -> dict[str, str]:
        return self._signed(hook.body, now_s)

    def _signed(self, body: bytes, now_s: int) -> dict[str, str]:
        digest = self._keys[0].hexdigest(b"%d.%b" % (now_s, body))
        return {"Stripe-Signature": f"t={now_s},v1={digest}"}


def _shape(item: str) -> str:
    name, equals, value = item.partition("=")
    if not equals or name not in ("t", "v0", "v1"):
        return shape(item)
    return f"{name}={number_shape(value) if name == 't' else shape(value)}"


def _parse(header: str) -> tuple[int | None, list[bytes]]:
    """The first `t` and every `v1`. As in the SDK other schemes are passed over; `t` or `v1` without `=` spoils all."""
    timestamp, signatures = None, []
    for item in header.split(","):
        name, equals, value = item.partition("=")
        if not equals and name in ("t", "v1"):
            return None, []
        if name == "t" and timestamp is None:
            timestamp = value
        elif name == "v1":
            signatures.append(value.encode("utf-8", "replace"))
    if timestamp is None or len(timestamp) > 12 or not (timestamp.isascii() and timestamp.isdigit()):
        return None, signatures
    return int(timestamp), signatures
