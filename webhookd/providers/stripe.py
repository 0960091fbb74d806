"""Stripe: `Stripe-Signature: t=…,v1=…` over `t.body`, hex HMAC-SHA256 keyed with the secret as it is written.

Source: docs.stripe.com/webhooks, and stripe-python 16.1.0 as the oracle. One rule is stricter than the SDK's: a
timestamp more than 300 s ahead is refused too.
"""

import hmac
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import msgspec

from webhookd.core.event import Hook, Reading, is_name, occurred_ms
from webhookd.core.secret import Secret
from webhookd.core.signature import HmacKey
from webhookd.providers.provider import (
    JSON_ERRORS,
    TOLERANCE_S,
    VERIFIED,
    Evidence,
    NotUnderstoodError,
    Refused,
    Verdict,
)


class _Expanded(msgspec.Struct, gc=False):
    id: str


class _Object(msgspec.Struct, gc=False):
    id: str | None = None
    object: str | None = None
    payment_intent: str | _Expanded | None = None


class _Data(msgspec.Struct, gc=False):
    object: _Object


class _Event(msgspec.Struct, gc=False):
    """The event as it nearly always is, read in one pass."""

    id: str
    type: str
    created: int
    data: _Data


class _Envelope(msgspec.Struct, gc=False):
    """What an event must have to be understood; the rest may be odd."""

    id: str
    type: str
    created: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


_event = msgspec.json.Decoder(_Event)
_envelope = msgspec.json.Decoder(_Envelope)
_created = msgspec.json.Decoder(int | datetime)
_data = msgspec.json.Decoder(_Data)


class Stripe:
    name = "stripe"
    kept_headers = ("stripe-signature",)

    def __init__(self, secrets: Sequence[Secret]) -> None:
        self._keys = [HmacKey(secret.reveal().encode()) for secret in secrets]

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
            return Refused("stale_timestamp")
        return VERIFIED

    def read(self, hook: Hook) -> Reading:
        try:
            event = _event.decode(hook.body)
        except JSON_ERRORS:
            return _read_envelope(hook.body)
        return _reading(event.id, event.type, event.created, event.data)

    def sign(self, body: bytes, now_s: int, message_id: str) -> dict[str, str]:
        digest = self._keys[0].hexdigest(b"%d.%b" % (now_s, body))
        return {
            "Stripe-Signature": f"t={now_s},v1={digest}",
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }


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


def _read_envelope(body: bytes) -> Reading:
    try:
        envelope = _envelope.decode(body)
    except JSON_ERRORS:
        raise NotUnderstoodError("no JSON object with an id and a type") from None
    created, data = 0, None
    with suppress(*JSON_ERRORS, ValueError, OverflowError):
        # Seconds, or the time as text in Stripe's v2 events.
        found = _created.decode(envelope.created)
        created = found if isinstance(found, int) else int(found.timestamp())
    with suppress(*JSON_ERRORS):
        data = _data.decode(envelope.data)
    return _reading(envelope.id, envelope.type, created, data)


def _reading(event_id: str, event_type: str, created_s: int, data: _Data | None) -> Reading:
    if not (is_name(event_id) and is_name(event_type)):
        raise NotUnderstoodError("id or type is empty, too long or unprintable")
    return Reading(event_id, event_type, occurred_ms(created_s), _payment_id(data.object) if data is not None else None)


def _payment_id(subject: _Object) -> str | None:
    """The PaymentIntent the event's object is, or points to (an id, or the expanded object)."""
    found = subject.id if subject.object == "payment_intent" else subject.payment_intent
    if isinstance(found, _Expanded):
        found = found.id
    return found if is_name(found) else None
