"""What Dodo Payments' events say about money, with its own library as the oracle of their signatures and shapes."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
import standardwebhooks
from dodopayments import DodoPayments
from dodopayments.types import UnwrapWebhookEvent
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from webhookd.core.event import Hook, Reading
from webhookd.core.ledger import RANKS
from webhookd.core.secret import Secret
from webhookd.providers.provider import Credentials, NotUnderstoodError
from webhookd.providers.standard import Standard
from webhookd.providers.standard.states import STATES, SUBJECTS
from webhookd.sandbox.samples import sample, types

SECRET, OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PROVIDER = Standard(Credentials([Secret(SECRET)]))
DODO = DodoPayments(bearer_token="x", webhook_key=SECRET)
SHAPES: TypeAdapter[Any] = TypeAdapter(UnwrapWebhookEvent)
ABOUT_MONEY = ("payment.", "refund.", "dispute.", "subscription.", "payout.")
NOW_S = 1_772_366_400

PAYMENT = {
    "payload_type": "Payment",
    "payment_id": "pay_1",
    "status": "succeeded",
    "total_amount": 4200,
    "currency": "USD",
    "settlement_amount": 3900,
    "settlement_currency": "EUR",
    "checkout_session_id": "cks_1",
    "subscription_id": "sub_1",
    "invoice_id": "inv_1",
    "metadata": {"order_id": "1042", "shelf": 12, "gift": True, "weight": 1.5},
    "refunds": [],
    "refund_status": None,
}
REFUND = {"payload_type": "Refund", "refund_id": "ref_1", "payment_id": "pay_1", "amount": 1200, "currency": "USD"}
DISPUTE = {"payload_type": "Dispute", "dispute_id": "dsp_1", "payment_id": "pay_1", "amount": "4200", "currency": "USD"}
PLAN = {"subscription_id": "sub_1", "recurring_pre_tax_amount": 1900, "currency": "JPY", "metadata": {"orderId": 77}}
SUBSCRIPTION = {"payload_type": "Subscription", "payment_id": None, **PLAN}
PAYOUT = {"payout_id": "pyt_1", "amount": 96700, "currency": "KWD"}


def event(event_type: str, data: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    merged = {**data, **changes}
    return {"business_id": "bus_1", "type": event_type, "timestamp": "2026-03-01T12:00:00Z", "data": merged}


def read(given_event: Any) -> Reading:
    body = given_event if isinstance(given_event, bytes) else json.dumps(given_event).encode()
    return PROVIDER.read(Hook({"webhook-id": "msg_1"}, body, 0))


def refund_of(amount: Any, status: Any = "succeeded", **more: Any) -> dict[str, Any]:
    return {"refund_id": f"ref_{amount}", "payment_id": "pay_1", "amount": amount, "status": status, **more}


# --- Dodo's library


@pytest.mark.parametrize("event_type", types("standard"))
def test_dodos_library_takes_every_sample_for_its_own_and_finds_its_shape_right(event_type: str) -> None:
    now_s = int(time.time())
    body = sample("standard", event_type, now_s, Random(1))
    unwrapped = DODO.webhooks.unwrap(body.decode(), headers=PROVIDER.sign(body, now_s, "msg_1"))
    assert unwrapped.type == event_type
    strict = type(unwrapped).model_validate_json(body)
    assert set(strict.data.model_extra or ()) == {"payload_type"}
    assert SHAPES.validate_json(body) == strict


@pytest.mark.parametrize("event_type", [name for name in types("standard") if name.startswith(ABOUT_MONEY)])
def test_what_is_read_in_a_sample_is_what_dodos_library_finds_there(event_type: str) -> None:
    body = sample("standard", event_type, NOW_S, Random(1))
    data, found = SHAPES.validate_json(body).data, read(body)
    subject = event_type.partition(".")[0]
    assert found.fact is not None
    assert found.fact.kind == SUBJECTS[subject]
    assert found.fact.id == getattr(data, f"{subject}_id")
    assert found.payment_id == getattr(data, "payment_id", None)
    state = data.dispute_status if subject == "dispute" else data.status
    amount = {"payment": "total_amount", "subscription": "recurring_pre_tax_amount"}.get(subject, "amount")
    assert found.fact.status == STATES[found.fact.kind][state]
    assert (found.fact.money.amount, found.fact.money.currency) == (int(getattr(data, amount)), data.currency)


def test_dodos_library_refuses_a_sample_that_another_secret_signed() -> None:
    now_s = int(time.time())
    body = sample("standard", "payment.succeeded", now_s, Random(1))
    signed = Standard(Credentials([Secret(OTHER)])).sign(body, now_s, "msg_1")
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        DODO.webhooks.unwrap(body.decode(), headers=signed)


def test_the_shapes_of_dodos_library_can_tell_a_wrong_sample() -> None:
    body = json.loads(sample("standard", "payment.succeeded", NOW_S, Random(1)))
    del body["data"]["total_amount"]
    with pytest.raises(ValidationError, match="total_amount"):
        SHAPES.validate_python(body)


def test_every_name_dodo_has_for_its_events_is_known_and_has_a_sample() -> None:
    names = {
        next(iter(each.model_fields["type"].annotation.__args__)) for each in UnwrapWebhookEvent.__args__[0].__args__
    }
    assert Standard.event_types == names == set(types("standard"))
    listed = Path(__file__).parents[2].parent / "shared" / "provider-events.json"
    if not listed.exists():
        pytest.skip(f"NO LIST: {listed} is not there")
    assert names == set(json.loads(listed.read_bytes())["dodo"]["events"])


# --- Money

Effect = tuple[str, str, str, int | None, str | None, str | None]
PAID: Effect = ("payment", "pay_1", "captured", 4200, "USD", "1042")
ASKED: Effect = ("refund", "ref_1", "succeeded", 1200, "USD", None)
MONEY: dict[str, tuple[Any, Effect | None]] = {
    "payment that succeeded": (event("payment.succeeded", PAYMENT), PAID),
    "payment that failed": (
        event("payment.failed", PAYMENT, status="failed"),
        ("payment", "pay_1", "failed", 4200, "USD", "1042"),
    ),
    "payment under way": (
        event("payment.processing", PAYMENT, status="requires_customer_action"),
        ("payment", "pay_1", "pending", 4200, "USD", "1042"),
    ),
    "payment cancelled": (
        event("payment.cancelled", PAYMENT, status="cancelled"),
        ("payment", "pay_1", "cancelled", 4200, "USD", "1042"),
    ),
    "payment held": (
        event("payment.processing", PAYMENT, status="requires_capture"),
        ("payment", "pay_1", "authorized", 4200, "USD", "1042"),
    ),
    "payment of nothing": (
        event("payment.succeeded", PAYMENT, total_amount=0),
        ("payment", "pay_1", "captured", 0, "USD", "1042"),
    ),
    "late event, newer payment": (event("payment.processing", PAYMENT), PAID),
    "payment without a state": (event("payment.succeeded", PAYMENT, status=None), PAID),
    "payment without payload_type": (event("payment.succeeded", PAYMENT, payload_type=None), PAID),
    "payment under another name": (event("invoice.settled", PAYMENT), PAID),
    "payment refunded in part": (
        event("payment.succeeded", PAYMENT, refund_status="partial"),
        ("payment", "pay_1", "partially_refunded", 4200, "USD", "1042"),
    ),
    "payment refunded": (
        event("payment.succeeded", PAYMENT, refund_status="full"),  # by the sum, which a refund that fails lowers again
        ("payment", "pay_1", "captured", 4200, "USD", "1042"),
    ),
    "refund": (event("refund.succeeded", REFUND, status="succeeded"), ASKED),
    "refund without a state": (event("refund.succeeded", REFUND), ASKED),
    "refund under review": (
        event("refund.succeeded", REFUND, status="review"),
        ("refund", "ref_1", "pending", 1200, "USD", None),
    ),
    "refund that failed": (
        event("refund.failed", REFUND, status="failed"),
        ("refund", "ref_1", "failed", 1200, "USD", None),
    ),
    "refund of an amount not known": (
        event("refund.succeeded", REFUND, amount=None, currency=None),
        ("refund", "ref_1", "succeeded", None, None, None),
    ),
    "dispute": (
        event("dispute.opened", DISPUTE, dispute_status="dispute_opened"),
        ("dispute", "dsp_1", "open", 4200, "USD", None),
    ),
    "dispute of less than nothing": (
        event("dispute.opened", DISPUTE, amount="-4200", dispute_status="dispute_opened"),
        ("dispute", "dsp_1", "open", None, "USD", None),
    ),
    "dispute without a state": (
        event("dispute.challenged", DISPUTE),
        ("dispute", "dsp_1", "under_review", 4200, "USD", None),
    ),
    "dispute, late event": (
        event("dispute.opened", DISPUTE, dispute_status="dispute_won"),
        ("dispute", "dsp_1", "won", 4200, "USD", None),
    ),
    "dispute accepted": (
        event("dispute.accepted", DISPUTE, dispute_status="dispute_accepted"),
        ("dispute", "dsp_1", "lost", 4200, "USD", None),
    ),
    "dispute of a whole number": (
        event("dispute.lost", DISPUTE, amount=400),
        ("dispute", "dsp_1", "lost", 400, "USD", None),
    ),
    "dispute of an unclear unit": (
        event("dispute.lost", DISPUTE, amount="42.00"),
        ("dispute", "dsp_1", "lost", None, "USD", None),
    ),
    "subscription": (
        event("subscription.active", SUBSCRIPTION, status="active"),
        ("subscription", "sub_1", "active", 1900, "JPY", "77"),
    ),
    "subscription renewed": (
        event("subscription.renewed", SUBSCRIPTION),
        ("subscription", "sub_1", "active", 1900, "JPY", "77"),
    ),
    "subscription past due": (
        event("subscription.updated", SUBSCRIPTION, status="past_due"),
        ("subscription", "sub_1", "past_due", 1900, "JPY", "77"),
    ),
    "subscription on hold": (
        event("subscription.on_hold", SUBSCRIPTION, status="on_hold"),
        ("subscription", "sub_1", "halted", 1900, "JPY", "77"),
    ),
    "subscription updated, without a state": (event("subscription.updated", SUBSCRIPTION), None),
    "payout": (
        event("payout.created", PAYOUT, status="not_initiated"),
        ("transfer", "pyt_1", "pending", 96700, "KWD", None),
    ),
    "payout without a state": (event("payout.created", PAYOUT), ("transfer", "pyt_1", "pending", 96700, "KWD", None)),
    "payout returned": (
        event("payout.failed", PAYOUT, status="failed"),
        ("transfer", "pyt_1", "failed", 96700, "KWD", None),
    ),
    "payout recovered": (event("payout.success", PAYOUT), ("transfer", "pyt_1", "succeeded", 96700, "KWD", None)),
    "license key of a payment": (
        event("license_key.created", {"payload_type": "LicenseKey", "payment_id": "pay_1"}),
        None,
    ),
    "dunning": (event("dunning.started", {"status": "recovering", "subscription_id": "sub_1"}), None),
    "credit": (event("credit.added", {"amount": "100", "id": "cle_1"}), None),
    "a name and a shape that disagree, no state": (event("refund.succeeded", PAYMENT, status=None), None),
}


@pytest.mark.parametrize(("given_event", "effect"), MONEY.values(), ids=MONEY)
def test_what_an_event_says_about_money(given_event: Any, effect: Effect | None) -> None:
    fact = read(given_event).fact
    said = fact and (fact.kind, fact.id, fact.status, fact.money.amount, fact.money.currency, fact.reference)
    assert said == effect


@pytest.mark.parametrize(
    ("given_event", "payment_id"),
    [
        (event("payment.succeeded", PAYMENT), "pay_1"),
        (event("refund.succeeded", REFUND), "pay_1"),
        (event("dispute.opened", DISPUTE), "pay_1"),
        (event("subscription.renewed", SUBSCRIPTION, payment_id="pay_2"), "pay_2"),
        (event("subscription.active", SUBSCRIPTION), None),
        (event("license_key.created", {"payment_id": "pay_1"}), "pay_1"),
        (event("payout.success", PAYOUT), None),
    ],
    ids=lambda given: given["type"] if isinstance(given, dict) else str(given),
)
def test_an_event_leads_to_its_payment(given_event: Any, payment_id: str | None) -> None:
    assert read(given_event).payment_id == payment_id


def test_a_payment_is_found_by_its_order_session_subscription_invoice_and_what_else_the_shop_wrote() -> None:
    fact = read(event("payment.succeeded", PAYMENT)).fact
    assert fact is not None
    assert (fact.reference, fact.references) == ("1042", ("12", "cks_1", "sub_1", "inv_1"))


@pytest.mark.parametrize(
    "metadata", [None, {}, [], "x", {"order_id": ""}, {"order_id": None}, {"order_id": ["1"]}], ids=str
)
def test_without_a_reference_there_is_none(metadata: Any) -> None:
    fact = read(event("payment.succeeded", PAYMENT, metadata=metadata)).fact
    assert fact is not None
    assert (fact.reference, fact.references) == (None, ("cks_1", "sub_1", "inv_1"))


@pytest.mark.parametrize(
    ("refunds", "refunded"),
    [
        ([], 0),
        ([refund_of(700)], 700),
        ([refund_of(700), refund_of(500, currency="USD")], 1200),
        ([refund_of(700), refund_of(9, "failed"), refund_of(9, "pending"), refund_of(None, "review")], 700),
        ([refund_of(700, currency="EUR")], None),
        ([refund_of(700), refund_of(None)], None),
        ([refund_of("700.00")], None),
        ([refund_of(-700)], None),
        ([refund_of(700, "weird")], None),
        ([refund_of(700, None)], None),
        ([refund_of(10**15), refund_of(10**15)], None),
        (["ref_1"], None),
        ([None], None),
        (None, None),
        ({}, None),
        ("none", None),
    ],
    ids=str,
)
def test_what_was_refunded_of_a_payment_is_the_sum_of_the_refunds_it_lists(refunds: Any, refunded: int | None) -> None:
    fact = read(event("payment.succeeded", PAYMENT, refunds=refunds)).fact
    assert fact is not None
    assert fact.refunded == refunded


def test_a_payment_that_did_not_succeed_has_nothing_refunded() -> None:
    fact = read(event("payment.failed", PAYMENT, status="failed", refunds=[refund_of(5)], refund_status="full")).fact
    assert fact is not None
    assert (fact.status, fact.refunded) == ("failed", None)


def test_an_odd_word_about_refunds_leaves_the_payment_as_it_is() -> None:
    for word in ("weird", "failed", 5, [], "p" * 65):
        fact = read(event("payment.succeeded", PAYMENT, refund_status=word)).fact
        assert fact is not None
        assert (fact.status, fact.detail) == ("captured", "succeeded")


# --- Who else sends Standard Webhooks, and what is odd


@pytest.mark.parametrize(
    "given_event",
    [
        {"type": "payment.succeeded", "data": PAYMENT},
        {"type": "payment.succeeded", "data": PAYMENT, "business_id": None},
        {"type": "payment.succeeded", "data": PAYMENT, "business_id": 5},
        {"type": "user.created", "data": {"id": "user_1", "object": "user"}, "object": "event"},
        {"type": "order.paid", "data": {"id": "ord_1", "amount": 5, "status": "paid", "payment_id": "p_1"}},
        {"type": "email.bounced", "created_at": "2026-03-01T12:00:00Z", "data": {"email_id": "1"}},
    ],
    ids=lambda given: f"{given['type']} {given.get('business_id')}",
)
def test_the_events_of_other_senders_say_nothing_about_money(given_event: Any) -> None:
    found = read(given_event)
    assert (found.provider_event_id, found.type) == ("msg_1", given_event["type"])
    assert (found.payment_id, found.fact) == (None, None)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "weird"},
        {"status": 5},
        {"status": ["succeeded"]},
        {"status": "s" * 65},
        {"payment_id": None},
        {"payment_id": ""},
        {"payment_id": 5},
        {"total_amount": None},
        {"total_amount": "much"},
        {"total_amount": "42.00"},
        {"total_amount": 42.0},
        {"total_amount": -1},
        {"total_amount": 10**16},
        {"total_amount": True},
        {"currency": None},
        {"currency": "dollars"},
        {"currency": 840},
    ],
    ids=str,
)
def test_an_odd_payment_is_taken_and_leaves_the_ledger_alone(changes: Any) -> None:
    found = read(event("payment.succeeded", PAYMENT, **changes))
    assert (found.provider_event_id, found.type, found.fact) == ("msg_1", "payment.succeeded", None)


@pytest.mark.parametrize("amount", ["much", "12.00", 12.5, -5, 10**16, True, []], ids=str)
def test_a_refund_of_an_odd_amount_leaves_the_ledger_alone(amount: Any) -> None:
    assert read(event("refund.succeeded", REFUND, amount=amount)).fact is None


@pytest.mark.parametrize(
    "data", [None, [], [PAYMENT], "x", 5, {}, {"payload_type": []}, {"payload_type": "Payment"}], ids=str
)
def test_data_that_is_no_object_or_empty_is_taken(data: Any) -> None:
    found = read({"business_id": "bus_1", "type": "payment.succeeded", "data": data})
    assert (found.payment_id, found.fact) == (None, None)


def test_numbers_and_nesting_beyond_all_bounds_break_nothing() -> None:
    for odd in ("9" * 5_000, "-" + "9" * 5_000, "1e999999999999999999999", "0." + "1" * 5_000, "[" * 900 + "]" * 900):
        body = (
            f'{{"business_id": "b", "type": "payment.succeeded", "data": {{"payment_id": "p", "total_amount": {odd}}}}}'
        )
        assert read(body.encode()).fact is None
    with pytest.raises(NotUnderstoodError):
        read(b'{"type": "payment.succeeded", "data": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from([*PAYMENT, *REFUND, *DISPUTE, *PLAN, *PAYOUT, "dispute_status"])


@given(
    st.sampled_from([*sorted(Standard.event_types), "x"]),
    st.sampled_from([PAYMENT, REFUND, DISPUTE, SUBSCRIPTION, PAYOUT, {}]),
    st.dictionaries(MEMBERS, JSON),
)
def test_whatever_an_authentic_event_holds_it_is_read(event_type: str, data: Any, changes: Any) -> None:
    found = read(event(event_type, data, **changes))
    assert (found.provider_event_id, found.type) == ("msg_1", event_type)
    assert found.fact is None or found.fact.status in RANKS[found.fact.kind]


def test_every_word_for_a_state_means_one_of_the_ledgers() -> None:
    assert {status for kind in STATES for status in STATES[kind].values() if status not in RANKS[kind]} == set()


def test_the_words_are_those_of_dodos_library() -> None:
    def words(subject: str, field: str, event_type: str) -> set[str]:
        found = SHAPES.json_schema()["$defs"]
        name = next(
            each for each, value in found.items() if value["properties"].get("type", {}).get("const") == event_type
        )
        data = found[name]["properties"]["data"]["$ref"].rpartition("/")[2]
        given = found[data]["properties"][field]
        return set(given.get("enum") or given["anyOf"][0]["enum"])

    by_name = {"subscription": {"renewed", "unpaused"}, "transfer": {"created"}, "payment": {"partial"}}
    for subject, kind in SUBJECTS.items():
        field = "dispute_status" if subject == "dispute" else "status"
        event_type = {"dispute": "dispute.won", "subscription": "subscription.active", "payout": "payout.failed"}
        theirs = words(subject, field, event_type.get(subject, f"{subject}.failed"))
        assert set(STATES[kind]) == theirs | by_name.get(kind, set())
    # The other one is told as a sum.
    assert words("payment", "refund_status", "payment.failed") == {*by_name["payment"], "full"}


def test_a_full_refund_is_told_as_a_sum():
    fact = read(event("payment.succeeded", PAYMENT, refund_status="full")).fact
    assert fact is not None
    assert (fact.status, fact.refunded) == ("captured", 4200)


@pytest.mark.parametrize("status", ["partially_captured", "partially_captured_and_capturable"])
def test_of_a_payment_captured_in_part_the_amount_is_not_guessed(status: str):
    fact = read(event("payment.succeeded", PAYMENT, status=status)).fact
    assert fact is not None
    assert (fact.status, fact.money.amount, fact.money.currency) == ("captured", None, "USD")
