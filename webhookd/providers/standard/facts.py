"""What a Dodo Payments event says about money. Amounts are smallest units; a dispute's are digits in a string.

`data` is the object as it is when the event is sent, not as it was when it occurred, so that a late
`payment.processing` may carry a payment that has succeeded: what the object says counts, the event's name only where it
says nothing.
Sources: the types of dodopayments 1.123.0; docs.dodopayments.com/developer-resources/webhooks.
"""

from collections.abc import Mapping
from typing import Any

from webhookd.core.ledger import Fact, Kind
from webhookd.core.money import Money, at_least_nothing, of_minor, whole
from webhookd.providers.standard.states import STATES, SUBJECTS
from webhookd.providers.tree import at, ident, references, text, values, word

REFERENCE_KEYS = ("order_id", "orderId", "order_number", "order", "reference", "reference_id")
"""Where merchants put their own reference in `metadata`; the first one counts."""
NAME_KEYS = ("checkout_session_id", "subscription_id", "invoice_id")
_AMOUNT_KEYS: Mapping[Kind, str] = {"payment": "total_amount", "subscription": "recurring_pre_tax_amount"}

Json = Mapping[str, Any]


PARTS = frozenset({"partially_captured", "partially_captured_and_capturable"})
"""The states of a payment that was captured in part: how much of it, the event does not say."""


def said(event_type: str, event: Json) -> tuple[str | None, Fact | None]:
    """The payment that the event is about, and the fact. Neither where the sender is not Dodo Payments."""
    data = event.get("data")
    if text(event, "business_id") is None or not isinstance(data, dict):
        return None, None
    payment_id = text(data, "payment_id")
    subject = (text(data, "payload_type") or "").lower()
    if subject not in SUBJECTS:
        subject = event_type.partition(".")[0]
    kind = SUBJECTS.get(subject)
    return payment_id, _fact(kind, subject, event_type, data) if kind is not None else None


def _fact(kind: Kind, subject: str, event_type: str, data: Json) -> Fact | None:
    subject_id, state = text(data, f"{subject}_id"), _state(subject, event_type, data)
    status = STATES[kind].get(state) if state is not None else None
    amount = data.get(_AMOUNT_KEYS.get(kind, "amount"))
    money = of_minor("standard", amount, data.get("currency"))
    if kind == "dispute":
        money = at_least_nothing(money)
    if subject_id is None or status is None or not _readable(kind, amount, money):
        return None
    refunded = None
    if kind == "payment" and status == "captured":
        refund_state = word(data, "refund_status")
        refunded = _refunded(data.get("refunds"), money)
        if refund_state == "full":
            refunded = money.amount  # no state of its own: the refund may fail yet, and then the payment stands again
        elif refund_state == "partial":
            state, status = refund_state, STATES["payment"][refund_state]
        if state in PARTS:
            money, refunded = Money(None, money.currency, money.exponent), None
    metadata = data.get("metadata")
    reference = next((found for key in REFERENCE_KEYS if (found := ident(metadata, key)) is not None), None)
    names = [*values(metadata), *(text(data, key) for key in NAME_KEYS)]
    others = references(*(name for name in names if name != reference))
    return Fact(kind, subject_id, status, state, money, refunded, reference, others)


def _state(subject: str, event_type: str, data: Json) -> str | None:
    prefix = "dispute_" if subject == "dispute" else ""
    if data.get(f"{prefix}status") is not None:
        return word(data, f"{prefix}status")
    name, _, state = event_type.partition(".")
    return f"{prefix}{state}" if name == subject else None


def _readable(kind: Kind, amount: object, money: Money) -> bool:
    """A payment has an amount and a currency; a refund may have none, but not an odd one."""
    if kind == "payment":
        return money.amount is not None and money.amount >= 0 and money.currency is not None
    return kind != "refund" or amount is None or (money.amount is not None and money.amount >= 0)


def _refunded(refunds: object, money: Money) -> int | None:
    """The sum of the refunds that succeeded, or None where one of them cannot be read."""
    if not isinstance(refunds, list):
        return None
    total = 0
    for refund in refunds:
        state, amount = word(refund, "status"), whole(at(refund, "amount"))
        if state != "succeeded" and state in STATES["refund"]:
            continue
        in_another_currency = text(refund, "currency") not in (None, money.currency)
        if state != "succeeded" or amount is None or amount < 0 or in_another_currency:
            return None
        total += amount
    return whole(total)
