"""What each of Paystack's events does to the ledger, stated for every one of them by its sample."""

import json
from random import Random
from typing import Any

import pytest

from tests.providers.test_paystack import event, read
from webhookd.core.ledger import DETAIL_CHARS_MAX, RANKS
from webhookd.providers.paystack import Paystack
from webhookd.providers.paystack.states import STATES, SUBJECTS
from webhookd.providers.tree import at
from webhookd.sandbox.samples import sample, types

NOW_S = 1_772_366_400

# name: kind, status, detail, amount, currency, where `data` has the object's id and the payment's, and the reference
EFFECTS: dict[str, tuple[str, str, str, int, str | None, str, str | None, str | None]] = {
    "charge.success": ("payment", "captured", "success", 1_250_000, "NGN", "reference", "reference", "1042"),
    **{
        f"charge.dispute.{name}": (
            *("dispute", "action_required", "awaiting-merchant-feedback", 1_250_000, "NGN"),
            *("id", "transaction.reference", None),
        )
        for name in ("create", "remind")
    },
    "charge.dispute.resolve": (
        *("dispute", "lost", "auto-accepted", 1_250_000, "NGN"),
        *("id", "transaction.reference", None),
    ),
    "refund.processed": (
        *("refund", "succeeded", "processed", 400_000, "NGN"),
        *("refund_reference", "transaction_reference", None),
    ),
    "refund.failed": (
        *("refund", "failed", "failed", 400_000, "NGN"),
        *("refund_reference", "transaction_reference", None),
    ),
    "refund.needs-attention": (
        *("refund", "pending", "needs-attention", 400_000, "NGN"),
        *("refund_reference", "transaction_reference", None),
    ),
    "transfer.success": ("transfer", "succeeded", "success", 3_000_000, "NGN", "transfer_code", None, "seller-77-"),
    "transfer.failed": ("transfer", "failed", "failed", 3_000_000, "NGN", "transfer_code", None, None),
    "transfer.reversed": ("transfer", "reversed", "reversed", 3_000_000, "NGN", "transfer_code", None, "seller-77-"),
    "subscription.create": ("subscription", "active", "active", 500_000, "NGN", "subscription_code", None, None),
    "subscription.disable": ("subscription", "completed", "complete", 500_000, "NGN", "subscription_code", None, None),
    "subscription.not_renew": (
        *("subscription", "active", "non-renewing", 500_000, "NGN"),
        *("subscription_code", None, None),
    ),
    **{
        f"invoice.{name}": (
            *("invoice", "paid", "success", 500_000, "NGN"),
            *("invoice_code", "transaction.reference", None),
        )
        for name in ("create", "update")
    },
    "invoice.payment_failed": ("invoice", "failed", "payment_failed", 500_000, None, "invoice_code", None, None),
    "paymentrequest.pending": ("invoice", "open", "pending", 1_250_000, "NGN", "request_code", None, ""),
    "paymentrequest.success": ("invoice", "paid", "success", 1_250_000, "NGN", "request_code", None, ""),
    **{
        f"preauthorization.{name}": ("payment", status, word, amount, "ZAR", "reference", "reference", "1042")
        for name, status, word, amount in (
            ("reserve.success", "authorized", "authorized", 90_000),
            ("capture.success", "captured", "captured", 85_000),
            ("capture.failed", "failed", "capture_failed", 90_000),
            ("release.success", "cancelled", "released", 90_000),
            ("release.failed", "authorized", "release_failed", 90_000),
        )
    },
}
SILENT = {
    *("refund.pending", "refund.processing"),  # no name yet
    *("customeridentification.failed", "customeridentification.success"),
    *("dedicatedaccount.assign.failed", "dedicatedaccount.assign.success"),
    *("direct_debit.authorization.created", "direct_debit.authorization.active"),
    *("subscription.expiring_cards", "bank.transfer.rejected"),
}


def sampled(event_type: str) -> tuple[dict[str, Any], Any]:
    body = sample("paystack", event_type, NOW_S, Random(1))
    return json.loads(body), read(body)


def value_at(found: dict[str, Any], path: str | None) -> str | None:
    return None if path is None else str(at(found["data"], *path.split(".")))


def test_every_name_has_a_sample_of_its_own_and_an_effect_that_is_stated() -> None:
    assert set(types("paystack")) == Paystack.event_types
    assert set(EFFECTS) | SILENT == Paystack.event_types
    assert not set(EFFECTS) & SILENT


@pytest.mark.parametrize("event_type", EFFECTS)
def test_the_effect_of_an_event_on_the_ledger(event_type: str) -> None:
    kind, status, detail, amount, currency, id_path, payment_path, reference = EFFECTS[event_type]
    found, reading = sampled(event_type)
    fact = reading.fact
    assert fact is not None
    assert (fact.kind, fact.status, fact.detail) == (kind, status, detail)
    assert (fact.money.amount, fact.money.currency) == (amount, currency)
    assert fact.id == value_at(found, id_path)
    assert reading.payment_id == value_at(found, payment_path)
    assert (fact.reference is None) == (reference is None)
    assert (fact.reference or "").startswith(reference or "")
    assert fact.refunded is None


