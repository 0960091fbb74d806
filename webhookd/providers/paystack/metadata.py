"""The `metadata` of a Paystack transaction, which may be 0, "", null, a word, JSON in a string, or an object."""

from typing import Any

from webhookd.core.ledger import REFERENCES_MAX
from webhookd.providers.provider import NotUnderstoodError
from webhookd.providers.tree import at, ident, parse, safe_name, values

ORDER_KEYS = ("order_id", "order_number", "order", "orderId", "invoice_id", "reference")
"""Where merchants and plug-ins put their own reference; the first one counts."""
CHARS_MAX = 16 * 2**10
"""Of JSON in a string that is looked into."""


def order_of(metadata: Any) -> str | None:
    """The merchant's own reference."""
    fields = _fields(metadata)
    return next((found for key in ORDER_KEYS if (found := ident(fields, key)) is not None), None)


def names_of(metadata: Any) -> list[str]:
    """All short values: of the object itself, of its `custom_fields`, or the one word that it is."""
    fields = _fields(metadata)
    if fields is None and (word := safe_name(metadata)) is not None:
        return [word]
    custom = at(fields, "custom_fields")
    listed = custom[:REFERENCES_MAX] if isinstance(custom, list) else []
    return values(fields) + [value for each in listed if (value := safe_name(at(each, "value"))) is not None]


def _fields(metadata: Any) -> Any:
    if not isinstance(metadata, str):
        return metadata
    try:
        return parse(metadata.encode("utf-8", "replace")) if len(metadata) <= CHARS_MAX else None
    except NotUnderstoodError:
        return None
