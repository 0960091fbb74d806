"""Standard Webhooks 1.0 (Dodo Payments, Svix): `webhook-id`, `-timestamp`, `-signature`, or the same as `svix-…`.

Source: standardwebhooks.com and its reference library 1.1.0 as the oracle. Stricter than it in two points: the
timestamp is a whole number, and an id with a `.` is refused, as the specification asks.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from datetime import datetime

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from webhookd.core import signature
from webhookd.core.event import Hook, Reading, is_name, occurred_ms
from webhookd.core.secret import Secret
from webhookd.providers.provider import (
    JSON_ERRORS,
    TOLERANCE_S,
    VERIFIED,
    Evidence,
    NotUnderstoodError,
    Refused,
    Verdict,
)

SIGNATURES_MAX = 16
"""Entries of one header that are looked at: an ed25519 check costs enough to be worth flooding us with."""


class _Envelope(msgspec.Struct, gc=False):
    type: str
    timestamp: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


class _Payment(msgspec.Struct, gc=False):
    payment_id: str | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_time = msgspec.json.Decoder(datetime)
_payment = msgspec.json.Decoder(_Payment)


class Standard:
    name = "standard"
    kept_headers = (
        *("webhook-id", "webhook-timestamp", "webhook-signature"),
        *("svix-id", "svix-timestamp", "svix-signature"),
    )

    def __init__(self, secrets: Sequence[Secret]) -> None:
        """`whsec_…` secrets, or `whpk_…` public keys for senders that sign with ed25519. Raises ValueError."""
        texts = [secret.reveal() for secret in secrets]
        self._keys = [signature.symmetric_key(text) for text in texts if not text.startswith(signature.PREFIX_PUBLIC)]
        self._public_keys = [_public_key(text) for text in texts if text.startswith(signature.PREFIX_PUBLIC)]

    def verify(self, hook: Hook, now_s: int, evidence: Evidence) -> Verdict:
        message_id, timestamp, signatures = _headers(hook)
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
            return Refused("stale_timestamp")
        return VERIFIED

    def read(self, hook: Hook) -> Reading:
        message_id, _, _ = _headers(hook)
        try:
            envelope = _envelope.decode(hook.body)
        except JSON_ERRORS:
            raise NotUnderstoodError("no JSON object with a type") from None
        if not is_name(envelope.type) or message_id is None:
            raise NotUnderstoodError("type is empty, too long or unprintable")
        return Reading(message_id, envelope.type, _occurred_at(envelope.timestamp), _payment_id(envelope.data))

    def sign(self, body: bytes, now_s: int, message_id: str) -> dict[str, str]:
        """Raises IndexError when the source holds public keys only: those cannot sign."""
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(now_s),
            "webhook-signature": signature.sign(self._keys[0], message_id, now_s, body),
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


def _headers(hook: Hook) -> tuple[str | None, str | None, str | None]:
    get = hook.headers.get
    prefix = "webhook" if "webhook-id" in hook.headers else "svix"
    return get(f"{prefix}-id"), get(f"{prefix}-timestamp"), get(f"{prefix}-signature")


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


def _occurred_at(timestamp: msgspec.Raw) -> int | None:
    try:
        at = _time.decode(timestamp)
        return occurred_ms(at.timestamp()) if at.tzinfo else None
    except (*JSON_ERRORS, OverflowError, ValueError):
        return None


def _payment_id(data: msgspec.Raw) -> str | None:
    try:
        found = _payment.decode(data).payment_id
    except JSON_ERRORS:
        return None
    return found if is_name(found) else None
