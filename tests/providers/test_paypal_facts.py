"""What PayPal's events say about money: for each type its effect, for each trap a test, and no oddity that crashes."""

import copy
import json
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.event import Hook, Reading, is_name
from webhookd.core.ledger import COUNTING, RANKS, REFERENCES_MAX, Fact
from webhookd.core.money import Money
from webhookd.providers.paypal import PayPal
from webhookd.providers.paypal.event_types import EVENT_TYPES
from webhookd.providers.paypal.states import NAMES, RESOURCES, STATES
from webhookd.providers.provider import NotUnderstoodError
from webhookd.sandbox.samples import sample, types

SHARED = Path(__file__).parents[2].parent / "shared"
NOW_S = 1_772_366_400
CAPTURED, FAILED = ("payment", "captured", 4200, None), ("payment", "failed", 4200, None)
PENDING = ("payment", "pending", 4200, None)
DRAFT, ACTIVE, NOTHING = ("invoice", "draft", 4200, None), ("subscription", "active", None, None), None
LIMITED = ("account", "limited", None, None)

EFFECTS: dict[str, tuple[str, str, int | None, int | None] | None] = {
    "PAYMENT.CAPTURE.COMPLETED": CAPTURED,
    "PAYMENT.CAPTURE.PENDING": PENDING,
    "PAYMENT.CAPTURE.DECLINED": FAILED,
    "PAYMENT.CAPTURE.DENIED": FAILED,
    "PAYMENT.CAPTURE.REFUNDED": ("refund", "succeeded", 1200, 1200),
    "PAYMENT.CAPTURE.REVERSED": ("refund", "succeeded", 4200, 4200),
    "PAYMENT.REFUND.PENDING": ("refund", "pending", 1200, None),
    "PAYMENT.REFUND.FAILED": ("refund", "failed", 1200, None),
    "PAYMENT.SALE.COMPLETED": CAPTURED,
    "PAYMENT.SALE.PENDING": PENDING,
    "PAYMENT.SALE.DENIED": FAILED,
    "PAYMENT.SALE.REFUNDED": ("refund", "succeeded", 1200, 1200),
    "PAYMENT.SALE.REVERSED": ("payment", "refunded", 4200, 4200),
    "PAYMENT.AUTHORIZATION.CREATED": ("payment", "authorized", 4200, None),
    "PAYMENT.AUTHORIZATION.VOIDED": ("payment", "cancelled", 4200, None),
    "PAYMENT.ORDER.CREATED": ("order", "created", 4200, None),
    "PAYMENT.ORDER.CANCELLED": ("order", "cancelled", 4200, None),
    "PAYMENTS.PAYMENT.CREATED": ("order", "approved", 4200, None),
    "CHECKOUT.ORDER.APPROVED": ("order", "approved", 4200, None),
    "CHECKOUT.ORDER.COMPLETED": ("order", "paid", 4200, None),
    "CHECKOUT.ORDER.PROCESSED": ("order", "approved", 4200, None),
    "CHECKOUT.PAYMENT-APPROVAL.REVERSED": ("order", "cancelled", None, None),
    "CHECKOUT.CHECKOUT.BUYER-APPROVED": ("order", "approved", 4200, None),
    "CUSTOMER.DISPUTE.CREATED": ("dispute", "open", 4200, None),
    "CUSTOMER.DISPUTE.UPDATED": ("dispute", "action_required", 4200, None),
    "CUSTOMER.DISPUTE.RESOLVED": ("dispute", "won", 4200, None),
    "RISK.DISPUTE.CREATED": ("dispute", "open", 4200, None),
    "INVOICING.INVOICE.CREATED": DRAFT,
    "INVOICING.INVOICE.SCHEDULED": DRAFT,
    "INVOICING.INVOICE.UPDATED": ("invoice", "open", 4200, None),
    "INVOICING.INVOICE.PAID": ("invoice", "paid", 4200, None),
    "INVOICING.INVOICE.REFUNDED": ("invoice", "refunded", 4200, None),
    "INVOICING.INVOICE.CANCELLED": ("invoice", "cancelled", 4200, None),
    "BILLING.SUBSCRIPTION.CREATED": ("subscription", "pending", None, None),
    "BILLING.SUBSCRIPTION.ACTIVATED": ACTIVE,
    "BILLING.SUBSCRIPTION.UPDATED": ACTIVE,
    "BILLING.SUBSCRIPTION.RE-ACTIVATED": ACTIVE,
    "BILLING.SUBSCRIPTION.SUSPENDED": ("subscription", "paused", None, None),
    "BILLING.SUBSCRIPTION.CANCELLED": ("subscription", "cancelled", None, None),
    "BILLING.SUBSCRIPTION.EXPIRED": ("subscription", "expired", None, None),
    "BILLING.SUBSCRIPTION.PAYMENT.FAILED": ("subscription", "past_due", None, None),
    "PAYMENT.PAYOUTS-ITEM.SUCCEEDED": ("transfer", "succeeded", 1700, None),
    "PAYMENT.PAYOUTS-ITEM.FAILED": ("transfer", "failed", 1700, None),
    "PAYMENT.PAYOUTS-ITEM.UNCLAIMED": ("transfer", "held", 1700, None),
    "PAYMENT.PAYOUTS-ITEM.HELD": ("transfer", "held", 1700, None),
    "PAYMENT.PAYOUTS-ITEM.BLOCKED": ("transfer", "failed", 1700, None),
    "PAYMENT.PAYOUTS-ITEM.CANCELED": ("transfer", "cancelled", 1700, None),
    "PAYMENT.PAYOUTS-ITEM.RETURNED": ("transfer", "reversed", 1700, None),
    "PAYMENT.PAYOUTS-ITEM.REFUNDED": ("transfer", "reversed", 1700, None),
    "PAYMENT.PAYOUTSBATCH.PROCESSING": ("transfer", "processing", 3400, None),
    "PAYMENT.PAYOUTSBATCH.SUCCESS": ("transfer", "succeeded", 3400, None),
    "PAYMENT.PAYOUTSBATCH.DENIED": ("transfer", "failed", 3400, None),
    "PAYMENT.REFERENCED-PAYOUT-ITEM.COMPLETED": ("transfer", "succeeded", 4043, None),
    "PAYMENT.REFERENCED-PAYOUT-ITEM.FAILED": ("transfer", "failed", 4043, None),
    "MERCHANT.ONBOARDING.COMPLETED": ("account", "active", None, None),
    "MERCHANT.PARTNER-CONSENT.REVOKED": ("account", "revoked", None, None),
    "CUSTOMER.MERCHANT-INTEGRATION.SELLER-ONBOARDING-INITIATED": ("account", "pending", None, None),
    "CUSTOMER.MERCHANT-INTEGRATION.SELLER-ALREADY-INTEGRATED": ("account", "active", None, None),
    "CUSTOMER.MERCHANT-INTEGRATION.SELLER-CONSENT-GRANTED": NOTHING,
    "CUSTOMER.MERCHANT-INTEGRATION.SELLER-EMAIL-CONFIRMED": NOTHING,
    "CUSTOMER.MERCHANT-INTEGRATION.CAPABILITY-UPDATED": NOTHING,
    "CUSTOMER.MERCHANT-INTEGRATION.PRODUCT-SUBSCRIPTION-UPDATED": NOTHING,
    "CUSTOMER.MANAGED-ACCOUNT.ACCOUNT-CREATED": ("account", "pending", None, None),
    "CUSTOMER.MANAGED-ACCOUNT.CREATION-FAILED": ("account", "rejected", None, None),
    "CUSTOMER.MANAGED-ACCOUNT.ACCOUNT-STATUS-CHANGED": NOTHING,
    "CUSTOMER.MANAGED-ACCOUNT.ACCOUNT-UPDATED": NOTHING,
    "CUSTOMER.MANAGED-ACCOUNT.NEGATIVE-BALANCE-DEBIT-INITIATED": NOTHING,
    "CUSTOMER.MANAGED-ACCOUNT.NEGATIVE-BALANCE-NOTIFIED": NOTHING,
    "CUSTOMER.MANAGED-ACCOUNT.RISK-ASSESSED": NOTHING,
    "CUSTOMER.ACCOUNT-LIMITATION.ADDED": LIMITED,
    "CUSTOMER.ACCOUNT-LIMITATION.ESCALATED": LIMITED,
    "CUSTOMER.ACCOUNT-LIMITATION.UPDATED": LIMITED,
    "CUSTOMER.ACCOUNT-LIMITATION.LIFTED": ("account", "active", None, None),
    **dict.fromkeys(
        (
            *(f"BILLING.PLAN.{each}" for each in ("CREATED", "UPDATED", "ACTIVATED", "DEACTIVATED")),
            "BILLING.PLAN.PRICING-CHANGE.ACTIVATED",
            *("CATALOG.PRODUCT.CREATED", "CATALOG.PRODUCT.UPDATED", "IDENTITY.AUTHORIZATION-CONSENT.REVOKED"),
            *(f"VAULT.PAYMENT-TOKEN.{each}" for each in ("CREATED", "DELETED", "DELETION-INITIATED")),
        ),
        NOTHING,
    ),
}


