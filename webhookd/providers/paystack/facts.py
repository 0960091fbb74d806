"""What a Paystack event says about money. A payment is known by its transaction's reference, which is all that its
refunds know of it; the transaction's number is another name of it.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from webhookd.core.event import NAME_CHARS_MAX
from webhookd.core.ledger import COUNTING, Fact, Kind
from webhookd.core.money import Money, of_minor
from webhookd.providers.event_name import split
from webhookd.providers.paystack.metadata import names_of, order_of
from webhookd.providers.paystack.states import NAMED, STATES, SUBJECTS
from webhookd.providers.tree import at, ident, references, text, word

Json = Mapping[str, Any]


def said(event_type: str, data: Any) -> tuple[str | None, Fact | None]:
    """The payment that the event is about, and the fact. `data` may be anything; a list says nothing of money."""
    subject, rest = split(event_type, SUBJECTS)
    if subject is None or not isinstance(data, dict):
        return None, None
    kind = SUBJECTS[subject]
    payment_id = _payment_id(kind, data)
    state = _state(event_type, kind, rest, data)
    status = STATES[kind].get(state) if state is not None else None
    if status is None:
        return payment_id, None
    money = _money(kind, status, data)
    if kind in COUNTING and (money.currency is None or money.amount is None or money.amount < 0):
        return payment_id, None
    object_id = payment_id if kind == "payment" else _object_id(kind, status, data, money)
    if object_id is None:
        return payment_id, None
    return payment_id, Fact(kind, object_id, status, state, money, None, _reference(kind, data), _names(kind, data))


def _payment_id(kind: Kind, data: Json) -> str | None:
    if kind == "payment":
        return text(data, "reference")
    if kind in ("refund", "dispute", "invoice"):
        return text(data, "transaction", "reference") or text(data, "transaction_reference")
    return None


def _state(event_type: str, kind: Kind, rest: str, data: Json) -> str | None:
    if event_type in NAMED or data.get("status") is None:
        return rest
    state = word(data, "status")
    if kind == "dispute" and state == "resolved":
        resolution = word(data, "resolution")
        return resolution if resolution in STATES[kind] else state
    return state


def _money(kind: Kind, status: str, data: Json) -> Money:
    """Amounts come as numbers and as digits in a string. An invoice has its currency in its transaction only, and a
    subscription in its plan.
    """
    amount = data.get("amount")
    if kind == "payment" and status == "captured" and data.get("captured_amount") is not None:
        amount = data["captured_amount"]  # of what was reserved
    elif kind == "dispute":
        amount = data["refund_amount"] if data.get("refund_amount") is not None else at(data, "transaction", "amount")
    currency = data.get("currency") or at(data, "transaction", "currency") or at(data, "plan", "currency")
    return of_minor("paystack", amount, currency)


def _object_id(kind: Kind, status: str, data: Json, money: Money) -> str | None:
    if kind == "refund":
        return _refund_id(status, data, money)
    if kind == "dispute":
        return ident(data, "id")
    if kind == "transfer":
        return text(data, "transfer_code") or ident(data, "id")
    if kind == "subscription":
        return text(data, "subscription_code")
    return text(data, "invoice_code") or text(data, "request_code") or ident(data, "id")


def _refund_id(status: str, data: Json, money: Money) -> str | None:
    """A refund has no name before it is through: `refund_reference` is null, and there is no id.

    Payment and amount together are no name: two refunds of the same part of one payment would become one, and a refund
    that is missing in the sum is worse than one that appears late. So until it is named it is no object of the ledger,
    only an event of its payment; else it would stay there, pending for ever, beside the one that was named.

    One that was processed counts in any case, and where even it has no name, payment and amount must do. Then two equal
    ones cannot be told apart, for their events cannot either.
    """
    named = ident(data, "refund_reference") or ident(data, "id")
    if named is not None or status != "succeeded":
        return named
    payment_id = _payment_id("refund", data)
    if payment_id is None:
        return None
    made = f"{payment_id}:{money.amount}"
    return made if len(made) <= NAME_CHARS_MAX else f"sha256:{hashlib.sha256(made.encode()).hexdigest()}"


def _reference(kind: Kind, data: Json) -> str | None:
    if kind == "payment":
        return order_of(data.get("metadata")) or ident(data, "order_id") or text(data, "reference")
    if kind == "transfer":
        return text(data, "reference")
    return ident(data, "offline_reference") or order_of(data.get("metadata"))


def _names(kind: Kind, data: Json) -> tuple[str, ...]:
    transaction = data if kind == "payment" else data.get("transaction")
    return references(
        *(ident(transaction, "reference"), ident(transaction, "id"), ident(data, "transaction_id")),
        ident(transaction, "order_id"),
        *(ident(data, key) for key in ("refund_reference", "invoice_code")),
        text(data, "subscription", "subscription_code"),
        *names_of(at(transaction, "metadata")),
    )
