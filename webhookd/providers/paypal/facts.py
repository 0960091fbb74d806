"""What the resource of a PayPal event says about money: a snapshot, as it was when the event occurred.

Sources: paypal/paypal-rest-api-specifications, for the v2 shapes; PayPal's SDKs and their fixtures, for v1. Which it is
shows in the fields: `status` and `amount.value` in v2, `state` and `amount.total` in v1.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from webhookd.core.money import NO_MONEY, Money, whole
from webhookd.providers.event_name import split
from webhookd.providers.paypal.parts import (
    COUNTED,
    Json,
    Said,
    fact,
    first,
    money,
    names_of,
    parent_payment,
    positive,
    reference_of,
    state_of,
)
from webhookd.providers.paypal.states import NAMES, RESOURCES
from webhookd.providers.tree import at, text, word

GIVEN_BACK = ("REFUNDED", "REVERSED")
"""What the names of events end with whose capture or sale may be what was given back of another."""


def said(event_type: str, event: Json) -> Said:
    """The payment that the event is about, and the fact."""
    resource = event.get("resource")
    named, rest = split(event_type, NAMES)
    kind = event.get("resource_type")
    subject = RESOURCES.get(kind.lower().replace("_", "-")) if isinstance(kind, str) else None
    if subject is None and named is not None:
        subject = NAMES[named]
    if subject is None or not isinstance(resource, dict):
        return None, None
    return _READERS[subject](rest, resource)


def _capture(rest: str, capture: Json) -> Said:
    """A capture or a sale; or what was given back of one, which v1 calls a sale too."""
    amount = money(capture.get("amount"))
    given_back = rest == "REFUNDED" and amount.amount is not None and amount.amount < 0
    if given_back or (rest in GIVEN_BACK and parent_payment(capture) is not None):
        return _refund(rest, capture)
    payment_id = text(capture, "id")
    state = rest if rest == "REVERSED" else state_of(capture, rest)
    if state == "REVERSED":
        amount = positive(amount)
    wholly = state is not None and state.upper() in ("REFUNDED", "REVERSED")
    found = fact(
        "payment",
        payment_id,
        state,
        amount,
        names_of(capture),
        reference=reference_of(capture),
        refunded=amount.amount if wholly else None,
    )
    return payment_id, found


def _authorization(rest: str, authorization: Json) -> Said:
    payment_id, state = text(authorization, "id"), state_of(authorization, rest)
    amount = money(authorization.get("amount"))
    reference = reference_of(authorization)
    return payment_id, fact("payment", payment_id, state, amount, names_of(authorization), reference=reference)


def _refund(rest: str, refund: Json) -> Said:
    payment_id, refund_id, state = parent_payment(refund), text(refund, "id"), state_of(refund, rest)
    amount = positive(money(refund.get("amount")))
    total = at(refund, "seller_payable_breakdown", "total_refunded_amount") or refund.get("total_refunded_amount")
    so_far = positive(money(total, amount.currency))
    found = fact(
        "refund",
        refund_id,
        state,
        amount,
        (payment_id, *names_of(refund)),
        reference=reference_of(refund),
        # Refunds that are under way are in the sum: only one that is through brings it.
        refunded=so_far.amount if so_far.currency == amount.currency else None,
    )
    if found is not None and found.status != "succeeded":
        found = msgspec.structs.replace(found, refunded=None)
    return payment_id, found


def _dispute(rest: str, dispute: Json) -> Said:
    transaction = first(dispute.get("disputed_transactions"))
    payment_id, state = text(transaction, "seller_transaction_id"), state_of(dispute, rest)
    if state is not None and state.upper() == "RESOLVED":
        state = word(dispute, "dispute_outcome", "outcome_code") or state
    names = payment_id, text(transaction, "buyer_transaction_id"), *names_of(transaction)
    found = fact(
        "dispute",
        text(dispute, "dispute_id"),
        state,
        money(dispute.get("dispute_amount")),
        names,
        reference=reference_of(transaction),
    )
    return payment_id, found


def _order(rest: str, order: Json) -> Said:
    """An order, or what the v1 API calls a payment: both say what the buyer agreed to, and neither is the money."""
    units = order.get("purchase_units") or order.get("transactions")
    units = [unit for unit in units if isinstance(unit, dict)] if isinstance(units, list) else []
    captures = _payments(units, "captures", "sale", "capture")
    authorizations = _payments(units, "authorizations", "authorization")
    payment_id = text(first([*captures, *authorizations]), "id")
    state = rest if rest == "BUYER-APPROVED" else state_of(order, rest)
    if state == "COMPLETED" and not _is_paid(order, captures, authorizations):
        state = "APPROVED"
    references = [reference for unit in [order, *units] if (reference := reference_of(unit)) is not None]
    found = fact(
        "order",
        text(order, "id") or text(order, "order_id"),
        state,
        _sum([money(each.get("amount")) for each in units or [order]]),
        (payment_id, *(name for unit in [order, *units] for name in names_of(unit))),
        reference=first(references),
    )
    return payment_id, found


def _sum(amounts: list[Money]) -> Money:
    """Of the units of one order, where all are of one currency and can be read."""
    total, kinds = 0, {(each.currency, each.exponent) for each in amounts}
    for each in amounts:
        if each.amount is None or len(kinds) > 1:
            return NO_MONEY
        total += each.amount
    return Money(whole(total), amounts[0].currency, amounts[0].exponent)


def _payments(units: list[Json], *where: str) -> list[Json]:
    """In v2 the units' own lists, by kind; in v1 the related resources, each under its kind."""
    found: list[Any] = []
    for unit in units:
        listed = at(unit, "payments", where[0])
        related = unit.get("related_resources")
        found += listed if isinstance(listed, list) else []
        found += [at(each, kind) for each in related for kind in where[1:]] if isinstance(related, list) else []
    return [each for each in found if isinstance(each, dict)]