def read(event: Any, **headers: str) -> Reading:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return PayPal.read(Hook({name.replace("_", "-"): value for name, value in headers.items()}, body, 0))


def fact_of(event: Any) -> Fact:
    fact = read(event).fact
    assert fact is not None
    return fact


def made(event_type: str, seed: int = 1) -> dict[str, Any]:
    return dict(json.loads(sample("paypal", event_type, NOW_S, Random(seed))))


def changed(event_type: str, **fields: Any) -> dict[str, Any]:
    """A sample with fields of its resource set, or (with ...) left out; `a__b` is b in a."""
    event = made(event_type)
    for path, value in fields.items():
        node = event["resource"]
        *parents, last = path.split("__")
        for name in parents:
            node = node[int(name)] if name.isdigit() else node.setdefault(name, {})
        if value is ...:
            del node[last]
        else:
            node[last] = value
    return event


def event(event_type: str, resource: Any, resource_type: Any = None) -> dict[str, Any]:
    found = {"id": "WH-1", "event_type": event_type, "create_time": "2026-03-01T12:00:00Z", "resource": resource}
    return found if resource_type is None else {**found, "resource_type": resource_type}


# --- Every type


def test_every_type_has_an_effect_that_is_stated_here() -> None:
    assert EFFECTS.keys() == EVENT_TYPES == set(types("paypal"))


