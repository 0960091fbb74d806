"""The hook that an object of a provider's own export stands for: its bytes, and what a hook's headers would have said.

As a rule the object is the body of the hook. Two forms say more, and then the event has the id that its hook had:

- `{"headers": {…}, "body": "…"}`: a hook as somebody kept it, for any provider.
- `{"id": "msg_…", "payload": {…}}`: a message of Svix; its id is the `webhook-id`.
"""

import hashlib
from collections.abc import Mapping

import msgspec

from webhookd.core.event import Hook
from webhookd.providers.provider import JSON_ERRORS

JSON = {"content-type": "application/json"}
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])
_kept = msgspec.json.Decoder(dict[str, str])
_text = msgspec.json.Decoder(str)


def exported(provider: str, raw: bytes, at_ms: int) -> Hook:
    """`raw` is the object's own text. Whether it can be understood is for the provider to say."""
    try:
        parts = _parts.decode(raw)
    except JSON_ERRORS:
        return Hook(JSON, raw, at_ms)
    if (hook := _kept_hook(parts, at_ms)) is not None:
        return hook
    if provider != "standard":
        return Hook(JSON, raw, at_ms)
    if "payload" in parts and (message_id := _string(parts.get("id"))):
        return Hook({**JSON, "webhook-id": message_id}, bytes(parts["payload"]), at_ms)
    # The id of an event is in its headers alone: without them the body has to do.
    return Hook({**JSON, "webhook-id": f"sha256:{hashlib.sha256(raw).hexdigest()}"}, raw, at_ms)


def _kept_hook(parts: Mapping[str, msgspec.Raw], at_ms: int) -> Hook | None:
    if parts.keys() != {"headers", "body"}:
        return None
    try:
        headers, body = _kept.decode(parts["headers"]), _text.decode(parts["body"])
    except JSON_ERRORS:
        return None
    return Hook({**JSON, **{name.lower(): value for name, value in headers.items()}}, body.encode(), at_ms)


def _string(raw: msgspec.Raw | None) -> str | None:
    try:
        return None if raw is None else _text.decode(raw)
    except JSON_ERRORS:
        return None
