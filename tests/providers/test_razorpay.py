"""What is read in a Razorpay event: its ids, its time, and the payment it is about."""

import hashlib
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from webhookd.core.event import Hook, Reading
from webhookd.core.secret import Secret
from webhookd.providers.provider import Credentials, NotUnderstoodError
from webhookd.providers.razorpay import Razorpay
from webhookd.sandbox.samples import sample

NOW_S = 1_772_366_400
SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples" / "razorpay"
needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason=f"NO SAMPLES: {SAMPLES} is not there, Razorpay's own entities go unread"
)


def read(event: Any, event_id: str | None = "EvtId000000001") -> Reading:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return Razorpay.read(Hook({} if event_id is None else {"x-razorpay-event-id": event_id}, body, 0))


def event(event_type: str = "payment.captured", *, created_at: Any = 1_567_674_606, **payload: Any) -> dict[str, Any]:
    """Each of the payload's entities by its name, dots as __."""
    return {
        "entity": "event",
        "account_id": "acc_BFQ7uQEaa7j2z7",
        "event": event_type,
        "contains": list(payload),
        "payload": {name.replace("__", "."): {"entity": entity} for name, entity in payload.items()},
        "created_at": created_at,
    }


def payment(**fields: Any) -> dict[str, Any]:
    return {
        "id": "pay_1",
        "entity": "payment",
        "amount": 50_000,
        "currency": "INR",
        "status": "captured",
        "order_id": "order_1",
        "notes": [],
        "amount_refunded": 0,
        **fields,
    }


# --- Which event it is


def test_an_event_is_known_by_the_id_in_the_header_and_by_the_digest_of_its_body() -> None:
    body = json.dumps(event(payment=payment())).encode()
    found = read(body)
    assert found.provider_event_id == "EvtId000000001"
    assert found.alias == f"sha256:{hashlib.sha256(body).hexdigest()}"
    assert (found.type, found.occurred_at, found.payment_id) == ("payment.captured", 1_567_674_606_000, "pay_1")


def test_a_body_that_is_sent_again_under_another_id_is_known_by_its_alias() -> None:
    body = json.dumps(event(payment=payment())).encode()
    assert read(body, "EvtId000000001").alias == read(body, "EvtId000000002").alias
    assert read(body).alias != read(body + b" ").alias


@pytest.mark.parametrize(
    "given",
    [None, "", "x" * 256, "two\nlines", "\udcff", "sha256:" + "0" * 64],
    ids=["missing", "empty", "too long", "unprintable", "no text", "dressed up as a digest"],
)
def test_without_a_usable_id_in_the_header_the_digest_is_the_id(given: str | None) -> None:
    found = read(event(payment=payment()), given)
    assert found.provider_event_id == found.alias


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (event(created_at=1_567_674_606), 1_567_674_606_000),
        ({**event(created_at=None), "payload": {"created_at": 1_586_439_890}}, 1_586_439_890_000),
        ({**event(created_at=5), "payload": {"created_at": 9}}, 5_000),
        (event(created_at=None, payout={"id": "pout_1", "created_at": 1_580_808_301}), None),
        (event(created_at="2019-09-05"), None),
        (event(created_at=-1), None),
        (event(created_at=10**30), None),
        (event(created_at=True), None),
        (event(created_at=1.5), None),
    ],
)
def test_an_event_occurred_when_its_envelope_or_its_payload_says(body: dict[str, Any], expected: int | None) -> None:
    assert read(body).occurred_at == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"event": null}',
        b'{"event": ""}',
        b'{"event": 5}',
        b'{"event": ["payment.captured"]}',
        b'{"event": "payment\\u001b[31m"}',
        b'{"event": "' + b"p" * 256 + b'"}',
        b'{"event": "payment.captured"',
        b'{"event": "payment.captured"} {}',
        b'{"event": "\xff"}',
        b"event=payment.captured",
        b"[" * 200_000,
    ],
    ids=lambda body: ascii(body[:30]),
)
def test_a_body_without_a_usable_envelope_is_quarantined(body: bytes) -> None:
    with pytest.raises(NotUnderstoodError):
        read(body)


# --- Which payment it is about


