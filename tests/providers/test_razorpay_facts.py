"""What each of Razorpay's events does to the ledger, stated for every one of them by its sample."""

import json
from random import Random
from typing import Any

import pytest

from tests.providers.test_razorpay import event, payment, read
from webhookd.core.ledger import DETAIL_CHARS_MAX, RANKS
from webhookd.providers.razorpay import Razorpay
from webhookd.providers.razorpay.states import STATES, SUBJECTS
from webhookd.providers.tree import at
from webhookd.sandbox.samples import sample, types

NOW_S = 1_772_366_400
PAYMENT = "payment.entity.id"

# name: kind, status, detail, amount, where the payload has the object's id, and the payment's
EFFECTS: dict[str, tuple[str, str, str, int | None, str, str | None]] = {
    "payment.authorized": ("payment", "authorized", "authorized", 249_900, PAYMENT, PAYMENT),
    "payment.captured": ("payment", "captured", "captured", 249_900, PAYMENT, PAYMENT),
    "payment.failed": ("payment", "failed", "failed", 249_900, PAYMENT, PAYMENT),
    "payment.pending": ("payment", "pending", "pending", 249_900, PAYMENT, PAYMENT),
    **{
        f"payment.downtime.{word}": ("downtime", word, word, None, "payment.downtime|entity.id", None)
        for word in ("started", "updated", "resolved")
    },
    "payment.dispute.created": ("dispute", "open", "created", 249_900, "dispute.entity.id", PAYMENT),
    **{
        f"payment.dispute.{word}": ("dispute", word, word, 249_900, "dispute.entity.id", PAYMENT)
        for word in ("won", "lost", "closed", "under_review", "action_required")
    },
    "order.paid": ("order", "paid", "paid", 249_900, "order.entity.id", PAYMENT),
    **{
        f"order.notification.{word}": (
            *("order", "created", f"notification.{word}", None),
            *("notification.entity.order_id", None),
        )
        for word in ("delivered", "failed")
    },
    "refund.created": ("refund", "pending", "pending", 80_000, "refund.entity.id", PAYMENT),
    "refund.processed": ("refund", "succeeded", "processed", 80_000, "refund.entity.id", PAYMENT),
    "refund.failed": ("refund", "failed", "failed", 80_000, "refund.entity.id", PAYMENT),
    "refund.speed_changed": ("refund", "succeeded", "processed", 80_000, "refund.entity.id", PAYMENT),
    "invoice.partially_paid": (
        *("invoice", "partially_paid", "partially_paid", 249_900),
        *("invoice.entity.id", PAYMENT),
    ),
    "invoice.paid": ("invoice", "paid", "paid", 249_900, "invoice.entity.id", PAYMENT),
    "invoice.expired": ("invoice", "expired", "expired", 249_900, "invoice.entity.id", None),
    **{
        f"payment_link.{word}": ("payment_link", word, word, 249_900, "payment_link.entity.id", paying)
        for word, paying in {"paid": PAYMENT, "partially_paid": PAYMENT, "cancelled": None, "expired": None}.items()
    },
    **{
        f"subscription.{name}": ("subscription", status, word, None, "subscription.entity.id", paying)
        for name, status, word, paying in (
            ("authenticated", "pending", "authenticated", None),
            ("activated", "active", "active", None),
            ("charged", "active", "active", PAYMENT),
            ("completed", "completed", "completed", PAYMENT),
            ("updated", "active", "active", None),
            ("pending", "past_due", "pending", None),
            ("halted", "halted", "halted", None),
            ("cancelled", "cancelled", "cancelled", None),
            ("paused", "paused", "paused", None),
            ("resumed", "active", "active", None),
        )
    },
    "transfer.processed": (
        *("transfer", "succeeded", "processed", 200_000),
        *("transfer.entity.id", "transfer.entity.source"),
    ),
    "transfer.failed": ("transfer", "failed", "failed", 200_000, "transfer.entity.id", "transfer.entity.source"),
    "settlement.processed": ("transfer", "succeeded", "processed", 1_524_300, "settlement.entity.id", None),
    **{
        f"payout.{name}": ("transfer", status, word, 150_000, "payout.entity.id", None)
        for name, status, word in (
            ("pending", "pending", "pending"),
            ("rejected", "cancelled", "rejected"),
            ("queued", "pending", "queued"),
            ("initiated", "processing", "processing"),
            ("processed", "succeeded", "processed"),
            ("updated", "succeeded", "processed"),
            ("reversed", "reversed", "reversed"),
            ("failed", "failed", "failed"),
        )
    },
    **{
        f"payout.downtime.{word}": ("downtime", word, word, None, "payout.downtime|entity.id", None)
        for word in ("started", "resolved")
    },
    **{
        f"payout_link.{word}": ("transfer", status, word, 80_000, "payout_link.entity.id", None)
        for word, status in {
            "pending": "pending",
            "issued": "pending",
            "processing": "processing",
            "processed": "succeeded",
            "attempted": "pending",
            "cancelled": "cancelled",
            "rejected": "cancelled",
            "expired": "cancelled",
        }.items()
    },
    "fund_account.validation.completed": (
        *("fund_account", "active", "active", 100),
        *("fund_account.validation|entity.fund_account.id", None),
    ),
    "fund_account.validation.failed": (
        *("fund_account", "failed", "failed", 100),
        *("fund_account.validation|entity.fund_account.id", None),
    ),
    **{
        f"account.{name}": ("account", status, word or name, None, "account_id", None)
        for name, status, word in (
            ("activated", "active", None),
            ("activated_kyc_pending", "limited", None),
            ("funds_hold", "limited", None),
            ("funds_unhold", "active", None),
            ("instantly_activated", "limited", None),
            ("needs_clarification", "needs_clarification", None),
            ("payments_enabled", "limited", None),
            ("rejected", "rejected", None),
            ("suspended", "suspended", None),
            ("under_review", "under_review", None),
            ("updated", "needs_clarification", "verification_failed"),
            ("instant_activation_gmv_limit_warning", "limited", None),
            ("no_doc_onboarding_gmv_limit_warning", "limited", None),
            ("app.authorization_revoked", "revoked", None),
        )
    },
    **{
        f"product.{product}.{word}": ("account", status, word, None, "merchant_product.entity.id", None)
        for product, words in {
            "payment_gateway": "activated activated_kyc_pending instantly_activated needs_clarification rejected"
            " under_review",
            "payment_links": "activated activated_kyc_pending needs_clarification rejected under_review",
            "payment_link": "rejected",
            "route": "under_review needs_clarification activated",
        }.items()
        for word in words.split()
        for status in [{"activated": "active", "activated_kyc_pending": "limited"}.get(word, word)]
        for status in ["limited" if word == "instantly_activated" else status]
    },
}
SILENT = {
    *("qr_code.created", "qr_code.credited", "qr_code.closed"),
    *("virtual_account.created", "virtual_account.credited", "virtual_account.closed"),
    *("transaction.created", "banking_accounts.issued"),
    *[name for name in Razorpay.event_types if name.startswith("token.")],
}


