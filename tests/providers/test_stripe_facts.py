"""What Stripe's events say about money: for each type its effect, for each trap a test, and no oddity that crashes."""

import json
from pathlib import Path
from random import Random
from typing import Any, get_args

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from stripe.params import WebhookEndpointCreateParams

from webhookd.core.event import Hook, Reading
from webhookd.core.ledger import RANKS, REFERENCES_MAX, Fact
from webhookd.providers.stripe import Stripe
from webhookd.providers.stripe.event_types import EVENT_TYPES
from webhookd.providers.stripe.states import STATES
from webhookd.sandbox.samples import sample, types

SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples" / "stripe"
PENDING, FAILED = ("payment", "pending", 4200, None), ("payment", "failed", 4200, None)
CAPTURED, CANCELLED = ("payment", "captured", 4200, 0), ("payment", "cancelled", 4200, None)
OPEN, DRAFT = ("invoice", "open", 1900, None), ("invoice", "draft", 1900, None)
ACTIVE = ("subscription", "active", None, None)

EFFECTS: dict[str, tuple[str, str, int | None, int | None]] = {
    "payment_intent.created": PENDING,
    "payment_intent.requires_action": PENDING,
    "payment_intent.partially_funded": PENDING,
    "payment_intent.processing": PENDING,
    "payment_intent.payment_failed": FAILED,
    "payment_intent.amount_capturable_updated": ("payment", "authorized", 4200, None),
    "payment_intent.succeeded": ("payment", "captured", 4200, None),
    "payment_intent.canceled": CANCELLED,
    "charge.pending": PENDING,
    "charge.failed": FAILED,
    "charge.succeeded": CAPTURED,
    "charge.captured": CAPTURED,
    "charge.updated": CAPTURED,
    "charge.refunded": ("payment", "captured", 4200, 1200),
    "charge.expired": CANCELLED,
    "charge.refund.updated": ("refund", "succeeded", 1200, None),
    "charge.dispute.created": ("dispute", "action_required", 4200, None),
    "charge.dispute.funds_withdrawn": ("dispute", "action_required", 4200, None),
    "charge.dispute.updated": ("dispute", "under_review", 4200, None),
    "charge.dispute.closed": ("dispute", "won", 4200, None),
    "charge.dispute.funds_reinstated": ("dispute", "won", 4200, None),
    "refund.created": ("refund", "pending", 1200, None),
    "refund.updated": ("refund", "succeeded", 1200, None),
    "refund.failed": ("refund", "failed", 1200, None),
    "checkout.session.completed": ("order", "paid", 4200, None),
    "checkout.session.async_payment_succeeded": ("order", "paid", 4200, None),
    "checkout.session.async_payment_failed": ("order", "cancelled", 4200, None),
    "checkout.session.expired": ("order", "expired", 4200, None),
    "invoice.created": DRAFT,
    "invoice.finalization_failed": DRAFT,
    "invoice.finalized": OPEN,
    "invoice.sent": OPEN,
    "invoice.updated": OPEN,
    "invoice.overdue": OPEN,
    "invoice.will_be_due": OPEN,
    "invoice.payment_action_required": OPEN,
    "invoice.payment_attempt_required": OPEN,
    "invoice.payment_failed": ("invoice", "failed", 1900, None),
    "invoice.payment_succeeded": ("invoice", "paid", 1900, None),
    "invoice.paid": ("invoice", "paid", 1900, None),
    "invoice.overpaid": ("invoice", "paid", 2000, None),
    "invoice.marked_uncollectible": ("invoice", "uncollectible", 1900, None),
    "invoice.voided": ("invoice", "cancelled", 1900, None),
    "invoice.deleted": ("invoice", "cancelled", 1900, None),
    "invoice_payment.paid": ("invoice", "partially_paid", None, None),
    "customer.subscription.created": ACTIVE,
    "customer.subscription.updated": ACTIVE,
    "customer.subscription.resumed": ACTIVE,
    "customer.subscription.pending_update_applied": ACTIVE,
    "customer.subscription.pending_update_expired": ACTIVE,
    "customer.subscription.trial_will_end": ("subscription", "trialing", None, None),
    "customer.subscription.paused": ("subscription", "paused", None, None),
    "customer.subscription.deleted": ("subscription", "cancelled", None, None),
    "payment_link.created": ("payment_link", "open", None, None),
    "payment_link.updated": ("payment_link", "cancelled", None, None),
    "payout.created": ("transfer", "pending", 96500, None),
    "payout.updated": ("transfer", "processing", 96500, None),
    "payout.paid": ("transfer", "succeeded", 96500, None),
    "payout.reconciliation_completed": ("transfer", "succeeded", 96500, None),
    "payout.failed": ("transfer", "failed", 96500, None),
    "payout.canceled": ("transfer", "cancelled", 96500, None),
    "transfer.created": ("transfer", "succeeded", 3000, None),
    "transfer.updated": ("transfer", "succeeded", 3000, None),
    "transfer.reversed": ("transfer", "reversed", 3000, None),
    "topup.created": ("transfer", "pending", 50000, None),
    "topup.succeeded": ("transfer", "succeeded", 50000, None),
    "topup.failed": ("transfer", "failed", 50000, None),
    "topup.canceled": ("transfer", "cancelled", 50000, None),
    "topup.reversed": ("transfer", "reversed", 50000, None),
    "account.updated": ("account", "active", None, None),
    "account.application.authorized": ("account", "pending", None, None),
    "account.application.deauthorized": ("account", "revoked", None, None),
}
"""The type of an event: the kind, state and amount of its object, and what has been refunded so far."""