@pytest.mark.parametrize(
    ("found", "payment_id"),
    [
        (event("payment.captured", payment=payment()), "pay_1"),
        (event("refund.processed", refund={"id": "rfnd_1", "payment_id": "pay_2"}, payment=payment()), "pay_2"),
        (event("refund.processed", refund={"id": "rfnd_1"}, payment=payment()), "pay_1"),
        (event("refund.processed", refund={"id": "rfnd_1", "payment_id": "pay_2"}), "pay_2"),
        (event("payment.dispute.won", dispute={"id": "disp_1", "payment_id": "pay_2"}, payment=payment()), "pay_2"),
        (event("order.paid", order={"id": "order_1"}, payment=payment()), "pay_1"),
        (event("order.paid", order={"id": "order_1"}), None),
        (event("invoice.paid", invoice={"id": "inv_1", "payment_id": "pay_0"}, payment=payment()), "pay_1"),
        (event("invoice.paid", invoice={"id": "inv_1", "payment_id": "pay_0"}), "pay_0"),
        (event("payment_link.paid", payment_link={"id": "plink_1"}, payment=payment()), "pay_1"),
        (event("subscription.charged", subscription={"id": "sub_1"}, payment=payment()), "pay_1"),
        (event("qr_code.credited", qr_code={"id": "qr_1"}, payment=payment()), "pay_1"),
        (event("virtual_account.credited", virtual_account={"id": "va_1"}, payment=payment()), "pay_1"),
        (event("transfer.processed", transfer={"id": "trf_1", "source": "pay_3"}), "pay_3"),
        (event("transfer.processed", transfer={"id": "trf_1", "source": "order_3"}), None),
        (event("payment.downtime.started", payment__downtime={"id": "down_1"}), None),
        (event("something.new", payment=payment()), "pay_1"),
        (event("something.new"), None),
    ],
)
def test_an_event_names_the_payment_it_is_about(found: dict[str, Any], payment_id: str | None) -> None:
    assert read(found).payment_id == payment_id


# --- Razorpay's own samples


@needs_samples
def test_the_event_of_razorpays_own_tests_is_read() -> None:
    found = read((SAMPLES / "sdk.fake_payment_authorized_webhook.json").read_bytes())
    assert (found.type, found.occurred_at, found.payment_id) == (
        "payment.authorized",
        1_400_826_760_000,
        "pay_6koWN7bvxujzxM",
    )
    fact = found.fact
    assert fact is not None
    # Its name says authorized and its entity captured: the entity is what moves.
    assert (fact.kind, fact.id, fact.status) == ("payment", "pay_6koWN7bvxujzxM", "captured")
    assert (fact.money.amount, fact.money.currency, fact.money.exponent) == (1_000_000, "INR", 2)
    assert fact.reference == "random order id"
    assert "order_100000000order" in fact.references


@needs_samples
@pytest.mark.parametrize(
    ("file", "event_type", "entity", "expected"),
    [
        ("fake_captured_payment", "payment.captured", "payment", ("payment", "captured", 500, "INR")),
        ("dispute", "payment.dispute.under_review", "dispute", ("dispute", "under_review", 5000, "INR")),
        ("fake_refund", "refund.processed", "refund", ("refund", "succeeded", 300_100, "INR")),
        ("fake_invoice", "invoice.issued", "invoice", ("invoice", "open", 100, "INR")),
        ("fake_order", "order.attempted", "order", ("order", "created", 500, "INR")),
        ("fake_payment_link", "payment_link.paid", "payment_link", ("payment_link", "paid", 100, "INR")),
        ("fake_settlement", "settlement.processed", "settlement", ("transfer", "succeeded", 60_000, None)),
        ("fake_subscription", "subscription.charged", "subscription", ("subscription", "active", None, None)),
        ("fake_transfer", "transfer.processed", "transfer", ("transfer", "succeeded", 100, "INR")),
    ],
)
def test_the_entities_of_razorpays_own_tests_are_read(
    file: str, event_type: str, entity: str, expected: tuple[Any, ...]
) -> None:
    theirs = json.loads((SAMPLES / f"sdk.{file}.json").read_bytes())
    fact = read(event(event_type, **{entity: theirs})).fact
    assert fact is not None
    assert (fact.kind, fact.status, fact.money.amount, fact.money.currency) == expected
    assert fact.id == theirs["id"]


@needs_samples
@pytest.mark.parametrize(("file", "entity"), [("fake_qrcode", "qr_code"), ("fake_virtual_accounts", "virtual_account")])
def test_what_only_takes_money_in_says_nothing_of_it_itself(file: str, entity: str) -> None:
    theirs = json.loads((SAMPLES / f"sdk.{file}.json").read_bytes())
    assert read(event(f"{entity}.created", **{entity: theirs})).fact is None


def test_what_is_signed_with_the_digest_of_a_sample_is_read_the_same_from_the_log() -> None:
    """The log keeps the headers of `kept_headers`, and only these."""
    room = Razorpay(Credentials([Secret("a secret")]))
    body = sample("razorpay", "payment.captured", NOW_S, Random(1))
    sent = {name.lower(): value for name, value in room.sign(body, NOW_S, "EvtId000000009").items()}
    kept = {name: sent[name] for name in room.kept_headers}
    assert room.read(Hook(kept, body, 0)) == room.read(Hook(sent, body, 0))
    assert room.read(Hook(kept, body, 0)).provider_event_id == "EvtId000000009"