def sampled(event_type: str) -> tuple[dict[str, Any], Any]:
    body = sample("razorpay", event_type, NOW_S, Random(1))
    return json.loads(body), read(body)


def id_at(found: dict[str, Any], path: str | None) -> str | None:
    """`a.b|c.d` is an entity with a dot in its name."""
    if path is None:
        return None
    if path == "account_id":
        return str(found["account_id"])
    dotted, _, rest = path.rpartition("|")
    names = [*([dotted] if dotted else []), *rest.split(".")]
    return str(at(found["payload"], *names))


def test_every_name_has_a_sample_of_its_own_and_an_effect_that_is_stated() -> None:
    assert set(types("razorpay")) == Razorpay.event_types
    assert set(EFFECTS) | SILENT == Razorpay.event_types
    assert not set(EFFECTS) & SILENT


@pytest.mark.parametrize("event_type", EFFECTS)
def test_the_effect_of_an_event_on_the_ledger(event_type: str) -> None:
    kind, status, detail, amount, id_path, payment_path = EFFECTS[event_type]
    found, reading = sampled(event_type)
    fact = reading.fact
    assert fact is not None
    assert (fact.kind, fact.status, fact.detail, fact.money.amount) == (kind, status, detail, amount)
    assert fact.id == id_at(found, id_path)
    assert reading.payment_id == id_at(found, payment_path)
    without_currency = amount is None or event_type == "settlement.processed"
    assert fact.money.currency == (None if without_currency else "INR")