def read(body: bytes) -> Reading:
    return Stripe.read(Hook({}, body, 0))


def of_sample(event_type: str, **changes: Any) -> Reading:
    """Of a sample with changes in its object (`__` for a dot)."""
    settings = {f"data.object.{name.replace('__', '.')}": value for name, value in changes.items()}
    return read(sample("stripe", event_type, 1_772_366_400, Random(1), settings))


def of(event_type: str, subject: Any, **envelope: Any) -> Reading:
    event = {"id": "evt_1", "object": "event", "type": event_type, "created": 1_700_000_000, **envelope}
    return read(json.dumps({**event, "data": {"object": subject}}).encode())


def fact(reading: Reading) -> Fact:
    assert reading.fact is not None
    return reading.fact


# --- Every type


def words(annotation: Any) -> set[str]:
    """Every text in the Literals of a type."""
    inner = get_args(annotation)
    return {each for each in inner if isinstance(each, str)}.union(*(words(each) for each in inner))


def test_the_names_of_the_events_are_those_of_stripes_library() -> None:
    assert words(WebhookEndpointCreateParams.__annotations__["enabled_events"]) - {"*"} == EVENT_TYPES


@pytest.mark.parametrize(
    ("kind", "annotated", "field"),
    [
        ("payment", stripe.PaymentIntent, "status"),
        ("payment", stripe.Charge, "status"),
        ("dispute", stripe.Dispute, "status"),
        ("order", stripe.checkout.Session, "payment_status"),
        ("invoice", stripe.Invoice, "status"),
        ("subscription", stripe.Subscription, "status"),
        ("transfer", stripe.Topup, "status"),
        ("account", stripe.Account.Requirements, "disabled_reason"),
    ],
    ids=str,
)
def test_every_state_that_stripes_library_knows_has_one_of_ours(kind: Any, annotated: Any, field: str) -> None:
    known = words(annotated.__annotations__[field])
    assert len(known) >= 3
    assert known <= STATES[kind].keys()


def test_every_state_of_ours_is_one_of_the_ledger() -> None:
    for kind, states in STATES.items():
        assert set(states.values()) <= RANKS[kind].keys(), kind


@pytest.mark.parametrize(("event_type", "effect"), EFFECTS.items(), ids=EFFECTS)
def test_an_event_of_each_type_moves_the_ledger_as_stated(event_type: str, effect: tuple[Any, ...]) -> None:
    found = fact(of_sample(event_type))
    assert (found.kind, found.status, found.money.amount, found.refunded) == effect


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES - EFFECTS.keys()))
def test_an_event_about_anything_else_leaves_the_ledger_alone(event_type: str) -> None:
    assert of_sample(event_type).fact is None


def test_there_is_a_sample_of_every_event() -> None:
    assert set(types("stripe")) == EVENT_TYPES


