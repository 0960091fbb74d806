"""What is read in a Paystack event: an id that it does not have, its time, and the payment it is about."""

import hashlib
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from webhookd.core.event import NAME_CHARS_MAX, Hook, Reading
from webhookd.providers.paystack import Paystack
from webhookd.providers.paystack.event_key import ONCE
from webhookd.providers.paystack.event_types import DOCUMENTED, IN_SAMPLES_ONLY
from webhookd.providers.provider import NotUnderstoodError
from webhookd.sandbox.samples import sample

NOW_S = 1_772_366_400
SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples" / "paystack"
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason=f"NO SAMPLES: {SAMPLES} is not there, events of Paystack's own tools go unread"
)


def read(event: Any) -> Reading:
    return Paystack.read(Hook({}, event if isinstance(event, bytes) else json.dumps(event).encode(), 0))


def event(event_type: str, data: Any = None, **fields: Any) -> dict[str, Any]:
    return {"event": event_type, "data": fields if data is None else data}


def digest(found: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()


# --- Which event it is


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (event("charge.success", id=302_961, reference="T1"), "charge.success:302961"),
        (event("charge.success", reference="T1"), "charge.success:T1"),
        (event("charge.dispute.create", id=358_950), "charge.dispute.create:358950"),
        (event("charge.dispute.resolve", id=358_950), "charge.dispute.resolve:358950"),
        (event("transfer.success", id=37_272_792, reference="r", transfer_code="TRF_1"), "transfer.success:37272792"),
        (event("transfer.failed", transfer_code="TRF_1"), "transfer.failed:TRF_1"),
        (event("transfer.reversed", id=5), "transfer.reversed:5"),
        (event("refund.processed", transaction_reference="T1", refund_reference="132"), "refund.processed:132"),
        (event("refund.failed", transaction_reference="T1", refund_reference="TRF_9"), "refund.failed:TRF_9"),
        (event("refund.pending", id="123456", transaction_reference="T1"), "refund.pending:123456"),
        (event("paymentrequest.success", id=1_089_700, request_code="PRQ_1"), "paymentrequest.success:1089700"),
        (event("preauthorization.capture.success", id=3099), "preauthorization.capture.success:3099"),
    ],
)
def test_what_happens_once_to_an_object_is_known_by_the_object(found: dict[str, Any], expected: str) -> None:
    assert read(found).provider_event_id == expected
    again = {**found, "data": {**found["data"], "gateway_response": "in other words"}}
    assert read(again).provider_event_id == expected
    other_event = {**found, "event": found["event"] + "ish"}
    assert read(other_event).provider_event_id != expected


@pytest.mark.parametrize(
    ("found", "natural_id"),
    [
        (event("charge.dispute.remind", id=358_950), "358950:"),
        (event("invoice.create", invoice_code="INV_1"), "INV_1:"),
        (event("invoice.update", invoice_code="INV_1"), "INV_1:"),
        (event("invoice.payment_failed", invoice_code="INV_1"), "INV_1:"),
        (event("subscription.create", subscription_code="SUB_1"), "SUB_1:"),
        (event("subscription.disable", subscription_code="SUB_1"), "SUB_1:"),
        (event("subscription.not_renew", id=317_617, subscription_code="SUB_1"), "317617:"),
        (event("paymentrequest.pending", id=1_089_700), "1089700:"),
        (event("refund.needs-attention", id="123456"), "123456:"),
        (event("refund.pending", transaction_reference="T1", refund_reference=None), ""),
        (event("refund.processing", transaction_reference="T1", refund_reference=None), ""),
        (event("refund.processed", transaction_reference="T1", refund_reference=None), ""),
        (event("preauthorization.capture.failed", id=3099), "3099:"),
        (event("customeridentification.failed", customer_id=1, customer_code="CUS_1"), "CUS_1:"),
        (event("direct_debit.authorization.created", authorization_code="AUTH_1"), "AUTH_1:"),
        (event("dedicatedaccount.assign.failed", customer={"id": 1}), ""),
        (event("bank.transfer.rejected", bank_transfer={"transaction_id": "5"}), ""),
        (event("subscription.expiring_cards", [{"subscription": {"id": 1}}]), ""),
        (event("something.new", id=1), "1:"),
        (event("something.new", "a word"), ""),
        ({"event": "something.new"}, ""),
    ],
)
def test_what_may_happen_again_is_known_by_its_bytes_as_well(found: dict[str, Any], natural_id: str) -> None:
    assert read(found).provider_event_id == f"{found['event']}:{natural_id}{digest(found)}"
    again = {**found, "more": 1}
    assert read(again).provider_event_id != read(found).provider_event_id