@pytest.mark.parametrize("event_type", sorted(SILENT))
def test_what_is_not_about_money_leaves_the_ledger_alone(event_type: str) -> None:
    found, reading = sampled(event_type)
    assert reading.fact is None
    assert reading.payment_id == at(found, "payload", "payment", "entity", "id")


def test_each_subject_and_each_of_our_states_is_one_the_ledger_knows() -> None:
    for kind, words in STATES.items():
        assert set(words.values()) <= RANKS[kind].keys()
        assert max(map(len, words)) <= DETAIL_CHARS_MAX
    assert {subject.kind for subject in SUBJECTS.values()} == set(STATES)


# --- Names to be found by


@pytest.mark.parametrize(
    ("event_type", "reference", "names"),
    [
        ("payment.captured", "1042", ("1042",)),
        ("payment.authorized", None, ()),
        ("order.paid", "1042", ("1042",)),
        ("invoice.paid", "INV-1042", ("INV-1042",)),
        ("payment_link.paid", "1042", ("1042",)),
        ("payment_link.cancelled", "1042", ("1042", "True")),
        ("refund.created", "RMA-31", ("RMA-31", "One of two came back", "1042")),
        ("refund.speed_changed", None, ("1042",)),
        ("payout.processed", "seller-77-march", ()),
        ("subscription.charged", None, ("A-204",)),
        ("transfer.processed", None, ("Bengaluru South",)),
    ],
)
def test_a_payment_can_be_found_by_the_merchants_own_names(
    event_type: str, reference: str | None, names: tuple[str, ...]
) -> None:
    found, reading = sampled(event_type)
    assert reading.fact.reference == reference
    assert set(names) <= set(reading.fact.references)
    for entity in ("payment", "order", "invoice", "payment_link", "subscription"):
        order_id = at(found, "payload", entity, "entity", "order_id")
        assert order_id is None or order_id in reading.fact.references


def test_of_the_names_in_the_notes_the_usual_ones_are_the_merchants_reference() -> None:
    notes = {"shelf": "B", "woocommerce_order_number": 77, "comment": "a gift"}
    fact = read(event(payment=payment(notes=notes))).fact
    assert fact is not None
    assert fact.reference == "77"
    assert fact.references == ("order_1", "B", "77", "a gift")


def test_a_field_of_another_meaning_is_no_name() -> None:
    found, reading = sampled("subscription.charged")
    assert found["payload"]["subscription"]["entity"]["source"] == "api"
    assert "api" not in reading.fact.references
    found, reading = sampled("transfer.processed")
    assert found["payload"]["transfer"]["entity"]["source"] in reading.fact.references


def test_a_product_says_which_account_it_belongs_to() -> None:
    found, reading = sampled("product.route.activated")
    assert reading.fact.reference == found["account_id"]


# --- Refunds


@pytest.mark.parametrize(
    ("event_type", "refunded"),
    [
        ("refund.processed", 80_000),
        ("refund.speed_changed", 80_000),
        ("refund.created", None),  # it may still fail, and what was refunded never grows less
        ("refund.failed", None),
        ("payment.captured", 0),
        ("order.paid", None),
    ],
)
def test_what_has_been_refunded_of_a_payment_is_said_by_itself_and_by_a_refund_that_is_through(
    event_type: str, refunded: int | None
) -> None:
    assert sampled(event_type)[1].fact.refunded == refunded


@pytest.mark.parametrize(("odd", "refunded"), [("80000", 80_000), (-1, None), ("many", None), (None, None), ([], None)])
def test_an_odd_sum_of_refunds_is_none(odd: Any, refunded: int | None) -> None:
    refund = {"id": "rfnd_1", "amount": 5, "currency": "INR", "status": "processed", "payment_id": "pay_1"}
    fact = read(event("refund.processed", refund=refund, payment=payment(amount_refunded=odd))).fact
    assert fact is not None
    assert fact.refunded == refunded