@pytest.mark.parametrize("event_type", sorted(SILENT))
def test_what_moves_no_money_leaves_the_ledger_alone(event_type: str) -> None:
    found, reading = sampled(event_type)
    assert reading.fact is None
    assert reading.payment_id == at(found, "data", "transaction_reference")


def test_the_cards_that_expire_come_as_a_list() -> None:
    assert isinstance(sampled("subscription.expiring_cards")[0]["data"], list)


def test_each_of_our_states_is_one_the_ledger_knows() -> None:
    for kind, words in STATES.items():
        assert set(words.values()) <= RANKS[kind].keys()
        assert max(map(len, words)) <= DETAIL_CHARS_MAX
    assert set(SUBJECTS.values()) == set(STATES)


# --- Payments


def charge(**fields: Any) -> dict[str, Any]:
    made = {"id": 302_961, "reference": "T1", "amount": 10_000, "currency": "NGN", "status": "success", **fields}
    return event("charge.success", {name: value for name, value in made.items() if value is not ...})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (10_000, "NGN", 2)),
        ({"amount": "5000", "requested_amount": "200"}, (5_000, "NGN", 2)),  # from a terminal
        ({"amount": 0}, (0, "NGN", 2)),
        ({"currency": "ghs"}, (10_000, "GHS", 2)),
        ({"currency": "XOF"}, (10_000, "XOF", None)),  # whether it has subunits is not documented
    ],
)
def test_amounts_are_whole_subunits_as_a_number_or_as_digits(fields: Any, expected: tuple[Any, ...]) -> None:
    fact = read(charge(**fields)).fact
    assert fact is not None
    assert (fact.money.amount, fact.money.currency, fact.money.exponent) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("success", "captured"),
        (None, "captured"),
        (..., "captured"),
        ("reversed", "refunded"),
        ("failed", "failed"),
        ("abandoned", "failed"),
        ("ongoing", "pending"),
        ("sideways", None),
        (5, None),
        (["success"], None),
        ("", None),
    ],
)
def test_a_payment_has_the_state_it_says_or_else_that_of_the_events_name(status: Any, expected: str | None) -> None:
    fact = read(charge(status=status)).fact
    assert (fact.status if fact is not None else None) == expected


