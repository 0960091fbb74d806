"""What the object of a Stripe event says about money: a snapshot, as it was when the event occurred.

Sources: docs.stripe.com/api and the objects of stripe-python 16.1.0; on captures of a part, docs.stripe.com/changelog,
2025-03-31.basil ("Partially capturing or canceling payments no longer creates a Refund").
"""

from collections.abc import Callable, Mapping
from typing import Any

from webhookd.core.ledger import Fact, Kind
from webhookd.core.money import Money, of_minor, whole
from webhookd.providers.stripe.states import STATES
from webhookd.providers.tree import at, expandable, id_of, name, name_or_number, references, text, values

ORDER_KEYS = ("order_id", "orderId", "order_number", "order", "reference", "invoice_id")
"""Where merchants and plug-ins put their own reference in `metadata`; the first one counts."""
BASIL = "2025-03-31"
"""The API version from which on `amount_refunded` has nothing in it of what was held and never captured."""
_OF_MONEY = frozenset({"payment", "refund", "dispute", "transfer"})

Json = Mapping[str, Any]
Said = tuple[str | None, Fact | None]


def said(event: Json) -> Said:
    """The payment that the event is about, and the fact. `event` has its type."""
    data = event.get("data")
    subject = data.get("object") if isinstance(data, dict) else None
    if not isinstance(subject, dict) or event.get("object") == "v2.core.event":
        return None, None
    kind = subject.get("object")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    return reader(event, subject) if reader is not None else (_payment(subject), None)


def _payment_intent(event: Json, intent: Json) -> Said:
    payment_id = name(intent.get("id"))
    state = "payment_failed" if event["type"] == "payment_intent.payment_failed" else intent.get("status")
    amount = intent.get("amount_received" if state == "succeeded" else "amount")
    # Versions from BASIL on have no invoice here, and this is the event there is most of.
    invoice = id_of(intent["invoice"]) if "invoice" in intent else None
    names = id_of(intent.get("latest_charge")), invoice
    return payment_id, _fact("payment", payment_id, state, intent, amount, names)


def _charge(event: Json, charge: Json) -> Said:
    charge_id = name(charge.get("id"))
    payment_id = charge_id if (intent := charge.get("payment_intent")) is None else id_of(intent)
    state, captured = charge.get("status"), charge.get("captured")
    if event["type"] == "charge.expired":
        state = "expired"
    elif state == "succeeded" and captured is False:
        state = "released" if charge.get("refunded") is True else "uncaptured"
    elif state == "succeeded" and captured is not True:
        state = None
    amount, refunded = charge.get("amount"), None
    if state == "succeeded":
        # The first versions of the API had no amount_captured.
        amount, refunded = charge.get("amount_captured", amount), _refunded(charge, event.get("api_version"))
    names = charge_id, id_of(charge.get("invoice"))
    return payment_id, _fact("payment", payment_id, state, charge, amount, names, refunded)


def _refunded(charge: Json, api_version: object) -> int | None:
    """What was given back of what was captured. Before BASIL `amount_refunded` held the rest of the hold as well."""
    refunded, asked = whole(charge.get("amount_refunded")), whole(charge.get("amount"))
    captured = whole(charge.get("amount_captured", asked))
    if refunded is None or asked is None or captured is None or refunded < 0:
        return None
    rest = asked - captured
    if rest <= 0 or refunded < rest:
        return refunded
    if refunded > captured:
        return refunded - rest
    if not isinstance(api_version, str):
        return None
    return refunded - rest if api_version < BASIL else refunded


def _refund(_: Json, refund: Json) -> Said:
    names = (expandable(refund, "charge"),)
    fact = _fact("refund", text(refund, "id"), refund.get("status"), refund, refund.get("amount"), names)
    return _payment(refund), fact


def _dispute(_: Json, dispute: Json) -> Said:
    names = (expandable(dispute, "charge"),)
    fact = _fact("dispute", text(dispute, "id"), dispute.get("status"), dispute, dispute.get("amount"), names)
    return _payment(dispute), fact


def _checkout_session(event: Json, session: Json) -> Said:
    session_id, state = text(session, "id"), session.get("payment_status")
    if state != "paid":
        by_type = event["type"].rpartition(".")[2]
        if by_type in ("async_payment_failed", "expired"):
            state = by_type
        elif session.get("status") not in (None, "complete"):  # the first versions of the API had no status
            state = session.get("status")
    names = (session_id, *(expandable(session, each) for each in ("invoice", "subscription", "payment_link")))
    reference = text(session, "client_reference_id")
    fact = _fact("order", session_id, state, session, session.get("amount_total"), names, reference=reference)
    return _payment(session), fact