def test_the_names_are_those_that_paypal_publishes() -> None:
    listed = SHARED / "provider-events.json"
    if not listed.exists():
        pytest.skip(f"the list of PayPal's names is not here: {listed}")
    assert set(json.loads(listed.read_text())["paypal"]["events"]) == EVENT_TYPES


@pytest.mark.parametrize("event_type", EFFECTS)
def test_the_effect_of_an_event(event_type: str) -> None:
    reading = read(made(event_type))
    fact = reading.fact
    effect = None if fact is None else (fact.kind, fact.status, fact.money.amount, fact.refunded)
    assert effect == EFFECTS[event_type]
    assert reading.type == event_type
    assert reading.occurred_at == NOW_S * 1_000
    if fact is not None and fact.kind == "payment":
        assert reading.payment_id == fact.id
    if fact is not None and fact.kind in ("refund", "dispute"):
        assert reading.payment_id is not None
        assert reading.payment_id != fact.id
    if fact is not None and fact.money.amount is not None:
        assert (fact.money.currency, fact.money.exponent) == ("EUR", 2)


@pytest.mark.parametrize("event_type", [each for each, effect in EFFECTS.items() if effect is not None])
def test_the_name_alone_says_the_state_where_the_resource_has_none(event_type: str) -> None:
    """The names are enough for every type, but where they say too little: `UPDATED`."""
    bare = made(event_type)
    subject = bare["resource"].get("invoice", bare["resource"])
    for name in ("status", "state", "transaction_status", "processing_state", "batch_header"):
        if name == "batch_header" and name in subject:
            del subject[name]["batch_status"]
        else:
            subject.pop(name, None)
    fact, effect = read(bare).fact, EFFECTS[event_type]
    vague = {"CUSTOMER.DISPUTE.UPDATED", "INVOICING.INVOICE.UPDATED", "BILLING.SUBSCRIPTION.UPDATED"}
    assert (fact is None) == (event_type in vague)
    if fact is not None and effect is not None:
        assert fact.kind == effect[0]
        assert fact.status == {"PAYMENTS.PAYMENT.CREATED": "created"}.get(event_type, effect[1])


def test_every_word_leads_to_a_state_of_its_kind() -> None:
    for kind, words in STATES.items():
        assert set(words.values()) <= RANKS[kind].keys()
        assert all(each == each.upper() for each in words)
    assert set(RESOURCES.values()) <= set(NAMES.values())
    assert all(any(each == name or each.startswith(f"{name}.") for each in EVENT_TYPES) for name in NAMES)


# --- Envelope and ids


