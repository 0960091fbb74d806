"""What a row of an application's outbox says: its id and type, and what it says of a payment."""

from webhookd.core.event import OPERATIONAL, Hook, Reading, is_name, occurred_ms
from webhookd.core.ledger import RANKS, Fact
from webhookd.core.money import Money, of_minor, whole
from webhookd.providers.provider import NotUnderstoodError
from webhookd.providers.tree import name, parse

COLUMNS = ("id", "type", "created_at", "payment_id", "status", "amount", "currency", "refunded", "reference")
"""What is read of a row beside its body; `created_at` as Unix milliseconds, money in smallest units."""


def header(column: str) -> str:
    return "outbox-" + column.replace("_", "-")


def read(hook: Hook) -> Reading:
    """Raises NotUnderstoodError, with what to do about it."""
    row = {column: value for column in COLUMNS if (value := hook.headers.get(header(column))) is not None}
    event_id, event_type = row.get("id"), row.get("type")
    if not is_name(event_id):
        raise NotUnderstoodError("id must have 1 to 255 printable characters")
    if not is_name(event_type):
        raise NotUnderstoodError("type must have 1 to 255 printable characters")
    if event_type.startswith(f"{OPERATIONAL}."):
        raise NotUnderstoodError(f'type: "{OPERATIONAL}." is for what webhookd says itself')
    try:
        parse(hook.body)
    except NotUnderstoodError:
        raise NotUnderstoodError("body must be a JSON object, in UTF-8") from None
    created_ms = whole(row.get("created_at"))
    occurred_at = None if created_ms is None else occurred_ms(created_ms / 1_000)
    return Reading(event_id, event_type, occurred_at, name(row.get("payment_id")), _fact(row))


def _fact(row: dict[str, str]) -> Fact | None:
    """None where the row says nothing of a payment, or a state that is no word of ours: the ledger is left alone."""
    payment_id, status = name(row.get("payment_id")), row.get("status", "")
    if payment_id is None or status not in RANKS["payment"]:
        return None
    money = of_minor("outbox", row.get("amount"), row.get("currency"))
    if money.amount is not None and money.amount < 0:
        money = Money(None, money.currency, money.exponent)
    refunded = whole(row.get("refunded"))
    if refunded is not None and refunded < 0:
        refunded = None
    return Fact("payment", payment_id, status, None, money, refunded, name(row.get("reference")))