# --- What the object of a payment is known by


def test_the_events_of_an_intent_and_of_its_charge_speak_of_one_payment() -> None:
    intent = fact(of_sample("payment_intent.succeeded", id="pi_1", latest_charge="ch_1"))
    charge = fact(of_sample("charge.succeeded", id="ch_1", payment_intent="pi_1"))
    assert (intent.kind, intent.id) == (charge.kind, charge.id) == ("payment", "pi_1")
    assert "ch_1" in intent.references
    assert "ch_1" in charge.references


@pytest.mark.parametrize("event_type", ["refund.created", "charge.refund.updated", "charge.dispute.created"])
def test_a_refund_or_a_dispute_names_its_payment_however_it_is_spelt(event_type: str) -> None:
    assert of_sample(event_type, payment_intent="pi_1", charge="ch_1").payment_id == "pi_1"
    assert of_sample(event_type, payment_intent={"id": "pi_1"}, charge={"id": "ch_1"}).payment_id == "pi_1"
    assert of_sample(event_type, payment_intent=None, charge="ch_1").payment_id == "ch_1"
    assert fact(of_sample(event_type, payment_intent={"id": "pi_1"}, charge={"id": "ch_1"})).references == ("ch_1",)


def test_a_charge_without_an_intent_is_a_payment_of_its_own() -> None:
    reading = of_sample("charge.succeeded", id="ch_1", payment_intent=None)
    assert (reading.payment_id, fact(reading).id) == ("ch_1", "ch_1")


@pytest.mark.parametrize("unreadable", ["", "pi\x00", 5, [], {"object": "payment_intent"}], ids=ascii)
def test_a_charge_whose_intent_cannot_be_read_is_not_taken_for_one_without(unreadable: Any) -> None:
    reading = of_sample("charge.succeeded", payment_intent=unreadable)
    assert (reading.payment_id, reading.fact) == (None, None)


def test_the_merchants_reference_is_found_where_plug_ins_put_it() -> None:
    assert fact(of_sample("payment_intent.succeeded", metadata={"order_id": "77"})).reference == "77"
    assert fact(of_sample("payment_intent.succeeded", metadata={"a": "b", "order_number": 77})).reference == "77"
    assert fact(of_sample("payment_intent.succeeded", metadata={"order": "", "reference": "r"})).reference == "r"
    assert fact(of_sample("payment_intent.succeeded", metadata={"colour": "red"})).reference is None
    found = fact(of_sample("checkout.session.completed", client_reference_id="A7", metadata={"order_id": "77"}))
    assert found.reference == "A7"
    assert "77" in found.references


def test_a_payment_can_be_looked_up_by_all_that_is_in_its_metadata() -> None:
    many = {f"key_{number}": f"value {number}" for number in range(50)} | {"odd": None}
    found = fact(of_sample("payment_intent.succeeded", metadata={"cart": "c-9", "seats": 4}, latest_charge="ch_1"))
    assert found.references == ("ch_1", "c-9", "4")
    assert len(fact(of_sample("payment_intent.succeeded", metadata=many)).references) <= REFERENCES_MAX


@pytest.mark.parametrize("metadata", [None, [], ["order_id"], "order_id", 5, {"order_id": {"id": 1}}, {}], ids=str)
def test_odd_metadata_names_nothing(metadata: Any) -> None:
    found = fact(of_sample("payment_intent.created", metadata=metadata))
    assert (found.reference, found.references) == (None, ())


@pytest.mark.parametrize("event_type", ["payment_intent.succeeded", "charge.succeeded"])
def test_a_payment_of_an_older_version_is_found_by_its_invoice(event_type: str) -> None:
    assert "in_1" in fact(of_sample(event_type, invoice="in_1")).references
    assert "in_1" in fact(of_sample(event_type, invoice={"id": "in_1"})).references


def test_a_checkout_session_gives_its_payment_its_names() -> None:
    reading = of_sample(
        "checkout.session.completed", id="cs_1", payment_intent="pi_1", invoice={"id": "in_1"}, payment_link="plink_1"
    )
    assert reading.payment_id == "pi_1"
    assert set(fact(reading).references) >= {"cs_1", "in_1", "plink_1"}


# --- Payments