def test_an_event_is_known_by_its_id_however_often_it_is_sent() -> None:
    first = read(made("PAYMENT.CAPTURE.COMPLETED"), paypal_transmission_id="one")
    again = read(made("PAYMENT.CAPTURE.COMPLETED"), paypal_transmission_id="two")
    assert first.provider_event_id == again.provider_event_id == made("PAYMENT.CAPTURE.COMPLETED")["id"]
    assert (first.alias, again.alias) == ("transmission:one", "transmission:two")
    assert read(made("PAYMENT.CAPTURE.COMPLETED")).alias is None
    assert read(made("PAYMENT.CAPTURE.COMPLETED"), paypal_transmission_id="|").alias is None


@pytest.mark.parametrize("name", ["id", "event_type"])
@pytest.mark.parametrize("value", [..., None, "", 5, [], {}, "x" * 256, "a\nb", "\x00"])
def test_without_an_id_or_a_type_it_is_not_understood(name: str, value: Any) -> None:
    found = made("PAYMENT.CAPTURE.COMPLETED")
    if value is ...:
        del found[name]
    else:
        found[name] = value
    with pytest.raises(NotUnderstoodError):
        read(found)


@pytest.mark.parametrize("value", [..., None, "", 5, [], "yesterday", "2026-03-01", "2026-03-01T12:00:00"])
def test_a_time_that_cannot_be_read_is_left_out(value: Any) -> None:
    found = {**made("PAYMENT.CAPTURE.COMPLETED"), "create_time": value}
    if value is ...:
        del found["create_time"]
    assert read(found).occurred_at is None
    assert read(found).fact is not None


def test_times_have_fractions_and_zones() -> None:
    found = {**made("PAYMENT.CAPTURE.COMPLETED"), "create_time": "2019-08-29T10:49:03.439-07:00"}
    assert read(found).occurred_at == 1_567_100_943_439


# --- Captures, sales, authorizations


def test_a_capture_is_found_by_its_order_and_authorization_and_the_shops_own_numbers() -> None:
    related = {"order_id": "ORDER1", "authorization_id": "AUTH1"}
    fact = fact_of(
        changed("PAYMENT.CAPTURE.COMPLETED", id="CAP1", supplementary_data={"related_ids": related}, links=[])
    )
    assert (fact.id, fact.reference) == ("CAP1", "1042")
    assert set(fact.references) == {"ORDER1", "AUTH1", "SHOP-1042"}


def test_the_order_of_an_older_capture_is_in_its_link() -> None:
    links = [
        {"rel": "self", "href": "https://api.paypal.com/v2/payments/captures/CAP1"},
        {"rel": "up", "href": "https://api.paypal.com/v2/payments/authorizations/AUTH7"},
    ]
    reading = read(changed("PAYMENT.CAPTURE.COMPLETED", id="CAP1", supplementary_data=..., links=links))
    assert reading.payment_id == "CAP1"
    assert reading.fact is not None
    assert reading.fact.kind == "payment"
    assert "AUTH7" in reading.fact.references


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("COMPLETED", ("captured", None)),
        ("PARTIALLY_REFUNDED", ("partially_refunded", None)),
        ("REFUNDED", ("refunded", 4200)),
        ("PENDING", ("pending", None)),
        ("DECLINED", ("failed", None)),
        ("FAILED", ("failed", None)),
    ],
)
def test_a_capture_is_what_its_status_says_whatever_the_name(status: str, expected: tuple[str, int | None]) -> None:
    fact = fact_of(changed("PAYMENT.CAPTURE.COMPLETED", status=status))
    assert (fact.status, fact.refunded) == expected
    assert fact.detail == status


def test_a_capture_that_is_reversed_is_refunded_and_so_is_the_refund_that_says_it() -> None:
    """PayPal's samples have either: the capture itself, or a refund of it."""
    capture = {**changed("PAYMENT.CAPTURE.COMPLETED"), "event_type": "PAYMENT.CAPTURE.REVERSED"}
    fact = fact_of(capture)
    assert (fact.kind, fact.status, fact.refunded, fact.id) == ("payment", "refunded", 4200, capture["resource"]["id"])
    reading = read(changed("PAYMENT.CAPTURE.REVERSED", seller_payable_breakdown=...))
    assert reading.fact is not None
    assert (reading.fact.kind, reading.fact.status, reading.fact.money.amount) == ("refund", "succeeded", 4200)


@pytest.mark.parametrize("state", ["completed", "COMPLETED", "Completed"])
def test_the_v1_api_writes_its_words_as_it_likes(state: str) -> None:
    fact = fact_of(changed("PAYMENT.SALE.COMPLETED", state=state))
    assert (fact.status, fact.detail) == ("captured", state)