def _is_paid(order: Json, captures: list[Json], authorizations: list[Json]) -> bool:
    """A completed order may have been authorized only, or its capture declined (Orders v2, the status COMPLETED)."""
    if captures:
        return any(word(each, "status") in (None, *COUNTED) for each in captures)
    return not authorizations and order.get("intent") != "AUTHORIZE"


def _invoice(rest: str, resource: Json) -> Said:
    invoice = resource["invoice"] if isinstance(resource.get("invoice"), dict) else resource
    transaction = first(at(invoice, "payments", "transactions")) or first(invoice.get("payments"))
    payment_id = text(transaction, "payment_id") or text(transaction, "transaction_id")
    detail = at(invoice, "detail")
    amount = invoice.get("amount") or invoice.get("total_amount")
    found = fact(
        "invoice",
        text(invoice, "id"),
        state_of(invoice, rest),
        money(amount, at(detail, "currency_code")),
        (payment_id, text(detail, "invoice_number"), text(invoice, "number"), text(detail, "reference")),
        reference=text(detail, "reference") or text(invoice, "reference"),
    )
    return payment_id, found


def _subscription(rest: str, subscription: Json) -> Said:
    state = state_of(subscription, rest)
    if rest == "PAYMENT.FAILED" and state is not None and state.upper() == "ACTIVE":
        state = rest
    names = text(subscription, "plan_id"), *names_of(subscription)
    reference = reference_of(subscription)
    return None, fact("subscription", text(subscription, "id"), state, NO_MONEY, names, reference=reference)


def _payouts_item(rest: str, item: Json) -> Said:
    paid = at(item, "payout_item")
    names = tuple(text(item, name) for name in ("transaction_id", "payout_batch_id", "sender_batch_id"))
    state = rest if item.get("transaction_status") is None else word(item, "transaction_status")
    reference = text(paid, "sender_item_id")
    amount = money(at(paid, "amount"))
    return None, fact("transfer", text(item, "payout_item_id"), state, amount, names, reference=reference)


def _payouts_batch(rest: str, batch: Json) -> Said:
    header = at(batch, "batch_header")
    state = rest if at(header, "batch_status") is None else word(header, "batch_status")
    reference = text(header, "sender_batch_header", "sender_batch_id")
    amount = money(at(header, "amount"))
    return None, fact("transfer", text(header, "payout_batch_id"), state, amount, (), reference=reference)


def _referenced_payout(rest: str, item: Json) -> Said:
    payment_id = text(item, "reference_id") if item.get("reference_type") in (None, "TRANSACTION_ID") else None
    state = rest if at(item, "processing_state", "status") is None else word(item, "processing_state", "status")
    names = payment_id, text(item, "payout_transaction_id"), text(item, "disbursement_transaction_id")
    reference = text(item, "external_reference_id")
    amount = money(item.get("payout_amount"))
    return payment_id, fact("transfer", text(item, "item_id"), state, amount, names, reference=reference)


def _account(rest: str, account: Json) -> Said:
    """The states are in the events' names only; those that say none (an e-mail address was confirmed) are no fact."""
    account_id = text(account, "merchant_id") or text(account, "account_id")
    names = text(account, "tracking_id"), text(account, "external_id")
    return None, fact("account", account_id, rest, NO_MONEY, names, reference=text(account, "tracking_id"))


_READERS: Mapping[str, Callable[[str, Json], Said]] = {
    "capture": _capture,
    "authorization": _authorization,
    "refund": _refund,
    "dispute": _dispute,
    "order": _order,
    "invoice": _invoice,
    "subscription": _subscription,
    "payouts_item": _payouts_item,
    "payouts_batch": _payouts_batch,
    "referenced_payout": _referenced_payout,
    "account": _account,
}