def test_two_refunds_of_one_payment_are_two_events_once_they_have_a_reference() -> None:
    one, two = (
        event("refund.processed", transaction_reference="T1", refund_reference=each, amount="500") for each in "ab"
    )
    assert read(one).provider_event_id != read(two).provider_event_id


def test_two_equal_refunds_without_a_reference_cannot_be_told_from_one_that_is_sent_again() -> None:
    one, two = (event("refund.pending", transaction_reference="T1", amount="500") for _ in range(2))
    assert read(one).provider_event_id == read(two).provider_event_id
    assert read(event("refund.pending", transaction_reference="T1", amount="501")) != read(one)


def test_the_ids_are_the_same_each_time_and_never_too_long() -> None:
    for found in (
        event("c" * 255, id="i" * 255),
        event("c" * 255),
        event("charge.success", reference="r" * 255),
        event("charge.success", id=10**29),
    ):
        assert read(found) == read(found)
        assert len(read(found).provider_event_id) <= NAME_CHARS_MAX


def test_nothing_that_may_happen_again_is_taken_for_happening_once() -> None:
    assert Paystack.event_types >= ONCE
    assert not {name for name in ONCE if name.startswith(("subscription.", "invoice.", "customer"))}
    assert not ONCE & {"charge.dispute.remind", "paymentrequest.pending", "refund.needs-attention"}


def test_both_the_documented_names_and_those_in_samples_only_are_known() -> None:
    assert (len(DOCUMENTED), len(IN_SAMPLES_ONLY), len(Paystack.event_types)) == (24, 9, 33)
    assert "charge.failed" not in Paystack.event_types


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"null", b"[]", b"{}", b'{"data": {"id": 1}}', b'{"event": null}', b'{"event": ""}', b'{"event": 5}'),
        *(b'{"event": ["charge.success"]}', b'{"event": "charge\\nsuccess"}', b'{"event": "' + b"p" * 256 + b'"}'),
        *(b'{"event": "charge.success", "data": {"id": 1}', b'{"event": "\xff"}', b"event=charge.success"),
        b"[" * 200_000,
    ],
    ids=lambda body: ascii(body[:30]),
)
def test_a_body_without_a_usable_envelope_is_quarantined(body: bytes) -> None:
    with pytest.raises(NotUnderstoodError):
        read(body)


# --- When it occurred

T1, T2, T3 = ("2026-03-01T12:00:01.000Z", "2026-03-01T12:00:02.000Z", "2026-03-01T12:00:03Z")
SECOND = 1_772_366_400_000


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (event("charge.success", paid_at=T2, created_at=T1), 2),
        (event("charge.success", paidAt=T2, createdAt=T1), 2),
        (event("charge.success", paid_at=None, created_at=T1), 1),
        (event("charge.success", paid_at="yesterday", created_at=T1), 1),
        (event("transfer.reversed", created_at=T1, transferred_at=T2, updated_at=T3), 3),
        (event("transfer.success", createdAt=T1, updatedAt=T3), 3),
        (event("transfer.success", created_at=T1, transferred_at=T2), 2),
        (event("charge.dispute.create", created_at=T1, updated_at=T3), 1),
        (event("charge.dispute.remind", created_at=T1, updated_at=T2), 2),
        (event("charge.dispute.resolve", created_at=T1, updated_at=T2, resolvedAt=T3), 3),
        (event("invoice.update", created_at=T1, paid_at=T2), 2),
        (event("paymentrequest.pending", created_at=T1, paid_at=None), 1),
        (event("subscription.create", createdAt=T2, created_at=T1), 1),
        (event("preauthorization.capture.success", captured_at=T2), 2),
        (event("refund.processed", refund_created_at=T2), 2),
        (event("refund.processed", amount="500"), None),
        (event("charge.success", paid_at=5, created_at=[]), None),
        (event("charge.success", created_at="2026-03-01T12:00:01"), None),
        (event("subscription.expiring_cards", [{"created_at": T1}]), None),
        ({"event": "charge.success", "created_at": T1}, None),
    ],
)
def test_an_event_occurred_when_its_object_says(found: dict[str, Any], expected: int | None) -> None:
    assert read(found).occurred_at == (None if expected is None else SECOND + expected * 1_000)