def test_a_payment_that_failed_is_failed_though_its_intent_waits_for_another_method() -> None:
    failed, fresh = of_sample("payment_intent.payment_failed"), of_sample("payment_intent.created")
    assert (fact(failed).status, fact(failed).detail) == ("failed", "payment_failed")
    assert (fact(fresh).status, fact(fresh).detail) == ("pending", "requires_payment_method")


def test_what_was_captured_is_the_amount_of_a_captured_payment() -> None:
    intent = of_sample("payment_intent.succeeded", amount=1000, amount_received=600)
    charge = of_sample("charge.captured", amount=1000, amount_captured=600, amount_refunded=0)
    assert (fact(intent).money.amount, fact(charge).money.amount) == (600, 600)
    held = of_sample("charge.succeeded", captured=False, amount=1000, amount_captured=0)
    assert (fact(held).status, fact(held).money.amount, fact(held).refunded) == ("authorized", 1000, None)


def test_a_charge_from_before_there_was_an_amount_captured_was_captured_in_full() -> None:
    charge = {"id": "ch_1", "object": "charge", "status": "succeeded", "captured": True, "amount": 900}
    found = fact(of("charge.refunded", {**charge, "amount_refunded": 900, "currency": "eur"}))
    assert (found.status, found.money.amount, found.refunded) == ("captured", 900, 900)


@pytest.mark.parametrize("amount_captured", [0, None])
def test_a_hold_that_is_let_go_is_no_refund(amount_captured: int | None) -> None:
    """Before 2025-03-31.basil Stripe announced it with `charge.refunded`."""
    reading = of_sample(
        "charge.refunded",
        captured=False,
        refunded=True,
        amount_refunded=4200,
        amount_captured=amount_captured,
    )
    assert (fact(reading).status, fact(reading).refunded) == ("cancelled", None)


@pytest.mark.parametrize(
    ("api_version", "captured", "amount_refunded", "refunded"),
    [
        ("2024-12-18.acacia", 600, 400, 0),  # 400 let go when 600 were captured
        ("2024-12-18.acacia", 600, 500, 100),
        ("2024-12-18.acacia", 600, 1000, 600),
        ("2025-03-31.basil", 600, 400, 400),
        ("2026-10-28.endive", 600, 0, 0),
        ("2026-10-28.endive", 600, 600, 600),
        (None, 600, 400, None),  # either may be meant
        (None, 600, 0, 0),
        (None, 600, 700, 300),  # more than was captured: the rest is in it
        (None, 1000, 400, 400),
        ("2024-12-18.acacia", 1000, 1000, 1000),
        ("2024-12-18.acacia", 1200, 300, 300),  # more was captured than had been held
    ],
)
def test_what_was_held_and_never_captured_is_not_taken_for_refunded(
    api_version: str | None, captured: int, amount_refunded: int, refunded: int | None
) -> None:
    subject = {"id": "ch_1", "object": "charge", "status": "succeeded", "captured": True, "currency": "usd"}
    subject |= {"amount": 1000, "amount_captured": captured, "amount_refunded": amount_refunded}
    found = fact(of("charge.refunded", subject, api_version=api_version))
    assert (found.status, found.money.amount, found.refunded) == ("captured", captured, refunded)


@pytest.mark.parametrize(
    ("currency", "exponent"),
    [("usd", 2), ("jpy", 0), ("ugx", 2), ("isk", 2), ("mga", 0), ("kwd", 3), ("xxx", None)],
)
def test_an_amount_is_whole_smallest_units_whatever_the_currency(currency: str, exponent: int | None) -> None:
    money = fact(of_sample("payment_intent.succeeded", currency=currency, amount_received=1050)).money
    assert (money.amount, money.currency, money.exponent) == (1050, currency.upper(), exponent)


# --- Orders, invoices and the rest