def test_a_sale_is_found_by_its_subscription_and_the_shops_own_numbers() -> None:
    fact = fact_of(changed("PAYMENT.SALE.COMPLETED", billing_agreement_id="I-1", parent_payment="PAYID-1"))
    assert fact.reference == "1042"
    assert set(fact.references) == {"SHOP-1042", "I-1", "PAYID-1"}


@pytest.mark.parametrize("status", ["CREATED", "CAPTURED", "PARTIALLY_CAPTURED"])
def test_an_authorization_is_never_money_for_its_captures_are(status: str) -> None:
    assert fact_of(changed("PAYMENT.AUTHORIZATION.CREATED", status=status)).status == "authorized"


def test_the_authorization_of_the_v1_api_is_one_too() -> None:
    """Source: the sample in the specification of verify-webhook-signature."""
    if not (path := SHARED / "samples" / "paypal" / "spec.verify_webhook_signature.request.json").exists():
        pytest.skip(f"the specification's sample is not here: {path}")
    reading = read(json.loads(path.read_text())["webhook_event"])
    assert reading.fact == Fact(
        "payment", "2DC87612EK520411B", "authorized", "authorized", Money(747, "USD", 2), None, None, (
            "PAY-36246664YD343335CKHFA4AY",
        )
    )  # fmt: skip


# --- Refunds


def test_a_refund_names_its_capture_in_either_of_two_places() -> None:
    by_link = changed("PAYMENT.CAPTURE.REFUNDED")
    capture_id = by_link["resource"]["links"][1]["href"].rpartition("/")[2]
    assert read(by_link).payment_id == capture_id
    by_name = changed("PAYMENT.CAPTURE.REFUNDED", links=[], supplementary_data={"related_ids": {"capture_id": "CAP7"}})
    assert read(by_name).payment_id == "CAP7"
    v1 = changed("PAYMENT.CAPTURE.REFUNDED", links=..., capture_id="CAP8")
    assert read(v1).payment_id == "CAP8"


@pytest.mark.parametrize(
    "href",
    [
        "https://api.paypal.com/v2/payments/refunds/OTHER",
        "https://api.paypal.com/v2/payments/captures/CAP1/refund",
        "https://api.paypal.com/v2/payments/authorizations/AUTH1",
        "https://api.paypal.com/v2/checkout/orders/ORDER1",
        "https://evil.example/?x=https://api.paypal.com/v2/payments/captures/CAP1",
        "https://api.paypal.com/v2/payments/captures/",
        "",
        None,
        5,
    ],
)
def test_a_link_to_anything_else_is_no_payment(href: Any) -> None:
    found = changed("PAYMENT.CAPTURE.REFUNDED", links=[{"rel": "up", "href": href}])
    assert read(found).payment_id is None


def test_what_was_refunded_so_far_is_told_by_refunds_that_are_through() -> None:
    total = {"seller_payable_breakdown": {"total_refunded_amount": {"currency_code": "EUR", "value": "30.00"}}}
    assert fact_of(changed("PAYMENT.CAPTURE.REFUNDED", **total)).refunded == 3000
    assert fact_of(changed("PAYMENT.CAPTURE.REFUNDED", status="PENDING", **total)).refunded is None
    assert fact_of(changed("PAYMENT.CAPTURE.REFUNDED", status="FAILED", **total)).refunded is None
    total["seller_payable_breakdown"]["total_refunded_amount"]["currency_code"] = "USD"
    assert fact_of(changed("PAYMENT.CAPTURE.REFUNDED", **total)).refunded is None


def test_the_v1_api_calls_a_refund_a_sale_below_zero() -> None:
    """As in PayPal's published sample of PAYMENT.SALE.REFUNDED."""
    resource = {
        "id": "6YX43824R4443062K",
        "state": "completed",
        "amount": {"total": "-0.01", "currency": "USD", "details": {"subtotal": "-0.01"}},
        "parent_payment": "PAY-1",
        "links": [
            {"rel": "self", "href": "https://api.sandbox.paypal.com/v1/payments/refund/6YX43824R4443062K"},
            {"rel": "sale", "href": "https://api.sandbox.paypal.com/v1/payments/sale/9T0916710M1105906"},
        ],
    }
    for given_back in (resource, {**resource, "links": [], "sale_id": "9T0916710M1105906"}):
        reading = read(event("PAYMENT.SALE.REFUNDED", given_back, "sale"))
        assert reading.payment_id == "9T0916710M1105906"
        assert reading.fact is not None
        assert (reading.fact.kind, reading.fact.id, reading.fact.money.amount) == ("refund", "6YX43824R4443062K", 1)
    alone = read(event("PAYMENT.SALE.REFUNDED", {**resource, "links": []}, "sale"))
    assert alone.fact is not None
    assert (alone.fact.kind, alone.payment_id) == ("refund", None)


