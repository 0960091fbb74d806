"""What the object of a Flutterwave event says about money. Amounts are major units, as JSON numbers.

v3 spells one thing in three ways: snake_case, camelCase in flat events, PascalCase in refunds. The amount of a payment
is what the merchant asked; `charged_amount` has the fees on it that the customer bears. Refunds name no currency, so
that their amount stays open.
"""

from collections.abc import Mapping
from typing import Any

from webhookd.core.ledger import Fact, Kind
from webhookd.core.money import Money, at_least_nothing, of_major
from webhookd.providers.flutterwave.states import STATES, SUBJECTS
from webhookd.providers.tree import at, ident, references, text, values, word

REFUND_MARK = "AmountRefunded"
REFERENCE_KEYS = ("customer_reference", "reference", "tx_ref", "txRef")
"""Where the merchant's own reference is: of a bill, in v4 and of transfers, in v3, in flat events of v3."""
NAME_KEYS = ("flw_ref", "flwRef", "FlwRef", "order_ref", "orderRef", "order_id", "tx_ref")
PAYMENT_KEYS = ("charge_id", "TransactionId", "transaction_id", "tx_id")
_OF_MONEY = frozenset({"payment", "refund"})

Json = Mapping[str, Any]


def said(event_type: str, subject: Json, event: Json) -> tuple[str | None, Fact | None]:
    """The payment that the event is about, and the fact."""
    kind: Kind | None = "refund" if REFUND_MARK in subject else SUBJECTS.get(event_type.partition(".")[0])
    if kind is None:
        return None, None
    subject_id = ident(subject, "id")
    if event_type.startswith("singlebillpayment."):
        subject_id = subject_id or text(subject, "flw_ref")
    if kind == "payment":
        payment_id = subject_id
    else:
        payment_id = _first(ident, subject, PAYMENT_KEYS) or ident(subject, "charge", "id")
    state = _state(event_type, subject)
    status = None if state is None else STATES[kind].get(state.lower())
    money = _money(kind, subject)
    if kind == "dispute":
        money = at_least_nothing(money)
    if subject_id is None or status is None or (kind in _OF_MONEY and not _readable(kind, money)):
        return payment_id, None
    reference = _first(text, subject, REFERENCE_KEYS)
    names = [text(subject, key) for key in NAME_KEYS]
    names += values(subject.get("meta")) + values(event.get("meta_data"))
    others = references(*(name for name in names if name != reference))
    return payment_id, Fact(kind, subject_id, status, state, money, None, reference, others)


def _state(event_type: str, subject: Json) -> str | None:
    """What the object says, or else the last word of the event's name. A reversed transfer may still say SUCCESSFUL."""
    if event_type == "transfer.reversal":
        return "reversal"
    return event_type.rpartition(".")[2] if subject.get("status") is None else word(subject, "status")


def _money(kind: Kind, subject: Json) -> Money:
    amount, currency = subject.get("amount"), subject.get("currency")
    if kind == "refund":
        amount = subject.get(REFUND_MARK, subject.get("amount_refunded", amount))
    elif kind == "transfer" and currency is None:
        currency = subject.get("destination_currency")
        if currency != subject.get("source_currency", currency):  # which of the two the amount is in, is not said
            amount = at(subject, "debit_information", "actual_debit_amount")
            currency = at(subject, "debit_information", "currency")
    return of_major("flutterwave", amount, currency)


def _readable(kind: Kind, money: Money) -> bool:
    """Only the unit may be unknown: of a currency that nobody has an exponent for, or of a refund that names none."""
    if money.amount is not None:
        return money.amount >= 0
    return money.exponent is None and (kind == "refund" or money.currency is not None)


def _first(reader: Any, subject: Json, keys: tuple[str, ...]) -> str | None:
    return next((found for key in keys if (found := reader(subject, key)) is not None), None)
