"""Flutterwave's two ways to say who sent a hook. A source has one of them, never "either".

- `hmac` (v4): `flutterwave-signature` is base64(HMAC-SHA256(secret hash, raw body)).
- `verif-hash` (v3): `verif-hash` is the secret hash itself. It protects nothing of the body.

Source: developer.flutterwave.com, Webhooks of v3 and v4. The page of v4 also has older text that compares its header
with the plain secret; what is received is the HMAC. Neither has a time in it: only deduplication stops a replay.
"""

import base64
import hmac

from webhookd.core.event import Hook
from webhookd.core.signature import HmacKey
from webhookd.providers.provider import VERIFIED, Claim, Credentials, CredentialsError, Evidence, Refused, Verdict
from webhookd.providers.shape import shape

HMAC, VERIF_HASH = "hmac", "verif-hash"
_SIGNATURE, _PLAIN = "flutterwave-signature", "verif-hash"


class FlutterwaveSignature:
    kept_headers: tuple[str, ...] = (_SIGNATURE,)  # not verif-hash: it is the secret
    takes = frozenset({"secrets", "scheme"})

    def __init__(self, credentials: Credentials) -> None:
        """Raises CredentialsError."""
        if credentials.scheme not in (None, HMAC, VERIF_HASH):
            raise CredentialsError("scheme", f'must be "{HMAC}" (v4, default) or "{VERIF_HASH}" (v3)')
        texts = [secret.reveal() for secret in credentials.secrets]
        if not texts or not all(texts):
            raise CredentialsError("secrets", "at least one is needed, and none may be empty")
        self._plain = credentials.scheme == VERIF_HASH
        if self._plain and not all(text.isprintable() and text == text.strip() for text in texts):
            raise CredentialsError(
                "secrets", "no header can carry a secret with spaces around it or control characters"
            )
        self._secrets = texts
        self._keys = [HmacKey(text.encode()) for text in texts]

    def verify(self, hook: Hook, now_s: int, evidence: Evidence) -> Verdict:
        header = hook.headers.get(_PLAIN if self._plain else _SIGNATURE)
        if header is None:
            return Refused("no_signature")
        given = header.encode("utf-8", "surrogatepass")
        match = False
        for secret, key in zip(self._secrets, self._keys, strict=True):
            expected = secret.encode() if self._plain else base64.b64encode(key.digest(hook.body))
            match |= hmac.compare_digest(expected, given)
        return VERIFIED if match else Refused("wrong_signature")

    def claim(self, hook: Hook) -> Claim:
        """Of both schemes: the other one's header tells that this source has the wrong one."""
        given = [(name, hook.headers.get(name)) for name in (_SIGNATURE, _PLAIN)]
        return Claim([(name, shape(value)) for name, value in given if value is not None])

    def sign(self, body: bytes, now_s: int, message_id: str) -> dict[str, str]:
        return self._signed(body)

    def sign_again(self, hook: Hook, now_s: int) -> dict[str, str]:
        return self._signed(hook.body)

    def _signed(self, body: bytes) -> dict[str, str]:
        if self._plain:
            return {_PLAIN: self._secrets[0]}
        return {_SIGNATURE: base64.b64encode(self._keys[0].digest(body)).decode("ascii")}