# --- Orders


@pytest.mark.parametrize(
    ("status", "intent", "payments", "expected"),
    [
        ("CREATED", "CAPTURE", {}, "created"),
        ("SAVED", "CAPTURE", {}, "created"),
        ("PAYER_ACTION_REQUIRED", "CAPTURE", {}, "created"),
        ("APPROVED", "CAPTURE", {}, "approved"),
        ("VOIDED", "CAPTURE", {}, "cancelled"),
        ("COMPLETED", "CAPTURE", {}, "paid"),
        ("COMPLETED", "CAPTURE", {"captures": [{"id": "CAP1", "status": "COMPLETED"}]}, "paid"),
        ("COMPLETED", "CAPTURE", {"captures": [{"id": "CAP1", "status": "REFUNDED"}]}, "paid"),
        ("COMPLETED", "CAPTURE", {"captures": [{"id": "CAP1", "status": "PENDING"}]}, "approved"),
        ("COMPLETED", "CAPTURE", {"captures": [{"id": "CAP1", "status": "DECLINED"}]}, "approved"),
        ("COMPLETED", "AUTHORIZE", {}, "approved"),
        ("COMPLETED", "AUTHORIZE", {"authorizations": [{"id": "AUTH1", "status": "CREATED"}]}, "approved"),
        ("COMPLETED", "AUTHORIZE", {"authorizations": [{"id": "A"}], "captures": [{"id": "C"}]}, "paid"),
    ],
)
def test_an_order_is_paid_when_a_capture_is_through(
    status: str, intent: str, payments: dict[str, Any], expected: str
) -> None:
    found = changed("CHECKOUT.ORDER.APPROVED", status=status, intent=intent, purchase_units__0__payments=payments)
    assert fact_of(found).status == expected
    first = (payments.get("captures") or payments.get("authorizations") or [{}])[0]
    assert read(found).payment_id == first.get("id")


def test_an_orders_money_is_that_of_all_its_units_if_they_can_be_added() -> None:
    def units(*amounts: tuple[str, str]) -> Money:
        listed = [{"amount": {"value": value, "currency_code": code}} for value, code in amounts]
        return fact_of(changed("CHECKOUT.ORDER.APPROVED", purchase_units=listed)).money

    assert units(("1.10", "EUR"), ("2.20", "EUR")) == Money(330, "EUR", 2)
    assert units(("1.10", "EUR"), ("2.20", "USD")) == Money()
    assert units(("1.10", "EUR"), ("odd", "EUR")) == Money()


def test_the_only_units_name_is_paypals_and_no_reference() -> None:
    unit = {"reference_id": "default", "amount": {"value": "1.00", "currency_code": "EUR"}}
    assert fact_of(changed("CHECKOUT.ORDER.APPROVED", purchase_units=[unit])).reference is None
    unit["reference_id"] = "basket 7"
    assert fact_of(changed("CHECKOUT.ORDER.APPROVED", purchase_units=[unit])).reference == "basket 7"


# --- Disputes, invoices, the rest


@pytest.mark.parametrize(
    ("status", "outcome", "expected"),
    [
        ("OPEN", None, "open"),
        ("OTHER", None, "open"),
        ("WAITING_FOR_BUYER_RESPONSE", None, "under_review"),
        ("WAITING_FOR_SELLER_RESPONSE", None, "action_required"),
        ("UNDER_REVIEW", None, "under_review"),
        ("UNDER_REVIEW", "RESOLVED_BUYER_FAVOUR", "under_review"),
        ("RESOLVED", None, "closed"),
        ("RESOLVED", "NONE", "closed"),
        ("RESOLVED", "RESOLVED_WITH_PAYOUT", "closed"),
        ("RESOLVED", "RESOLVED_SELLER_FAVOUR", "won"),
        ("RESOLVED", "DENIED", "won"),
        ("RESOLVED", "CANCELED_BY_BUYER", "won"),
        ("RESOLVED", "RESOLVED_BUYER_FAVOUR", "lost"),
        ("RESOLVED", "ACCEPTED", "lost"),
    ],
)
def test_a_dispute_is_decided_by_its_outcome(status: str, outcome: str | None, expected: str) -> None:
    found = changed("CUSTOMER.DISPUTE.UPDATED", status=status)
    if outcome is not None:
        found["resource"]["dispute_outcome"] = {"outcome_code": outcome}
    assert fact_of(found).status == expected


