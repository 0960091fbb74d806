"""What a Razorpay event says about money. Only the entity that the event is named after moves anything: those that come
with it are snapshots, and may be older (a dispute that was won brings a payment that is only authorized).
"""

from collections.abc import Mapping
from typing import Any

from webhookd.core.ledger import COUNTING, Fact
from webhookd.core.money import of_minor, whole
from webhookd.providers.event_name import split
from webhookd.providers.razorpay.states import STATES, SUBJECTS, Subject
from webhookd.providers.tree import at, expandable, ident, references, text, values, word

ORDER_KEYS = (
    *("order_id", "merchant_order_id", "order_number", "order"),
    *("woocommerce_order_id", "woocommerce_order_number", "opencart_order_id"),
)
"""Where merchants and plug-ins put their own reference in `notes`; the first one counts."""

Json = Mapping[str, Any]


def said(event_type: str, event: Json) -> tuple[str | None, Fact | None]:
    """The payment that the event is about, and the fact."""
    payload = event.get("payload")
    payment = _entity(payload, "payment")
    name, rest = split(event_type, SUBJECTS)
    if name is None:
        return text(payment, "id"), None
    subject = SUBJECTS[name]
    entity = _entity(payload, subject.entity)
    payment_id = _payment_id(subject, entity, payment)
    object_id = _object_id(name, event, entity)
    state = _state(name, rest, entity)
    status = STATES[subject.kind].get(state) if state is not None else None
    money = of_minor("razorpay", entity.get("amount"), entity.get("currency"))
    if object_id is None or status is None:
        return payment_id, None
    if subject.kind in COUNTING and (money.currency is None or money.amount is None or money.amount < 0):
        return payment_id, None
    order = _entity(payload, "order")
    names = references(
        object_id if subject.kind != "payment" else None,
        text(entity, "source") if subject.kind == "transfer" else None,
        *(text(each, key) for key in ("order_id", "invoice_id") for each in (entity, payment)),
        *(ident(entity, key) for key in ("receipt", "invoice_number", "reference_id")),
        ident(order, "receipt"),
        *(name for each in (entity, payment, order) for name in values(each.get("notes"))),
    )
    refunded = _refunded(subject, status, entity, payment)
    reference = _reference(subject, entity, payment, order)
    return payment_id, Fact(subject.kind, object_id, status, state, money, refunded, reference, names)


def _entity(payload: Any, name: str) -> Json:
    """The entity, and what stands beside it: there the payouts that wait for approval have half their fields."""
    found = at(payload, name)
    if not isinstance(found, dict):
        return {}
    entity = found.get("entity")
    return {**found, **entity} if isinstance(entity, dict) else found


def _payment_id(subject: Subject, entity: Json, payment: Json) -> str | None:
    if subject.kind == "payment":
        return text(entity, "id")
    if subject.kind == "transfer":
        source = text(entity, "source")  # of a transfer: an order, a payment or the account
        return source if source is not None and source.startswith("pay_") else None
    if subject.kind in ("refund", "dispute"):
        return text(entity, "payment_id") or text(payment, "id")
    # An invoice names the first of its payments, and brings along the one that the event is about.
    return text(payment, "id") or text(entity, "payment_id")


def _object_id(name: str, event: Json, entity: Json) -> str | None:
    if name == "account":
        # The entity's id comes with and without its prefix; when access was revoked there is no entity.
        account = text(entity, "id") or text(event, "account_id")
        return account if account is None or account.startswith("acc_") else ident(f"acc_{account}")
    if name == "order.notification":
        return text(entity, "order_id")
    if name == "fund_account.validation":
        return expandable(entity, "fund_account") or text(entity, "id")
    return text(entity, "id")


def _state(name: str, rest: str, entity: Json) -> str | None:
    subject = SUBJECTS[name]
    if name == "order.notification":
        rest = f"notification.{rest}"  # that failed, not the order
    if subject.named and rest in STATES[subject.kind]:
        return rest
    if name == "account":
        return word(entity, "activation_details", "status") or word(entity, "merchant_detail", "activation_status")
    if entity.get(subject.state_at) is None:
        return rest
    state = word(entity, subject.state_at)
    if name == "fund_account.validation" and state == "completed":
        return word(entity, "results", "account_status") or state
    return state


def _refunded(subject: Subject, status: str, entity: Json, payment: Json) -> int | None:
    """The sum that Razorpay keeps has refunds in it that are under way, so that only one that is through brings it:
    the ledger holds the greatest it was told, and would not forget a refund that failed in the end.
    """
    if subject.kind == "refund" and status == "succeeded":
        refunded = whole(payment.get("amount_refunded"))
    elif subject.kind == "payment":
        refunded = whole(entity.get("amount_refunded"))
    else:
        return None
    return refunded if refunded is None or refunded >= 0 else None


def _reference(subject: Subject, entity: Json, payment: Json, order: Json) -> str | None:
    if subject.entity == "merchant_product":
        return text(entity, "merchant_id")
    if subject.kind == "refund":
        return ident(entity, "receipt")
    own = ident(entity, "receipt") or ident(entity, "reference_id") or ident(order, "receipt")
    notes = (at(each, "notes", key) for each in (entity, payment) for key in ORDER_KEYS)
    return own or next((found for note in notes if (found := ident(note)) is not None), None)