@pytest.mark.parametrize(
    ("event_type", "status", "payment_status", "expected"),
    [
        ("completed", "complete", "paid", "paid"),
        ("completed", "complete", "no_payment_required", "paid"),
        ("completed", "complete", "unpaid", "approved"),  # the money is still to come
        ("completed", None, "unpaid", "approved"),
        ("async_payment_succeeded", "complete", "paid", "paid"),
        ("async_payment_failed", "complete", "unpaid", "cancelled"),
        ("expired", "expired", "unpaid", "expired"),
        ("expired", None, "unpaid", "expired"),
        ("expired", "expired", "paid", "paid"),  # money is money, whatever else is said
        ("completed", "open", "unpaid", "created"),
        ("completed", "open", "no_payment_required", "created"),
    ],
)
def test_a_checkout_is_paid_when_the_money_is_there(
    event_type: str, status: str | None, payment_status: str, expected: str
) -> None:
    found = of_sample(f"checkout.session.{event_type}", status=status, payment_status=payment_status)
    assert fact(found).status == expected


def test_an_invoice_is_tied_to_its_payment_wherever_stripe_says_so() -> None:
    assert of_sample("invoice.paid", payment_intent="pi_1").payment_id == "pi_1"
    listed = {"object": "list", "data": [{"payment": {"type": "payment_intent", "payment_intent": "pi_2"}}]}
    assert of_sample("invoice.paid", payments=listed).payment_id == "pi_2"
    assert of_sample("invoice.paid").payment_id is None
    part = of_sample("invoice_payment.paid", invoice="in_1", payment={"type": "charge", "charge": {"id": "ch_3"}})
    assert (part.payment_id, fact(part).id, fact(part).references) == ("ch_3", "in_1", ("in_1",))


def test_part_of_an_invoice_may_be_paid() -> None:
    found = fact(of_sample("invoice.updated", amount_paid=900, amount_remaining=1000))
    assert (found.status, found.money.amount) == ("partially_paid", 1900)


def test_an_invoice_is_found_by_its_number_and_its_subscription_old_and_new() -> None:
    new = fact(of_sample("invoice.paid", id="in_1", number="EX-1", parent__subscription_details__subscription="sub_1"))
    old = fact(of_sample("invoice.paid", id="in_1", number="EX-1", subscription={"id": "sub_1"}, parent=None))
    assert new.references == old.references == ("in_1", "EX-1", "sub_1")


def test_an_invoice_to_come_is_none_yet() -> None:
    assert of_sample("invoice.upcoming").fact is None


@pytest.mark.parametrize(
    ("charges", "payouts", "reason", "expected"),
    [
        (True, True, None, "active"),
        (True, True, "requirements.past_due", "active"),
        (True, False, "requirements.past_due", "limited"),
        (False, True, None, "limited"),
        (False, False, None, "pending"),
        (False, False, "requirements.past_due", "needs_clarification"),
        (False, False, "requirements.pending_verification", "under_review"),
        (False, False, "rejected.fraud", "rejected"),
        (False, False, "platform_paused", "suspended"),
    ],
)
def test_an_account_is_what_it_may_do(charges: bool, payouts: bool, reason: str | None, expected: str) -> None:
    changes = {"charges_enabled": charges, "payouts_enabled": payouts, "requirements__disabled_reason": reason}
    assert fact(of_sample("account.updated", **changes)).status == expected


def test_access_to_an_account_is_known_by_the_account_and_not_by_the_application() -> None:
    subject = {"id": "ca_1", "object": "application"}
    assert fact(of("account.application.deauthorized", subject, account="acct_1")).id == "acct_1"
    assert of("account.application.deauthorized", subject).fact is None


def test_a_payout_that_another_one_took_back_is_reversed() -> None:
    assert fact(of_sample("payout.updated", status="paid", reversed_by="po_2")).status == "reversed"
    assert fact(of_sample("transfer.reversed", reversed=False, amount_reversed=500)).status == "succeeded"


def test_a_payout_may_be_negative_and_a_payment_never() -> None:
    assert fact(of_sample("payout.paid", amount=-700)).money.amount == -700
    assert of_sample("payment_intent.succeeded", amount_received=-700).fact is None


# --- What is odd leaves the ledger alone