def test_a_dispute_has_no_id_but_its_own_and_names_the_sellers_transaction() -> None:
    found = changed("CUSTOMER.DISPUTE.CREATED", dispute_id="PP-D-1", id="OTHER")
    found["resource"]["disputed_transactions"][0]["seller_transaction_id"] = "CAP1"
    reading = read(found)
    assert reading.payment_id == "CAP1"
    assert reading.fact is not None
    assert (reading.fact.id, reading.fact.reference) == ("PP-D-1", "1042")
    assert read(changed("CUSTOMER.DISPUTE.CREATED", dispute_id=..., id="OTHER")).fact is None


def test_an_invoice_may_stand_within_the_resource_or_be_it() -> None:
    nested = made("INVOICING.INVOICE.PAID")
    flat = {**nested, "resource": nested["resource"]["invoice"]}
    assert read(nested).fact == read(flat).fact
    assert read(nested).payment_id == read(flat).payment_id is not None
    v1 = {
        "id": "INV2-1",
        "number": "42",
        "status": "PAID",
        "total_amount": {"currency": "EUR", "value": "42.00"},
        "payments": [{"transaction_id": "CAP1"}],
    }
    reading = read(event("INVOICING.INVOICE.PAID", v1, "invoices"))
    assert reading.payment_id == "CAP1"
    assert reading.fact is not None
    assert (reading.fact.status, reading.fact.money.amount) == ("paid", 4200)
    assert "42" in reading.fact.references


@pytest.mark.parametrize(("status", "expected"), [("ACTIVE", "past_due"), ("SUSPENDED", "paused"), (..., "past_due")])
def test_a_payment_that_failed_leaves_a_subscription_past_due_or_suspended(status: Any, expected: str) -> None:
    assert fact_of(changed("BILLING.SUBSCRIPTION.PAYMENT.FAILED", status=status)).status == expected


def test_what_a_resource_is_says_its_type_and_not_the_events_name() -> None:
    refund = made("PAYMENT.CAPTURE.REFUNDED")
    assert fact_of({**refund, "event_type": "PAYMENT.CAPTURE.COMPLETED"}).kind == "refund"
    assert fact_of({**refund, "event_type": "PAYMENT.SOMETHING.NEW"}).kind == "refund"
    for resource_type in (None, "", "something-new", 5, []):
        capture = {**made("PAYMENT.CAPTURE.COMPLETED"), "resource_type": resource_type}
        assert fact_of(capture).kind == "payment"
    assert read({**made("PAYMENT.CAPTURE.COMPLETED"), "resource_type": "x", "event_type": "PAYMENT.X"}).fact is None
    assert fact_of({**made("PAYMENT.PAYOUTS-ITEM.HELD"), "resource_type": "PAYOUTS_ITEM"}).kind == "transfer"


# --- Money


@pytest.mark.parametrize(
    ("value", "currency", "expected"),
    [
        ("10.50", "USD", Money(1050, "USD", 2)),
        ("10.5", "USD", Money(1050, "USD", 2)),
        ("10", "USD", Money(1000, "USD", 2)),
        (".50", "USD", Money(50, "USD", 2)),
        ("0.00", "USD", Money(0, "USD", 2)),
        ("500", "HUF", Money(500, "HUF", 0)),
        ("500.00", "JPY", Money(500, "JPY", 0)),
        ("500", "TWD", Money(500, "TWD", 0)),
        ("1000000.01", "usd", Money(100_000_001, "USD", 2)),
        ("10.50", "XTS", Money(None, "XTS", None)),
    ],
)
def test_amounts_are_exact(value: str, currency: str, expected: Money) -> None:
    amount = {"value": value, "currency_code": currency}
    assert fact_of(changed("PAYMENT.CAPTURE.COMPLETED", amount=amount)).money == expected


