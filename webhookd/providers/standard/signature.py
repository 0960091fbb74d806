"""Standard Webhooks 1.0 (Dodo Payments, Svix): `webhook-id`, `-timestamp`, `-signature`, or the same as `svix-…`.

Source: standardwebhooks.com and its reference library 1.1.0 as the oracle. Stricter than it in two points: the
timestamp is a whole number, and an id with a `.` is refused, as the specification asks.
"""

import base64
import binascii
import hmac

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from webhookd.core import signature
from webhookd.core.event import Hook, is_name, occurred_ms
from webhookd.providers.provider import (
    STALE,
    TOLERANCE_S,
    VERIFIED,
    CannotSignError,
    Claim,
    Credentials,
    CredentialsError,
    Evidence,
    Refused,
    Verdict,
)
from webhookd.providers.shape import number_shape, shape, some, whole

SIGNATURES_MAX = 16
"""Entries of one header that are looked at: an ed25519 check costs enough to be worth flooding us with."""


class StandardSignature:
    kept_headers: tuple[str, ...] = (
        *("webhook-id", "webhook-timestamp", "webhook-signature"),
        *("svix-id", "svix-timestamp", "svix-signature"),
    )
    takes = frozenset({"secrets"})

    def __init__(self, credentials: Credentials) -> None:
        """`whsec_…` secrets, or `whpk_…` public keys for senders that sign with ed25519. Raises CredentialsError."""
        texts = [secret.reveal() for secret in credentials.secrets]
        if not texts:
            raise CredentialsError("secrets", "at least one is needed")
        public = [text for text in texts if text.startswith(signature.PREFIX_PUBLIC)]
        try:
            self._keys = [signature.symmetric_key(text) for text in texts if text not in public]
            self._public_keys = [_public_key(text) for text in public]
        except ValueError as error:
            raise CredentialsError("secrets", str(error)) from None

    def verify(self, hook: Hook, now_s: int, evidence: Evidence) -> Verdict:
        message_id, timestamp, signatures = message_headers(hook)
        if message_id is None or timestamp is None or signatures is None:
            return Refused("no_signature")
        if not is_name(message_id) or "." in message_id or not message_id.isascii():
            return Refused("malformed_signature")
        if len(timestamp) > 12 or not (timestamp.isascii() and timestamp.isdigit()):
            return Refused("malformed_signature")
        content = signature.signed_content(message_id, timestamp, hook.body)
        if not self._signed(content, signatures):
            return Refused("wrong_signature")
        if abs(now_s - int(timestamp)) > TOLERANCE_S:
            return STALE
        return VERIFIED

    def claim(self, hook: Hook) -> Claim:
        prefix, (message_id, timestamp, signatures) = _prefix(hook), message_headers(hook)
        shown = []
        if message_id is not None:
            shown.append((f"{prefix}-id", shape(message_id)))
        if timestamp is not None:
            shown.append((f"{prefix}-timestamp", number_shape(timestamp)))
        if signatures is not None:
            shown.append((f"{prefix}-signature", some([_shape(entry) for entry in signatures.split(" ")], " ")))
        at_s = whole(timestamp)
        return Claim(shown, None if at_s is None else occurred_ms(at_s))

    def sign(self, body: bytes, now_s: int, message_id: str) -> dict[str, str]:
        """Raises CannotSignError when the source holds public keys only."""
        return self._headers("webhook", message_id, now_s, body)

    def sign_again(self, hook: Hook, now_s: int) -> dict[str, str]:
        """Under the sender's message id, and the names that the sender gave the headers."""
        message_id, _, _ = message_headers(hook)
        if message_id is None:
            raise CannotSignError("the message id that the sender gave it was not kept")
        return self._headers(_prefix(hook), message_id, now_s, hook.body)

    def _headers(self, prefix: str, message_id: str, now_s: int, body: bytes) -> dict[str, str]:
        if not self._keys:
            raise CannotSignError("there are public keys only, which cannot sign: that takes a secret (whsec_…)")
        return {
            f"{prefix}-id": message_id,
            f"{prefix}-timestamp": str(now_s),
            f"{prefix}-signature": self._keys[0].sign(message_id, now_s, body),
        }

    def _signed(self, content: bytes, signatures: str) -> bool:
        expected = [base64.b64encode(key.digest(content)) for key in self._keys]
        found = False
        for entry in signatures.split(" ", SIGNATURES_MAX)[:SIGNATURES_MAX]:
            version, _, value = entry.partition(",")
            if version == "v1":
                given = value.encode("utf-8", "replace")
                found |= any([hmac.compare_digest(digest, given) for digest in expected])
            elif version == "v1a":
                found |= any([_verifies(key, value, content) for key in self._public_keys])
        return found


def _shape(entry: str) -> str:
    version, comma, value = entry.partition(",")
    return f"{version},{shape(value)}" if comma and version in ("v1", "v1a") else shape(entry)


def message_headers(hook: Hook) -> tuple[str | None, str | None, str | None]:
    get, prefix = hook.headers.get, _prefix(hook)
    return get(f"{prefix}-id"), get(f"{prefix}-timestamp"), get(f"{prefix}-signature")


def _prefix(hook: Hook) -> str:
    return "webhook" if "webhook-id" in hook.headers else "svix"


def _public_key(text: str) -> Ed25519PublicKey:
    try:
        raw = base64.b64decode(text.removeprefix(signature.PREFIX_PUBLIC), validate=True)
        return Ed25519PublicKey.from_public_bytes(raw)
    except (ValueError, binascii.Error):
        raise ValueError("an ed25519 public key is whpk_ followed by 32 bytes as base64") from None


def _verifies(key: Ed25519PublicKey, value: str, content: bytes) -> bool:
    try:
        key.verify(base64.b64decode(value, validate=True), content)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True
