"""Reading JSON from strangers: whatever is missing or of another type is None, and no number goes through a float."""

from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

import msgspec

from webhookd.core.card_number import has_card_number
from webhookd.core.event import is_name, occurred_ms
from webhookd.core.ledger import DETAIL_CHARS_MAX, REFERENCES_MAX
from webhookd.providers.provider import JSON_ERRORS, NotUnderstoodError

_IDENT_MAX = 10**30


def _decimal(digits: str) -> Decimal | None:
    """None where the exponent is beyond what even Decimal holds (1e99999999999999999999)."""
    try:
        return Decimal(digits)
    except InvalidOperation:
        return None


_any = msgspec.json.Decoder(float_hook=_decimal)
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object. A member that no number type holds, or that is nested too deep, is left out with its parent.

    Raises NotUnderstoodError when it is no JSON object.
    """
    try:
        found = _any.decode(body)
    except JSON_ERRORS:
        return _parse_parts(body)
    if not isinstance(found, dict):
        raise NotUnderstoodError("no JSON object")
    return found


def _parse_parts(body: bytes) -> dict[str, Any]:
    try:
        parts = _parts.decode(body)
    except JSON_ERRORS:
        raise NotUnderstoodError("no JSON object") from None
    found = {}
    for each, raw in parts.items():
        try:
            found[each] = _any.decode(raw)
        except JSON_ERRORS:
            continue
    return found


def at(node: Any, *path: str) -> Any:
    """What is there, or None."""
    for each in path:
        if not isinstance(node, dict):
            return None
        node = node.get(each)
    return node


def text(node: Any, *path: str) -> str | None:
    """A string of 1 to 255 printable characters, as ids, types and references are."""
    found = at(node, *path)
    return found if is_name(found) else None


def name(found: Any) -> str | None:
    """What was found, if it is such a text."""
    return found if is_name(found) else None


def ident(node: Any, *path: str) -> str | None:
    """An id that may be a string or a whole number."""
    return name_or_number(at(node, *path))


def name_or_number(found: Any) -> str | None:
    """What was found, if it is such an id."""
    if type(found) is int and 0 <= found < _IDENT_MAX:
        return str(found)
    return found if is_name(found) else None


def expandable(node: Any, *path: str) -> str | None:
    """An id, or the id of the object that stands in its place."""
    return id_of(at(node, *path))


def id_of(found: Any) -> str | None:
    """What was found, if it is an id; or the id of the object that was found."""
    if isinstance(found, dict):
        found = found.get("id")
    return found if is_name(found) else None


def word(node: Any, *path: str) -> str | None:
    """A provider's word for a state, short enough to be kept."""
    found = at(node, *path)
    return found if is_name(found) and len(found) <= DETAIL_CHARS_MAX else None


def seconds(node: Any, *path: str) -> int | None:
    """Unix milliseconds from whole Unix seconds."""
    found = at(node, *path)
    return occurred_ms(found) if type(found) is int else None


def moment(node: Any, *path: str) -> int | None:
    """Unix milliseconds from RFC 3339 or ISO 8601 with its zone, fractions as long as they like."""
    found = at(node, *path)
    if not isinstance(found, str) or not 10 < len(found) < 64:
        return None
    try:
        when = datetime.fromisoformat(found)
        return occurred_ms(when.timestamp()) if when.tzinfo else None
    except (ValueError, OverflowError):
        return None


def references(*found: str | None) -> tuple[str, ...]:
    """Those that are there, each once, at most REFERENCES_MAX."""
    return tuple({each: None for each in found if each is not None})[:REFERENCES_MAX]


def values(node: Any) -> list[str]:
    """The short texts and whole numbers of an object such as `metadata` or `notes`, as texts."""
    if not isinstance(node, dict):
        return []
    return [each for found in islice(node.values(), REFERENCES_MAX) if (each := safe_name(found)) is not None]


def safe_name(found: Any) -> str | None:
    """A short text or a whole number that nobody says the meaning of, so that a card number would be one by mistake."""
    each = name_or_number(found)
    return None if each is None or has_card_number(each) else each
