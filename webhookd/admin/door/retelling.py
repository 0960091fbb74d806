"""What was asked for, as the audit trail may tell it: no secret, no header's value, no credentials, no card number, no
long text.

Only short plain values are told at all, so that what nobody thought of is left out and not let through.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from webhookd.core.card_number import has_card_number, without_card_numbers

ELLIPSIS = "…"
TEXT_CHARS_MAX = 200
ITEMS_MAX = 20
FIELDS_MAX = 40
CHARS_MAX = 2_000
_SECRET_NAME = re.compile(
    r"secret|token|password|passphrase|authorization|cookie|credential|key|^data$|body", re.IGNORECASE
)
_NO_SECRET = frozenset({"secret_kind"})
_SECRET_TEXT = re.compile(r"whsec_|whsk_|whd_|bearer ", re.IGNORECASE)
_URL = re.compile(r"([a-z][a-z0-9+.-]*://)(?:[^/?#]*@)?([^/?#]*)([^?#]*)([?#].*)?", re.IGNORECASE | re.DOTALL)
_encode = msgspec.json.Encoder().encode


def retold(asked: Mapping[str, Any]) -> str | None:
    """As JSON, of CHARS_MAX characters at most; None when nothing was asked for."""
    if not asked:
        return None
    fields = [(name, value) for name, value in asked.items() if name.isprintable() and len(name) <= TEXT_CHARS_MAX]
    told = {name: _value(name, value) for name, value in fields[:FIELDS_MAX]}
    text = _encode(told).decode()
    if len(text) > CHARS_MAX:
        text = _encode({name: _short(value) for name, value in told.items()}).decode()
    return text if len(text) <= CHARS_MAX else _encode({ELLIPSIS: len(asked)}).decode()


def plain(text: str) -> str:
    """A name or an id from a path, without what could steer a terminal, and no longer than is needed to know it."""
    text = without_card_numbers(text, lambda _digits: ELLIPSIS)
    return (text if text.isprintable() else ascii(text)[1:-1])[:TEXT_CHARS_MAX]


def _value(name: str, value: Any) -> Any:
    if _SECRET_NAME.search(name) and name not in _NO_SECRET:
        return ELLIPSIS
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return _text(value)
        case list():
            # A list in a list is asked for nowhere; who sends one may have a thousand, each in the next.
            told = [ELLIPSIS if isinstance(each, list) else _value("", each) for each in value[:ITEMS_MAX]]
            return told if len(value) <= ITEMS_MAX else [*told, f"{ELLIPSIS} {len(value) - ITEMS_MAX} more"]
        case dict() if name == "headers":
            return {plain(header): ELLIPSIS for header in list(value)[:ITEMS_MAX]}
        case _:
            return ELLIPSIS


def _text(text: str) -> str:
    if _SECRET_TEXT.search(text) or len(text) > TEXT_CHARS_MAX or not text.isprintable() or has_card_number(text):
        return ELLIPSIS
    if (url := _URL.fullmatch(text)) is not None:
        scheme, host, path, rest = url.groups()
        return f"{scheme}{host}{path}{'?' + ELLIPSIS if rest else ''}"
    return text


def _short(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else ELLIPSIS