def test_a_refund_that_is_created_may_be_through_already() -> None:
    refund = {"id": "rfnd_1", "amount": 5, "currency": "INR", "status": "processed", "payment_id": "pay_1"}
    fact = read(event("refund.created", refund=refund)).fact
    assert fact is not None
    assert fact.status == "succeeded"


# --- Only what the event is named after


@pytest.mark.parametrize("name", ["payment.dispute.won", "payment.dispute.under_review"])
def test_a_dispute_says_nothing_of_its_payments_state(name: str) -> None:
    found, reading = sampled(name)
    assert found["payload"]["payment"]["entity"]["status"] == "authorized"
    assert reading.fact.kind == "dispute"


def test_a_payment_that_is_only_authorized_is_so_whatever_it_says_of_capturing() -> None:
    found, reading = sampled("payment.authorized")
    assert found["payload"]["payment"]["entity"]["captured"] is True
    assert reading.fact.status == "authorized"


def test_the_id_of_an_account_is_the_same_with_and_without_its_prefix() -> None:
    bare, with_prefix = ({"id": each, "entity": "merchant"} for each in ("JNraR8O85H1atC", "acc_JNraR8O85H1atC"))
    first, second = (read(event("account.activated", account=each)).fact for each in (bare, with_prefix))
    assert first is not None
    assert second is not None
    assert first.id == second.id == "acc_JNraR8O85H1atC"


@pytest.mark.parametrize(
    ("status", "results", "expected"),
    [
        ("completed", {"account_status": "active"}, "active"),
        ("completed", {"account_status": "invalid"}, "failed"),
        ("completed", {}, "active"),
        ("completed", [], "active"),
        ("completed", {"account_status": "asleep"}, None),
        ("failed", {"account_status": "active"}, "failed"),
        ("created", {}, "pending"),
    ],
)
def test_a_validation_that_is_completed_has_found_the_account_good_or_not(
    status: str, results: Any, expected: str | None
) -> None:
    entity = {"id": "fav_1", "fund_account": {"id": "fa_1"}, "status": status, "results": results}
    fact = read(event("fund_account.validation.completed", fund_account__validation=entity)).fact
    assert (fact.status if fact is not None else None) == expected


# --- What is odd leaves the ledger alone


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "sideways"},
        {"status": 5},
        {"status": ["captured"]},
        {"status": "c" * 65},
        {"id": None},
        {"id": 5},
        {"id": ""},
        {"id": "p" * 256},
        {"amount": None},
        {"amount": "many"},
        {"amount": 5.5},
        {"amount": True},
        {"amount": -1},
        {"amount": 10**16},
        {"amount": [1]},
        {"currency": None},
        {"currency": "rupees"},
        {"currency": 5},
    ],
    ids=str,
)
def test_a_payment_that_cannot_be_read_is_taken_and_moves_nothing(fields: dict[str, Any]) -> None:
    reading = read(event(payment=payment(**fields)))
    assert reading.fact is None
    assert reading.type == "payment.captured"


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        ("50000", "inr", (50_000, "INR", 2)),
        (295, "JPY", (295, "JPY", 0)),
        (295_990, "KWD", (295_990, "KWD", 3)),
        (100, "XTS", (100, "XTS", None)),
    ],
)
def test_amounts_are_in_the_smallest_unit_and_one_without_a_known_unit_is_marked(
    amount: Any, currency: str, expected: tuple[int, str, int | None]
) -> None:
    fact = read(event(payment=payment(amount=amount, currency=currency))).fact
    assert fact is not None
    assert (fact.money.amount, fact.money.currency, fact.money.exponent) == expected


@pytest.mark.parametrize(
    ("event_type", "status"), [("payment.captured", "captured"), ("payment.failed", "failed"), ("payment.new", None)]
)
def test_a_payment_without_a_status_has_the_one_in_the_events_name(event_type: str, status: str | None) -> None:
    fact = read(event(event_type, payment=payment(status=None))).fact
    assert (fact.status if fact is not None else None) == status


def test_a_name_that_is_new_is_read_by_what_its_entity_says() -> None:
    fact = read(event("payment.remembered", payment=payment())).fact
    assert fact is not None
    assert (fact.kind, fact.status) == ("payment", "captured")