def _invoice(event: Json, invoice: Json) -> Said:
    invoice_id, state = text(invoice, "id"), invoice.get("status")
    if event["type"] == "invoice.upcoming":
        state = None  # a preview: there is no such invoice yet
    elif event["type"] == "invoice.deleted":
        state = "deleted"
    elif state == "open" and whole(invoice.get("amount_paid")):
        state = "partially_paid"
    elif state == "open" and event["type"] == "invoice.payment_failed":
        state = "payment_failed"
    of_subscription = at(invoice, "parent", "subscription_details")
    subscription = expandable(invoice, "subscription") or expandable(of_subscription, "subscription")
    names = invoice_id, text(invoice, "number"), subscription, expandable(invoice, "charge")
    amount = invoice.get("amount_paid" if state == "paid" else "amount_due")
    return _payment_of_invoice(invoice), _fact("invoice", invoice_id, state, invoice, amount, names)


def _payment_of_invoice(invoice: Json) -> str | None:
    """The field it had before BASIL; or, where the payments are listed, the first of them."""
    payments = at(invoice, "payments", "data")
    payment = at(payments[0], "payment") if isinstance(payments, list) and payments else None
    return _payment(invoice) or expandable(payment, "payment_intent") or expandable(payment, "charge")


def _invoice_payment(_: Json, part: Json) -> Said:
    """Ties a payment to an invoice. There may be more of them: that all is paid is for the invoice itself to say."""
    payment, invoice_id = part.get("payment"), expandable(part, "invoice")
    payment_id = expandable(payment, "payment_intent") or expandable(payment, "charge")
    state = "partially_paid" if part.get("status") == "paid" else None
    return payment_id, _fact("invoice", invoice_id, state, part, names=(invoice_id,))


def _subscription(_: Json, subscription: Json) -> Said:
    names = (expandable(subscription, "latest_invoice"),)
    state = subscription.get("status")
    return None, _fact("subscription", text(subscription, "id"), state, subscription, names=names)


def _transfer(_: Json, transfer: Json) -> Said:
    """To a connected account: there is no status, it is made at once."""
    state = "reversed" if transfer.get("reversed") is True else "created"
    names = expandable(transfer, "source_transaction"), text(transfer, "transfer_group")
    return None, _fact("transfer", text(transfer, "id"), state, transfer, transfer.get("amount"), names)


def _payout(_: Json, payout: Json) -> Said:
    """To the bank, or a top-up from it."""
    state = payout.get("status") if payout.get("reversed_by") is None else "reversed"
    return None, _fact("transfer", text(payout, "id"), state, payout, payout.get("amount"))


def _account(_: Json, account: Json) -> Said:
    charges, payouts = account.get("charges_enabled") is True, account.get("payouts_enabled") is True
    state = "charges_enabled" if charges else "payouts_enabled"
    if charges == payouts:
        state = "enabled" if charges else "disabled"
    if state == "disabled" and (reason := at(account, "requirements", "disabled_reason")) is not None:
        state = reason
    return None, _fact("account", text(account, "id"), state, account)


def _application(event: Json, application: Json) -> Said:
    """A connected account gave our application access, or took it away."""
    return None, _fact("account", text(event, "account"), event["type"].rpartition(".")[2], application)


def _payment_link(_: Json, link: Json) -> Said:
    active = link.get("active")
    state = ("active" if active else "inactive") if isinstance(active, bool) else None
    return None, _fact("payment_link", text(link, "id"), state, link)


_READERS: Mapping[str, Callable[[Json, Json], Said]] = {
    "payment_intent": _payment_intent,
    "charge": _charge,
    "refund": _refund,
    "dispute": _dispute,
    "checkout.session": _checkout_session,
    "invoice": _invoice,
    "invoice_payment": _invoice_payment,
    "subscription": _subscription,
    "transfer": _transfer,
    "payout": _payout,
    "topup": _payout,
    "account": _account,
    "application": _application,
    "payment_link": _payment_link,
}
"""By the name of the object: many types share one, and a type that is new to us is read as well."""


def _payment(subject: Json) -> str | None:
    """The payment of a refund, a dispute, …: its intent; the charge when Stripe says that there is no intent."""
    if subject.get("payment_intent") is not None:
        return expandable(subject, "payment_intent")
    return expandable(subject, "charge") if "payment_intent" in subject else None


def _fact(
    kind: Kind,
    object_id: str | None,
    state: object,
    subject: Json,
    amount: object = None,
    names: tuple[str | None, ...] = (),
    refunded: int | None = None,
    reference: str | None = None,
) -> Fact | None:
    """`state` may be anything: what is none of the provider's words makes no fact."""
    if object_id is None or not isinstance(state, str) or (status := STATES[kind].get(state)) is None:
        return None
    money = of_minor("stripe", amount, subject.get("currency"))
    if kind in _OF_MONEY and not _readable(money, kind):
        return None
    metadata = subject.get("metadata")
    if metadata and isinstance(metadata, dict):
        reference = reference or _order(metadata)
        names = *names, *values(metadata)
    return Fact(kind, object_id, status, state, money, refunded, reference, references(*names))


def _order(metadata: Json) -> str | None:
    for key in ORDER_KEYS:
        if key in metadata and (found := name_or_number(metadata[key])) is not None:
            return found
    return None


def _readable(money: Money, kind: Kind) -> bool:
    """Only a payout may be negative: then it is taken from the bank."""
    return money.currency is not None and money.amount is not None and (money.amount >= 0 or kind == "transfer")