@pytest.mark.parametrize(
    ("event_type", "field"),
    [
        *(
            (name, "status")
            for name in EFFECTS
            if name.startswith(("payment_intent.req", "payment_intent.s", "refund."))
        ),
        *((name, "status") for name in EFFECTS if name.startswith(("charge.s", "charge.r", "charge.d", "customer."))),
        *((name, "status") for name in EFFECTS if name.startswith(("payout.", "topup."))),
        *((name, "status") for name in ("invoice.paid", "invoice.payment_failed", "invoice_payment.paid")),
        ("checkout.session.completed", "payment_status"),
        ("charge.succeeded", "captured"),
        ("payment_link.updated", "active"),
    ],
)
@pytest.mark.parametrize("odd", ["teleported", "succeeded ", "", None, 5, True, ["paid"], {"is": "paid"}], ids=str)
def test_a_state_that_is_new_or_odd_is_no_fact(event_type: str, field: str, odd: Any) -> None:
    if odd is True and field in ("captured", "active"):
        return
    reading = of_sample(event_type, **{field: odd})
    assert (reading.type, reading.fact) == (event_type, None)


def test_an_account_that_is_closed_for_a_reason_new_to_us_is_no_fact() -> None:
    changes = {"charges_enabled": False, "payouts_enabled": False, "requirements__disabled_reason": "teleported"}
    assert of_sample("account.updated", **changes).fact is None


ODD = [None, True, -1, 1.5, "12.50", "", [], {}, 10**16, "9" * 5000, float(2**60)]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: ascii(odd)[:20])
@pytest.mark.parametrize(
    ("event_type", "field"),
    [
        ("payment_intent.succeeded", "amount_received"),
        ("payment_intent.created", "amount"),
        ("charge.succeeded", "amount_captured"),
        ("refund.updated", "amount"),
        ("charge.dispute.created", "amount"),
    ],
)
def test_money_that_cannot_be_read_is_no_fact(event_type: str, field: str, odd: Any) -> None:
    reading = of_sample(event_type, **{field: odd})
    assert reading.fact is None
    assert reading.payment_id is not None


@pytest.mark.parametrize("currency", [None, "", "us", "usdollar", 840, "U$D", ["usd"]], ids=ascii)
def test_money_of_no_currency_is_no_fact(currency: Any) -> None:
    assert of_sample("payment_intent.succeeded", currency=currency).fact is None


@pytest.mark.parametrize("event_type", EFFECTS)
def test_an_object_without_an_id_is_no_fact(event_type: str) -> None:
    assert of_sample(event_type, id=None, payment_intent=7, invoice=None, charge=None).fact is None or (
        event_type.startswith("account.application")
    )


def test_a_number_of_five_thousand_digits_costs_the_fact_and_not_the_event() -> None:
    body = sample(
        "stripe", "payment_intent.succeeded", 1_772_366_400, Random(1), {"data.object.amount_received": 77777}
    )
    reading = read(body.replace(b"77777", b"7" * 5_000))
    assert (reading.type, reading.fact) == ("payment_intent.succeeded", None)


def test_a_v2_event_is_no_fact_whatever_it_holds() -> None:
    subject = json.loads(sample("stripe", "payment_intent.succeeded", 0, Random(1)))["data"]["object"]
    reading = of("payment_intent.succeeded", subject, object="v2.core.event")
    assert (reading.payment_id, reading.fact) == (None, None)


def test_a_type_that_is_new_to_us_is_read_by_its_object() -> None:
    subject = json.loads(sample("stripe", "payment_intent.succeeded", 0, Random(1)))["data"]["object"]
    assert fact(of("payment_intent.rejoiced", subject)).status == "captured"


SMALL = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(
    SMALL | st.sampled_from(sorted({word for states in STATES.values() for word in states})),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "data", "x"]), inner, max_size=2)
    ),
    max_leaves=4,
)
FIELDS = [
    *("id", "status", "payment_status", "amount", "amount_captured", "amount_refunded", "amount_received", "captured"),
    *("currency", "payment_intent", "charge", "latest_charge", "invoice", "payment", "payments", "parent", "metadata"),
    *("refunded", "reversed", "reversed_by", "active", "charges_enabled", "requirements", "client_reference_id"),
]