@pytest.mark.parametrize(
    ("metadata", "reference", "names"),
    [
        (0, "T1", ()),
        ("", "T1", ()),
        (None, "T1", ()),
        (5, "T1", ()),
        ([], "T1", ()),
        ("basket 7", "T1", ("basket 7",)),
        ("77", "T1", ("77",)),
        ("{}", "T1", ()),
        ("{broken", "T1", ("{broken",)),
        ('{"order_id": 1042, "cart": "c-1"}', "1042", ("1042", "c-1")),
        ('["order_id"]', "T1", ('["order_id"]',)),
        ({"order_id": "1042"}, "1042", ("1042",)),
        ({"order_number": "7", "order_id": ""}, "7", ("7",)),
        ({"custom_fields": [{"display_name": "Cart", "variable_name": "cart", "value": "c-1"}]}, "T1", ("c-1",)),
        ({"custom_fields": [5, None, {"value": ["x"]}, {"value": 9}]}, "T1", ("9",)),
        ({"custom_fields": {"value": "c-1"}}, "T1", ()),
        ('{"a":' * 5_000, "T1", ()),
        ('{"a":' * 40, "T1", ('{"a":' * 40,)),
        ("x" * 100_000, "T1", ()),
        ('{"order_id": "1042", "basket": "%s"}' % ("x" * 20_000), "T1", ()),  # longer than is looked into
        ('{"order_id": "\\ud800"}', "T1", ('{"order_id": "\\ud800"}',)),
        ({"order_id": 10**40}, "T1", ()),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_payment_can_be_found_by_what_is_in_its_metadata_whatever_form_that_has(
    metadata: Any, reference: str, names: tuple[str, ...]
) -> None:
    fact = read(charge(metadata=metadata)).fact
    assert fact is not None
    assert fact.reference == reference
    assert fact.references == ("T1", "302961", *names)


def test_a_dispute_is_found_by_the_names_of_its_payment() -> None:
    transaction = {"id": 896_467_688, "reference": "T1", "amount": 5800, "metadata": {"order_id": "1042"}}
    found = event("charge.dispute.create", id=1, status="pending", currency="NGN", transaction=transaction)
    fact = read(found).fact
    assert fact is not None
    assert fact.references == ("T1", "896467688", "1042")
    assert (fact.status, fact.money.amount) == ("open", 5800)


@pytest.mark.parametrize(
    "fields",
    [
        *({"reference": each} for each in (..., None, 5, "", "r" * 256, ["T1"])),
        *({"amount": each} for each in (..., None, "many", "10.5", 10.5, True, -1, "-1", 10**16, "9" * 5_000, {})),
        *({"currency": each} for each in (..., None, "naira", 5, [])),
    ],
    ids=lambda fields: ascii(fields)[:40],
)
def test_a_payment_that_cannot_be_read_is_taken_and_moves_nothing(fields: dict[str, Any]) -> None:
    reading = read(charge(**fields))
    assert reading.fact is None
    assert reading.type == "charge.success"


# --- Refunds


def refund(event_type: str, reference: str | None = None, **fields: Any) -> dict[str, Any]:
    return event(
        event_type,
        {
            "status": event_type.removeprefix("refund."),
            "transaction_reference": "T1",
            "refund_reference": reference,
            "amount": "500",
            "currency": "NGN",
            **fields,
        },
    )


@pytest.mark.parametrize("name", ["pending", "processing", "failed", "needs-attention"])
def test_a_refund_without_a_name_is_an_event_of_its_payment_and_no_object_yet(name: str) -> None:
    reading = read(refund(f"refund.{name}"))
    assert (reading.fact, reading.payment_id) == (None, "T1")


@pytest.mark.parametrize("name", ["pending", "processing", "failed", "needs-attention", "processed"])
def test_a_refund_with_a_reference_is_one_object_from_its_first_event_to_its_last(name: str) -> None:
    fact = read(refund(f"refund.{name}", "132", id="77")).fact
    assert fact is not None
    assert (fact.kind, fact.id, fact.money.amount) == ("refund", "132", 500)


def test_without_a_reference_it_is_known_by_its_id() -> None:
    fact = read(refund("refund.pending", id="77")).fact
    assert fact is not None
    assert fact.id == "77"


def test_two_equal_refunds_of_one_payment_both_count_when_they_have_references() -> None:
    one, two = (read(refund("refund.processed", each)).fact for each in ("131", "132"))
    assert one is not None
    assert two is not None
    assert one.id != two.id


def test_a_refund_that_went_through_without_a_name_counts_all_the_same() -> None:
    fact = read(refund("refund.processed")).fact
    assert fact is not None
    assert (fact.id, fact.status, fact.money.amount) == ("T1:500", "succeeded", 500)
    assert read(refund("refund.processed", transaction_reference=None)).fact is None


# --- Disputes, invoices, subscriptions, transfers


@pytest.mark.parametrize(
    ("status", "resolution", "expected", "detail"),
    [
        ("awaiting-merchant-feedback", None, "action_required", "awaiting-merchant-feedback"),
        ("awaiting-bank-feedback", None, "under_review", "awaiting-bank-feedback"),
        ("pending", None, "open", "pending"),
        ("resolved", "merchant-accepted", "lost", "merchant-accepted"),
        ("resolved", "auto-accepted", "lost", "auto-accepted"),
        ("resolved", "declined", "won", "declined"),
        ("resolved", None, "closed", "resolved"),
        ("resolved", "settled over tea", "closed", "resolved"),
        ("resolved", 5, "closed", "resolved"),
        ("pending", "declined", "open", "pending"),
    ],
)
def test_a_dispute_that_is_resolved_was_won_or_lost(status: str, resolution: Any, expected: str, detail: str) -> None:
    found = event("charge.dispute.resolve", id=1, status=status, resolution=resolution, refund_amount=5, currency="NGN")
    fact = read(found).fact
    assert fact is not None
    assert (fact.status, fact.detail) == (expected, detail)


@pytest.mark.parametrize(
    ("status", "expected"),
    [("attention", "past_due"), ("cancelled", "cancelled"), (None, "cancelled"), ("resting", None)],
)
def test_a_subscription_that_is_disabled_says_why(status: str | None, expected: str | None) -> None:
    fact = read(event("subscription.disable", subscription_code="SUB_1", status=status)).fact
    assert (fact.status if fact is not None else None) == expected


def test_an_invoice_whose_payment_failed_is_pending_only_by_its_field() -> None:
    fact = read(event("invoice.payment_failed", invoice_code="INV_1", status="pending", amount=5)).fact
    assert fact is not None
    assert fact.status == "failed"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"transfer_code": "TRF_1", "id": 5}, "TRF_1"),
        ({"id": 5}, "5"),
        ({"reference": "mine"}, None),
    ],
)
def test_a_transfer_is_known_by_its_code(data: dict[str, Any], expected: str | None) -> None:
    fact = read(event("transfer.success", status="success", amount=5, currency="NGN", **data)).fact
    assert (fact.id if fact is not None else None) == expected


def test_a_list_for_an_object_says_nothing_of_money() -> None:
    found = charge()
    reading = read({**found, "data": [found["data"]]})
    assert (reading.fact, reading.payment_id, reading.type) == (None, None, "charge.success")
