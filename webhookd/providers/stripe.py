"""Stripe: `Stripe-Signature: t=…,v1=…` over `t.body`, hex HMAC-SHA256 keyed with the secret as it is written.

Source: docs.stripe.com/webhooks, and stripe-python 16.1.0 as the oracle. One rule is stricter than the SDK's: a
timestamp more than 300 s ahead is refused too.
"""

import hmac
from collections.abc import Sequence

import msgspec

from webhookd.core.event import Hook, Reading, is_name
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


class _Envelope(msgspec.Struct, gc=False):
    id: str
    type: str
    created: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


class _Object(msgspec.Struct, gc=False):
    id: str | None = None
    object: str | None = None
    payment_intent: msgspec.Raw = msgspec.Raw()


class _Data(msgspec.Struct, gc=False):
    object: _Object


class _Expanded(msgspec.Struct, gc=False):
    id: str


_envelope = msgspec.json.Decoder(_Envelope)
_seconds = msgspec.json.Decoder(int)
_data = msgspec.json.Decoder(_Data)
_reference = msgspec.json.Decoder(str | _Expanded)


class Stripe:
    name = "stripe"
    kept_headers = ("stripe-signature",)

    def __init__(self, secrets: Sequence[Secret]) -> None:
        self._keys = [secret.reveal().encode() for secret in secrets]

    def verify(self, hook: Hook, now_s: int, evidence: Evidence) -> Verdict:  # noqa: ARG002
        header = hook.headers.get("stripe-signature")
        if header is None:
            return Refused("no_signature")
        timestamp, signatures = _parse(header)
        if timestamp is None or not signatures:
            return Refused("malformed_signature")
        content = b"%b.%b" % (timestamp, hook.body)
        matches = [
            hmac.compare_digest(hmac.digest(key, content, "sha256").hex().encode(), signature)
            for key in self._keys
            for signature in signatures
        ]
        if not any(matches):
            return Refused("wrong_signature")
        if abs(now_s - int(timestamp)) > TOLERANCE_S:
            return Refused("stale_timestamp")
        return VERIFIED

    def read(self, hook: Hook) -> Reading:
        try:
            envelope = _envelope.decode(hook.body)
        except JSON_ERRORS:
            raise NotUnderstoodError("no JSON object with an id and a type") from None
        if not (is_name(envelope.id) and is_name(envelope.type)):
            raise NotUnderstoodError("id or type is empty, too long or unprintable")
        return Reading(envelope.id, envelope.type, _occurred_at(envelope.created), _payment_id(envelope.data))

    def sign(self, body: bytes, now_s: int, message_id: str) -> dict[str, str]:  # noqa: ARG002
        digest = hmac.digest(self._keys[0], b"%d.%b" % (now_s, body), "sha256").hex()
        return {"Stripe-Signature": f"t={now_s},v1={digest}", "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)"}


def _parse(header: str) -> tuple[bytes | None, list[bytes]]:
    """The first `t` and every `v1`; unknown schemes are passed over, as the SDK does."""
    timestamp, signatures = None, []
    for item in header.split(","):
        name, _, value = item.partition("=")
        if name == "t" and timestamp is None:
            timestamp = value
        elif name == "v1":
            signatures.append(value.encode("utf-8", "replace"))
    if timestamp is None or len(timestamp) > 12 or not (timestamp.isascii() and timestamp.isdigit()):
        return None, signatures
    return timestamp.encode(), signatures


def _occurred_at(created: msgspec.Raw) -> int | None:
    try:
        seconds = _seconds.decode(created)
    except JSON_ERRORS:
        return None
    return seconds * 1_000 if 0 < seconds < 10**11 else None


def _payment_id(data: msgspec.Raw) -> str | None:
    """The PaymentIntent the event's object is, or points to (an id, or the expanded object)."""
    try:
        subject = _data.decode(data).object
        if subject.object == "payment_intent":
            found = subject.id
        else:
            reference = _reference.decode(subject.payment_intent)
            found = reference if isinstance(reference, str) else reference.id
    except JSON_ERRORS:
        return None
    return found if is_name(found) else None