@given(
    st.sampled_from(sorted(EFFECTS)),
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=6),
    st.dictionaries(st.sampled_from(["api_version", "account", "created", "object"]), JSON, max_size=3),
)
def test_whatever_is_odd_in_an_object_its_event_is_read_and_the_fact_is_sound(
    event_type: str, changes: dict[str, Any], envelope: dict[str, Any]
) -> None:
    event = json.loads(sample("stripe", event_type, 1_772_366_400, Random(1)))
    event |= envelope
    event["data"]["object"] |= changes
    reading = read(json.dumps(event).encode())
    assert reading.type == event_type
    if (found := reading.fact) is not None:
        assert found.status in RANKS[found.kind]
        assert found.id
        assert found.kind not in ("payment", "refund", "dispute") or (found.money.amount or 0) >= 0
        assert found.refunded is None or found.refunded >= 0


# --- Objects of others, where they are at hand

OTHERS: dict[str, tuple[Any, ...]] = {
    "djstripe.charge_ch_fakefakefakefakefake0001": ("payment", "pi_fakefakefakefakefake0001", "captured", 0, "USD"),
    "djstripe.dispute_dp_fakefakefakefake01": (
        *("dispute", "dp_1JAyTwJSZQVUcJYgPqasUEn1", "action_required", 1000, "USD"),
    ),
    "djstripe.dispute_dp_funds_reinstated_full": (
        *("dispute", "dp_1JAyTwJSZQVUcJYgPqasUEn1", "under_review", 1000, "USD"),
    ),
    "djstripe.event_account_updated_standard": (
        *("account", "acct_1Fg9jUA3kq9o1aTc", "needs_clarification", None, None),
    ),
    "djstripe.event_external_account_card_created": (),
    "djstripe.invoice_in_fakefakefakefakefake0001": ("invoice", "in_fakefakefakefakefake0001", "paid", 2000, "USD"),
    "djstripe.payment_intent_pi_fakefakefakefakefake0001": (
        *("payment", "pi_fakefakefakefakefake0001", "captured", 2000, "USD"),
    ),
    "djstripe.subscription_sub_fakefakefakefakefake0001": (
        *("subscription", "sub_fakefakefakefakefake0001", "active", None, None),
    ),
    "fixtures3.charge": ("payment", "ch_1PgafuB7WZ01zgkWXYmPNZs8", "authorized", 100, "USD"),
    "fixtures3.checkout.session": (
        "order",
        "cs_test_a1YS1URlnyQCN5fUUduORoQ7Pw41PJqDWkIVQCpJPqkfIhd6tVY8XB1OLY",
        *("created", None, None),
    ),
    "fixtures3.dispute": ("dispute", "dp_1Pgc71B7WZ01zgkWMevJiAUx", "action_required", 1000, "USD"),
    "fixtures3.event": (),
    "fixtures3.invoice": ("invoice", "in_1Pgc6tB7WZ01zgkWu9fdqL6I", "draft", 1000, "USD"),
    "fixtures3.payment_intent": ("payment", "pi_1PgafyB7WZ01zgkWSjxsAJo3", "pending", 1099, "USD"),
    "fixtures3.payment_method": (),
    "fixtures3.payout": ("transfer", "po_1Pgc79B7WZ01zgkWu1KToYf4", "processing", 1100, "USD"),
    "fixtures3.refund": ("refund", "re_1Pgc72B7WZ01zgkWqPvrRrPE", "succeeded", 100, "USD"),
    "fixtures3.setup_intent": (),
    "fixtures3.subscription": ("subscription", "sub_1Pgc6rB7WZ01zgkWNy0Cn5nw", "active", None, "USD"),
}


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"NO SAMPLES: {SAMPLES} is not there, Stripe's own objects go unread")
@pytest.mark.parametrize(("name", "expected"), OTHERS.items(), ids=OTHERS)
def test_the_objects_of_stripes_own_fixtures_say_what_they_say(name: str, expected: tuple[Any, ...]) -> None:
    found = json.loads((SAMPLES / f"{name}.json").read_bytes())
    reading = read(json.dumps(found).encode()) if found["object"] == "event" else of("any.thing", found)
    if not expected:
        assert reading.fact is None
        return
    said = fact(reading)
    assert (said.kind, said.id, said.status, said.money.amount, said.money.currency) == expected


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"NO SAMPLES: {SAMPLES} is not there, Stripe's own objects go unread")
def test_no_object_of_stripes_own_fixtures_is_passed_over() -> None:
    assert {path.name.removesuffix(".json") for path in SAMPLES.glob("*.json")} == OTHERS.keys()
