"""The plainest of signatures: one header with the HMAC of the raw body in lower-case hex. Razorpay's and Paystack's.

It has no time in it: what was captured once is good for ever, and only the log's deduplication stops it.
"""

import hmac
from collections.abc import Sequence

from webhookd.core.secret import Secret
from webhookd.core.signature import HmacKey
from webhookd.providers.provider import VERIFIED, Claim, CredentialsError, Refused, Verdict
from webhookd.providers.shape import shape


class BodyHmac:
    def __init__(self, secrets: Sequence[Secret], algorithm: str) -> None:
        """`algorithm` as hashlib names it. Raises CredentialsError: with an empty secret anybody could sign."""
        texts = [secret.reveal() for secret in secrets]
        if not texts or not all(texts):
            raise CredentialsError("secrets", "at least one is needed, and none may be empty")
        self._keys = [HmacKey(text.encode(), algorithm) for text in texts]
        self._digits = len(self._keys[0].hexdigest(b""))

    def verdict(self, signature: str | None, body: bytes) -> Verdict:
        if signature is None:
            return Refused("no_signature")
        given = signature.encode("utf-8", "replace")
        if len(given) != self._digits:
            return Refused("malformed_signature")
        match = False
        for key in self._keys:
            match |= hmac.compare_digest(key.hexdigest(body).encode(), given)
        return VERIFIED if match else Refused("wrong_signature")

    def claim(self, name: str, signature: str | None) -> Claim:
        """`name` is the header's."""
        return Claim([] if signature is None else [(name, shape(signature))])

    def sign(self, body: bytes) -> str:
        """With the first secret."""
        return self._keys[0].hexdigest(body)