# --- Which payment it is about


@pytest.mark.parametrize(
    ("found", "payment_id"),
    [
        (event("charge.success", id=1, reference="T1"), "T1"),
        (event("charge.success", id=1), None),
        (event("preauthorization.reserve.success", id=1, reference="T1"), "T1"),
        (event("refund.pending", transaction_reference="T1"), "T1"),
        (event("refund.processed", transaction_reference="T1", refund_reference="132"), "T1"),
        (event("charge.dispute.create", id=1, transaction={"id": 7, "reference": "T1"}), "T1"),
        (event("charge.dispute.create", id=1, transaction={}, transaction_reference="T1"), "T1"),
        (event("invoice.update", transaction={"reference": "T1"}), "T1"),
        (event("invoice.payment_failed", transaction={}), None),
        (event("transfer.success", reference="mine"), None),
        (event("direct_debit.authorization.active", reference="its own"), None),
        (event("subscription.create", subscription_code="SUB_1"), None),
        (event("subscription.expiring_cards", [{"reference": "T1"}]), None),
    ],
)
def test_a_payment_is_known_by_its_transactions_reference(found: dict[str, Any], payment_id: str | None) -> None:
    assert read(found).payment_id == payment_id


def test_a_charge_its_refund_and_its_dispute_meet_in_one_payment() -> None:
    """By the only name that all three have."""
    found = {
        name: json.loads(sample("paystack", name, NOW_S, Random(1)))
        for name in ("charge.success", "refund.processed", "charge.dispute.create")
    }
    found["refund.processed"]["data"]["transaction_reference"] = found["charge.success"]["data"]["reference"]
    found["charge.dispute.create"]["data"]["transaction"]["reference"] = found["charge.success"]["data"]["reference"]
    assert len({read(each).payment_id for each in found.values()}) == 1


# --- Samples of others


@needs_samples
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("cli.charge.success", ("charge.success:302961", "payment", "captured", 10_000, "qTPrJoy9Bx")),
        ("cli.transfer.failed", ("transfer.failed:TRF_3g8pc1cfmn00x6u", "transfer", "failed", 10_000, None)),
        ("cli.transfer.success", ("transfer.success:TRF_zy6w214r4aw9971", "transfer", "succeeded", 10_000, None)),
        (
            "cli.subscription.create",
            ("subscription.create:SUB_vsyqdmlzble3uii:", "subscription", "active", 50_000, None),
        ),
        ("paynormalize.docs.charge.success", ("charge.success:302961", "payment", "captured", 10_000, "qTPrJoy9Bx")),
        (
            "paynormalize.docs.charge.success.bank_transfer",
            ("charge.success:302999", "payment", "captured", 2_500_000, "VA-REF-2201"),
        ),
        (
            "paynormalize.docs.refund.processed",
            ("refund.processed:RF10202634", "refund", "succeeded", 10_000, "qTPrJoy9Bx"),
        ),
        (
            "paynormalize.docs.subscription.create",
            ("subscription.create:SUB_vsyqdmlzble3uii:", "subscription", "active", 50_000, None),
        ),
        (
            "paynormalize.docs.transfer.reversed",
            ("transfer.reversed:50329322", "transfer", "reversed", 9_500_000, None),
        ),
        ("paynormalize.docs.transfer.success", ("transfer.success:37272792", "transfer", "succeeded", 30_000, None)),
    ],
)
def test_the_events_of_paystacks_own_tools_are_read(file: str, expected: tuple[Any, ...]) -> None:
    reading = read((SAMPLES / f"{file}.json").read_bytes())
    fact = reading.fact
    assert fact is not None
    key, *rest = expected
    assert reading.provider_event_id.startswith(key)
    assert [fact.kind, fact.status, fact.money.amount, reading.payment_id] == rest
    assert reading.occurred_at is not None


@needs_samples
def test_an_account_that_is_assigned_to_a_customer_leaves_the_ledger_alone() -> None:
    reading = read((SAMPLES / "paynormalize.docs.dedicatedaccount.assign.success.json").read_bytes())
    assert (reading.type, reading.fact, reading.payment_id) == ("dedicatedaccount.assign.success", None, None)