@pytest.mark.parametrize(
    "amount",
    [
        *(None, [], {}, "10.50", 10),
        *({"value": each, "currency_code": "EUR"} for each in (None, "", "ten", "1e3", "10.505", [], {}, True)),
        *({"value": "10.50", "currency_code": each} for each in (None, "", "EURO", "€", 978, [])),
        *({"value": each, "currency_code": "EUR"} for each in ("-10.50", "9" * 5_000, f"0.{'0' * 5_000}1")),
    ],
)
def test_a_payment_whose_amount_cannot_be_read_leaves_the_ledger_alone(amount: Any) -> None:
    reading = read(changed("PAYMENT.CAPTURE.COMPLETED", amount=amount))
    assert reading.fact is None
    assert reading.payment_id is not None


# --- Oddities

ODD: list[Any] = [
    *(None, True, False, 0, -1, 5, 10**16, 10**400, 1.5, 1e308, "", "a", "x" * 300, "9" * 5_000, "-5", "\n", "é"),
    *([], {}, [None], [[]], {"id": []}, {"id": {"id": {}}}, "2026-99-01T00:00:00Z", "no such state"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


def check(reading: Reading) -> None:
    """What everybody behind the reading relies on."""
    assert is_name(reading.provider_event_id)
    assert is_name(reading.type)
    assert reading.payment_id is None or is_name(reading.payment_id)
    assert reading.occurred_at is None or 0 < reading.occurred_at < 10**14
    if (fact := reading.fact) is None:
        return
    assert fact.status in RANKS[fact.kind]
    assert is_name(fact.id)
    assert fact.detail is None or 0 < len(fact.detail) <= 64
    assert all(is_name(each) for each in (*fact.references, fact.reference or "none"))
    assert len(set(fact.references)) == len(fact.references) <= REFERENCES_MAX
    assert fact.refunded is None or fact.refunded >= 0
    if fact.kind in COUNTING:
        assert fact.money.currency is not None
        assert fact.money.amount is None or fact.money.amount >= 0
        assert (fact.money.amount is None) == (fact.money.exponent is None)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for key, value in inner for place in ((*path, key), *places(value, (*path, key)))]


@pytest.mark.parametrize("event_type", EFFECTS)
def test_a_sample_with_any_one_place_made_odd_is_still_read(event_type: str) -> None:
    tree, dice = made(event_type), Random(event_type)
    for path in places(tree):
        if path in (("id",), ("event_type",)):
            continue
        for value in (..., *dice.sample(ODD, 4)):
            found = node = copy.deepcopy(tree)
            for key in path[:-1]:
                node = node[key]
            if value is ...:
                del node[path[-1]]
            else:
                node[path[-1]] = value
            reading = read(found)
            check(reading)
            assert reading.type == event_type


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_an_authentic_body_holds_it_is_read_or_not_understood(body: bytes) -> None:
    with suppress(NotUnderstoodError):
        check(read(body))


@given(st.sampled_from(sorted(EVENT_TYPES)), st.sampled_from([*RESOURCES, "x"]), JSON)
def test_whatever_a_resource_is_the_event_is_understood(event_type: str, resource_type: str, resource: Any) -> None:
    body = json.dumps(event(event_type, resource, resource_type))
    if "NaN" not in body and "Infinity" not in body:
        reading = read(body.encode())
        check(reading)
        assert reading.type == event_type


@pytest.mark.parametrize("depth", [500, 2_000, 60_000])
def test_nesting_beyond_reason_is_read_or_not_understood(depth: int) -> None:
    deep = '{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","resource":' + "[" * depth + "]" * depth + "}"
    with suppress(NotUnderstoodError):
        assert read(deep.encode()).fact is None


def test_reading_is_the_same_each_time_and_each_sample_an_event_of_its_own() -> None:
    for event_type in EFFECTS:
        assert read(made(event_type)) == read(made(event_type))
        assert len({read(made(event_type, seed)).provider_event_id for seed in range(20)}) == 20


# --- Recorded deliveries


@pytest.mark.parametrize("path", sorted((SHARED / "samples" / "paypal").glob("*/body.json")) or [None], ids=str)
def test_real_deliveries_are_understood(path: Path | None) -> None:
    if path is None:
        pytest.skip(f"PayPal's recorded deliveries are not here: {SHARED / 'samples' / 'paypal'}")
    reading = read(path.read_bytes())
    check(reading)
    assert reading.fact is not None
    assert reading.payment_id is not None
    assert reading.fact.money.currency == "USD"
    assert reading.fact.status == ("approved" if reading.type == "PAYMENTS.PAYMENT.CREATED" else "captured")
