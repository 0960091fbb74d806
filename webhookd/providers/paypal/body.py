"""That a body is one JSON value and nothing after it.

PayPal's signature binds a body by its CRC-32 only, and a forger restores that with a few bytes of his choice, which are
most easily put behind the JSON, where no parser sees them. (They can be put within as well: what stops that is that a
transmission's id is good for one body.)
"""

import json

import msgspec

from webhookd.providers.provider import JSON_ERRORS

_WHITESPACE = b" \t\r\n"
_value = msgspec.json.Decoder(msgspec.Raw)
_front = json.JSONDecoder()


def is_json(body: bytes) -> bool:
    try:
        body.decode()
        _value.decode(body)
    except JSON_ERRORS:
        return False
    return True


def has_trailing_bytes(body: bytes) -> bool:
    """Whether anything but one line feed follows the JSON value. False where there is no JSON value at all."""
    text = body.removesuffix(b"\n")
    if text[-1:] in _WHITESPACE:
        return text != b""
    if is_json(text):
        return False
    try:
        _front.raw_decode(text.decode("utf-8", "replace").lstrip())
    except (ValueError, RecursionError):
        return False
    return True
