"""What is read in Flutterwave's events: their shape, the key that makes them one, and what they say about money."""

import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.event import Hook, Reading, is_name
from webhookd.core.ledger import RANKS
from webhookd.providers.flutterwave import Flutterwave
from webhookd.providers.flutterwave.states import STATES
from webhookd.providers.provider import NotUnderstoodError
from webhookd.sandbox.samples import sample, types

SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples" / "flutterwave"
NOW_S = 1_772_366_400

V4 = {
    "webhook_id": "wbk_1",
    "timestamp": 1_739_456_704_200,
    "type": "charge.completed",
    "data": {
        "id": "chg_1",
        "amount": 1500.25,
        "currency": "NGN",
        "reference": "order-7",
        "status": "succeeded",
        "meta": {"order_id": "7", "shelf": 12},
        "created_datetime": "2025-02-13T14:24:43.133812148Z",
    },
}
V3 = {
    "event": "charge.completed",
    "event.type": "CARD_TRANSACTION",
    "data": {
        "id": 285959875,
        "tx_ref": "order-7",
        "flw_ref": "FLW-1",
        "amount": 100,
        "charged_amount": 101.4,
        "currency": "NGN",
        "status": "successful",
        "created_at": "2020-07-06T19:17:04.000Z",
        "customer": {"id": 215604089, "created_at": "2019-07-06T19:17:04.000Z"},
    },
    "meta_data": {"cart": "c-9"},
}
FLAT = {
    "id": 8944267,
    "txRef": "order-7",
    "flwRef": "FLW-1",
    "orderRef": "URF_1",
    "status": "successful",
    "amount": 3100,
    "charged_amount": 3100,
    "currency": "NGN",
    "customer": {"id": 1},
    "entity": {"id": "NO-ENTITY"},
    "event.type": "CARD_TRANSACTION",
    "createdAt": "2025-11-02T10:00:00.000Z",
}
REFUND = {
    "id": 89074,
    "AmountRefunded": 5000,
    "status": "completed",
    "FlwRef": "FLW-1",
    "destination": "payment_source",
    "meta": '{"source":"ledgerbalance"}',
    "createdAt": "2026-01-30T08:35:45.000Z",
    "updatedAt": "2026-01-30T08:35:46.000Z",
    "TransactionId": 8784082,
}
OLD_TRANSFER = {
    "event.type": "Transfer",
    "transfer": {"id": 26, "amount": 5500, "currency": "UGX", "status": "FAILED", "reference": "payout-1"},
}
CARD = {
    "TransactionId": "9998d447",
    "Status": "Successful",
    "Amount": 0.2075,
    "Type": "Debit",
    "CardId": "c1",
    "MaskedPan": "428803******4329",
}
NAMED = {"event": "charge.completed", "data": {}}


def read(event: Any) -> Reading:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return Flutterwave.read(Hook({}, body, 0))


def changed(event: Mapping[str, Any], **data: Any) -> dict[str, Any]:
    """The event with other members of `data`; None takes one away."""
    inner = {**event["data"], **data}
    return {**event, "data": {name: value for name, value in inner.items() if value is not None}}


def v4(event_type: str, **data: Any) -> dict[str, Any]:
    return {"webhook_id": "wbk_2", "timestamp": 1_739_456_704_200, "type": event_type, "data": data}


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


# --- Shapes and keys


@pytest.mark.parametrize(
    ("event", "name", "key", "payment_id", "at_ms"),
    [
        (V4, "charge.completed", "wbk_1", "chg_1", 1_739_456_704_200),
        ({**V4, "webhook_id": None, "id": "wbk_9"}, "charge.completed", "wbk_9", "chg_1", 1_739_456_704_200),
        ({**V4, "id": "wbk_9"}, "charge.completed", "wbk_1", "chg_1", 1_739_456_704_200),
        (V3, "charge.completed", "charge.completed:285959875:successful", "285959875", ms("2020-07-06T19:17:04")),
        (FLAT, "charge.completed", "charge.completed:8944267:successful", "8944267", ms("2025-11-02T10:00:00")),
        (REFUND, "refund.completed", "refund.completed:89074:completed", "8784082", ms("2026-01-30T08:35:46")),
        (
            {"event": "refund.completed", "data": REFUND},
            "refund.completed",
            "refund.completed:89074:completed",
            "8784082",
            ms("2026-01-30T08:35:46"),
        ),
        (OLD_TRANSFER, "transfer.completed", "transfer.completed:26:failed", None, None),
        (CARD, "virtual_card.debit", "virtual_card.debit:9998d447:successful", None, None),
    ],
    ids=[
        "v4",
        "v4 with id",
        "v4 with both",
        "v3",
        "v3 flat",
        "v3 refund",
        "v3 refund, named",
        "v3 transfer",
        "v3 card",
    ],
)
def test_each_shape_is_told_apart_by_what_it_holds(
    event: Any, name: str, key: str, payment_id: str | None, at_ms: int | None
) -> None:
    found = read(event)
    assert (found.type, found.provider_event_id) == (name, key)
    assert (found.payment_id, found.occurred_at, found.alias) == (payment_id, at_ms, None)


@pytest.mark.parametrize("event", [V3, FLAT, REFUND, OLD_TRANSFER, CARD], ids=["v3", "flat", "refund", "old", "card"])
def test_in_v3_a_stranger_cannot_make_a_new_event_of_an_old_one_with_spaces_order_or_case(event: Any) -> None:
    key = read(event).provider_event_id
    assert read(json.dumps(event, indent=3).encode()).provider_event_id == key
    assert read(json.dumps(event, sort_keys=True).encode() + b"\n").provider_event_id == key
    assert read({**event, "more": "x"}).provider_event_id == key
    assert read(json.dumps(event).replace("uccessful", "UCCESSFUL").encode()).provider_event_id == key


def test_in_v3_another_state_of_the_same_charge_is_another_event() -> None:
    keys = {read(changed(V3, status=status)).provider_event_id for status in ("pending", "failed", "successful")}
    assert len(keys | {read(changed(V3, id=5)).provider_event_id}) == 4


@pytest.mark.parametrize(
    ("data", "key"),
    [
        ({"flw_ref": "F", "tx_ref": "T", "status": "failed"}, "charge.completed:F:failed"),
        ({"tx_ref": "T", "status": "failed"}, "charge.completed:T:failed"),
        ({"id": 1.5, "tx_ref": "T"}, "charge.completed:T:"),
        ({"id": "", "reference": "R", "status": 5}, "charge.completed:R:"),
        ({"id": 0, "status": "x" * 65}, "charge.completed:0:"),
    ],
    ids=str,
)
def test_without_an_id_the_references_make_the_key(data: Any, key: str) -> None:
    assert read({"event": "charge.completed", "data": data}).provider_event_id == key


@pytest.mark.parametrize(
    "event", [NAMED, {"type": "x"}, {"event": "x"}, {"event": "test_assess", "data": "none"}], ids=str
)
def test_what_has_no_name_at_all_is_known_by_its_body(event: Any) -> None:
    key = read(event).provider_event_id
    assert key.startswith("sha256:")
    assert read(event).provider_event_id == key
    assert read({**event, "more": 1}).provider_event_id != key


def test_what_stands_beside_a_v3_event_is_not_its_id() -> None:
    for more in ({"webhook_id": "wbk_5"}, {"id": "wbk_5"}, {"type": "charge.completed", "id": "wbk_5"}):
        assert read({**V3, **more}).provider_event_id == "charge.completed:285959875:successful"


def test_a_v4_event_without_an_id_is_known_by_its_charge_and_state() -> None:
    event = {name: value for name, value in V4.items() if name != "webhook_id"}
    assert read(event).provider_event_id == "charge.completed:chg_1:succeeded"


def test_a_key_is_never_longer_than_a_name_may_be() -> None:
    long = read({"event": "e" * 255, "data": {"tx_ref": "t" * 255, "status": "s" * 64}})
    other = read({"event": "e" * 255, "data": {"tx_ref": "t" * 254 + "u", "status": "s" * 64}})
    assert is_name(long.provider_event_id)
    assert long.provider_event_id != other.provider_event_id


@pytest.mark.parametrize(
    ("time", "at_ms"),
    [
        ("2025-06-02T07:47:02.537812148Z", ms("2025-06-02T07:47:02.537812")),
        ("2025-06-02T08:47:02.945+01:00", ms("2025-06-02T07:47:02.945")),
        (1735116842.116, 1_735_116_842_116),
        (1735116842, 1_735_116_842_000),
        (0, None),
        (-1, None),
        (1e300, None),
        (1e-300, None),
        (True, None),
        ("1735116842.116", None),
        ("yesterday", None),
        ([], None),
    ],
    ids=str,
)
def test_the_time_of_an_object_is_iso_or_unix_seconds_with_a_fraction(time: Any, at_ms: int | None) -> None:
    assert read({"type": "x", "data": {"created_datetime": time}}).occurred_at == at_ms


@pytest.mark.parametrize("timestamp", [None, "1739456704200", 1.5, 0, -5, 10**15, 10**40, True, []], ids=str)
def test_an_odd_time_of_the_event_leaves_the_objects(timestamp: Any) -> None:
    assert read({**V4, "timestamp": timestamp}).occurred_at == ms("2025-02-13T14:24:43.133812")


# --- Money

CHARGE = {"amount": 1500.25, "currency": "NGN", "reference": "order-7"}
TRANSFER = {"id": "trf_1", "amount": 50000, "source_currency": "NGN", "destination_currency": "NGN", "reference": "p-1"}
CHARGEBACK = {"id": "chb_1", "amount": 10, "currency": "KES", "charge_id": "chg_1"}
REFUNDED = {"id": "rfd_1", "amount_refunded": 12.5, "charge_id": "chg_1"}

MONEY: dict[str, tuple[Any, tuple[str, str, str, int | None, str | None, str | None] | None]] = {
    "v4 charge": (V4, ("payment", "chg_1", "captured", 150025, "NGN", "order-7")),
    "v4 charge, pending": (changed(V4, status="pending"), ("payment", "chg_1", "pending", 150025, "NGN", "order-7")),
    "v4 charge that failed": (changed(V4, status="failed"), ("payment", "chg_1", "failed", 150025, "NGN", "order-7")),
    "v4 charge.failed": (
        v4("charge.failed", id="chg_1", **CHARGE),
        ("payment", "chg_1", "failed", 150025, "NGN", "order-7"),
    ),
    "v4 charge in shillings": (
        changed(V4, amount=1500, currency="UGX"),
        ("payment", "chg_1", "captured", 1500, "UGX", "order-7"),
    ),
    "v4 charge, unknown unit": (changed(V4, currency="XXX"), ("payment", "chg_1", "captured", None, "XXX", "order-7")),
    "v3 charge": (V3, ("payment", "285959875", "captured", 10000, "NGN", "order-7")),
    "v3 charge that failed": (
        changed(V3, status="failed"),
        ("payment", "285959875", "failed", 10000, "NGN", "order-7"),
    ),
    "v3 charge, upper case": (
        changed(V3, status="SUCCESSFUL"),
        ("payment", "285959875", "captured", 10000, "NGN", "order-7"),
    ),
    "flat charge": (FLAT, ("payment", "8944267", "captured", 310000, "NGN", "order-7")),
    "flat refund": (REFUND, ("refund", "89074", "succeeded", None, None, None)),
    "flat refund by mobile money": (
        {**REFUND, "status": "pending-momo"},
        ("refund", "89074", "pending", None, None, None),
    ),
    "flat refund with a currency": (
        {**REFUND, "currency": "NGN"},
        ("refund", "89074", "succeeded", 500000, "NGN", None),
    ),
    "v4 refund": (
        v4("refund.completed", status="succeeded", **REFUNDED),
        ("refund", "rfd_1", "succeeded", None, None, None),
    ),
    "v4 refund with a currency": (
        v4("refund.completed", currency="NGN", status="completed", **REFUNDED),
        ("refund", "rfd_1", "succeeded", 1250, "NGN", None),
    ),
    "v4 refund.failed": (v4("refund.failed", **REFUNDED), ("refund", "rfd_1", "failed", None, None, None)),
    "v4 chargeback.created": (v4("chargeback.created", **CHARGEBACK), ("dispute", "chb_1", "open", 1000, "KES", None)),
    "v4 chargeback of less than nothing": (
        v4("chargeback.created", **{**CHARGEBACK, "amount": -10}),
        ("dispute", "chb_1", "open", None, "KES", None),
    ),
    "v4 chargeback, contested": (
        v4("chargeback.updated", status="declined", **CHARGEBACK),
        ("dispute", "chb_1", "under_review", 1000, "KES", None),
    ),
    "v4 chargeback, lost": (
        v4("chargeback.updated", status="accepted", **CHARGEBACK),
        ("dispute", "chb_1", "lost", 1000, "KES", None),
    ),
    "v4 transfer": (
        v4("transfer.disburse", status="SUCCESSFUL", **TRANSFER),
        ("transfer", "trf_1", "succeeded", 5000000, "NGN", "p-1"),
    ),
    "v4 transfer that failed": (
        v4("transfer.disburse", status="FAILED", **TRANSFER),
        ("transfer", "trf_1", "failed", 5000000, "NGN", "p-1"),
    ),
    "v4 transfer.failed": (v4("transfer.failed", **TRANSFER), ("transfer", "trf_1", "failed", 5000000, "NGN", "p-1")),
    "v4 transfer that is reversed": (
        v4("transfer.reversal", status="SUCCESSFUL", **TRANSFER),
        ("transfer", "trf_1", "reversed", 5000000, "NGN", "p-1"),
    ),
    "v4 transfer between currencies": (
        v4(
            "transfer.disburse",
            **{**TRANSFER, "destination_currency": "EUR", "status": "NEW"},
            debit_information={"currency": "NGN", "actual_debit_amount": 88000.75},
        ),
        ("transfer", "trf_1", "pending", 8800075, "NGN", "p-1"),
    ),
    "v3 transfer": (
        {"event": "transfer.completed", "data": {"id": 5, "amount": 26.75, "currency": "GHS", "status": "SUCCESSFUL"}},
        ("transfer", "5", "succeeded", 2675, "GHS", None),
    ),
    "old transfer": (OLD_TRANSFER, ("transfer", "26", "failed", 5500, "UGX", "payout-1")),
    "bill": (
        {
            "event": "singlebillpayment.status",
            "data": {"flw_ref": "BP1", "customer_reference": "b-1", "amount": 5, "status": "success"},
        },
        ("transfer", "BP1", "succeeded", None, None, "b-1"),
    ),
    "subscription": (
        {
            "event": "subscription.cancelled",
            "data": {"id": 9, "status": "deactivated", "currency": "NGN", "amount": 200},
        },
        ("subscription", "9", "cancelled", 20000, "NGN", None),
    ),
    "subscription without an id": ({"event": "subscription.cancelled", "data": {"status": "deactivated"}}, None),
    "v3 refund under the name of its charge": (
        {"event": "charge.completed", "data": REFUND},
        ("refund", "89074", "succeeded", None, None, None),
    ),
    "virtual account": (v4("virtual_account.funded", id="van_1", status="succeeded", **CHARGE), None),
    "virtual card": (CARD, None),
    "identity": ({"event": "bvn.completed", "data": {"id": 18, "status": "COMPLETED"}}, None),
    "the dashboard's test": ({**V3, "event": "test_assess"}, None),
    "an authorization of an order": (v4("order.authorization", id="ord_1", status="authorized", **CHARGE), None),
}


@pytest.mark.parametrize(("event", "effect"), MONEY.values(), ids=MONEY)
def test_what_an_event_says_about_money(event: Any, effect: tuple[Any, ...] | None) -> None:
    fact = read(event).fact
    said = fact and (fact.kind, fact.id, fact.status, fact.money.amount, fact.money.currency, fact.reference)
    assert said == effect
    assert fact is None or fact.refunded is None


@pytest.mark.parametrize(
    ("event", "payment_id"),
    [
        (v4("refund.completed", status="succeeded", **REFUNDED), "chg_1"),
        (v4("chargeback.created", **CHARGEBACK), "chg_1"),
        (v4("chargeback.created", id="chb_1", charge={"id": "chg_2"}), "chg_2"),
        ({"event": "chargeback.created", "data": {"id": 1, "tx_id": 908790}}, "908790"),
        (v4("transfer.disburse", status="SUCCESSFUL", **TRANSFER), None),
    ],
    ids=str,
)
def test_a_refund_and_a_chargeback_lead_to_their_charge(event: Any, payment_id: str | None) -> None:
    assert read(event).payment_id == payment_id


@pytest.mark.parametrize(
    ("event", "names"),
    [(V4, ("7", "12")), (V3, ("FLW-1", "c-9")), (FLAT, ("FLW-1", "URF_1")), (REFUND, ("FLW-1",))],
    ids=["v4", "v3", "flat", "refund"],
)
def test_a_payment_is_found_by_all_its_other_names(event: Any, names: tuple[str, ...]) -> None:
    fact = read(event).fact
    assert fact is not None
    assert fact.references == names


# --- Authentic, but odd


@pytest.mark.parametrize(
    "data",
    [
        {"status": "weird"},
        {"status": "completed"},
        {"status": 5},
        {"status": ["succeeded"]},
        {"status": "s" * 65},
        {"id": None},
        {"id": ""},
        {"id": 1.5},
        {"id": -1},
        {"id": 10**30},
        {"id": {"of": "a thing"}},
        {"amount": None},
        {"amount": "much"},
        {"amount": "1e5"},
        {"amount": -5},
        {"amount": 1.005},
        {"amount": 10**16},
        {"amount": True},
        {"amount": {"value": 5}},
        {"currency": None},
        {"currency": "naira"},
        {"currency": 566},
    ],
    ids=str,
)
@pytest.mark.parametrize("event", [V4, V3], ids=["v4", "v3"])
def test_an_odd_charge_is_taken_and_leaves_the_ledger_alone(event: Any, data: Any) -> None:
    found = read({**event, "data": {**event["data"], **data}})
    assert (found.type, found.fact) == ("charge.completed", None)
    assert is_name(found.provider_event_id)


def test_an_amount_in_a_string_is_read_like_a_number() -> None:
    fact = read(changed(V4, amount="1500.25")).fact
    assert fact is not None
    assert fact.money.amount == 150025


def test_numbers_and_nesting_beyond_all_bounds_break_nothing() -> None:
    for odd in ("9" * 5_000, "-" + "9" * 5_000, "1e999999999999999999999", "0." + "1" * 5_000, "[" * 900 + "]" * 900):
        found = read(
            f'{{"webhook_id": "wbk_1", "type": "charge.completed", "data": {{"id": "c", "amount": {odd}}}}}'.encode()
        )
        assert (found.provider_event_id, found.fact) == ("wbk_1", None)
    with pytest.raises(NotUnderstoodError):
        read(b'{"event": "charge.completed", "data": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}")


@pytest.mark.parametrize("data", [None, [], [V4["data"]], "x", 5, {}], ids=str)
@pytest.mark.parametrize("event", [V4, V3], ids=["v4", "v3"])
def test_data_that_is_no_object_or_empty_is_taken(event: Any, data: Any) -> None:
    found = read({**event, "data": data})
    assert (found.type, found.payment_id, found.fact) == ("charge.completed", None, None)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"null", b'"x"', b"5", b"event=x", b'{"event":"x"', b'{"event":"x"} x', b"[" * 100_000),
        *({}, {"event": None}, {"event": 5}, {"event": ""}, {"type": []}, {"data": {"id": 1}}, {"event": "a\nb"}),
        *({"event.type": 5}, {"event": "e" * 256}, {"id": 1, "status": "successful"}, {"MaskedPan": "4"}),
    ],
    ids=lambda body: ascii(body)[:30],
)
def test_a_body_of_no_known_shape_is_quarantined(body: Any) -> None:
    with pytest.raises(NotUnderstoodError):
        read(body)


@pytest.mark.parametrize("mark", ["txRef", "flwRef"])
def test_one_reference_is_enough_for_a_flat_charge(mark: str) -> None:
    found = read({mark: "r-1", "status": "pending"})
    assert (found.type, found.provider_event_id) == ("charge.completed", "charge.completed:r-1:pending")


def test_a_flat_event_of_another_kind_goes_by_the_name_it_has() -> None:
    found = read({"event.type": "USSD_TRANSACTION", "id": 4, "status": "successful"})
    assert (found.type, found.provider_event_id) == ("USSD_TRANSACTION", "USSD_TRANSACTION:4:successful")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = "id amount currency status reference tx_ref flw_ref meta created_at charge_id AmountRefunded charge".split()


@given(
    st.sampled_from([*sorted(Flutterwave.event_types), "x"]),
    st.sampled_from(["event", "type"]),
    st.dictionaries(st.sampled_from(MEMBERS), JSON) | JSON,
    st.dictionaries(st.sampled_from(["webhook_id", "id", "timestamp", "transfer", "txRef", "meta_data"]), JSON),
)
def test_whatever_an_authentic_event_holds_it_is_read(name: str, key: str, data: Any, more: Any) -> None:
    found = read({**more, key: name, "data": data})
    assert found.type == name
    assert is_name(found.provider_event_id)
    assert found.fact is None or found.fact.status in RANKS[found.fact.kind]
    assert read({**more, key: name, "data": data}) == found


@given(
    JSON
    | st.dictionaries(st.sampled_from([*MEMBERS, "event", "type", "data", "txRef", "event.type", "transfer"]), JSON)
)
def test_any_json_is_read_or_quarantined(event: Any) -> None:
    with suppress(NotUnderstoodError):
        assert read(event).type


@given(st.binary())
def test_any_bytes_are_read_or_quarantined(body: bytes) -> None:
    with suppress(NotUnderstoodError):
        assert read(body).type


# --- Tables and samples


def test_every_word_for_a_state_means_one_of_the_ledgers() -> None:
    assert {status for kind in STATES for status in STATES[kind].values() if status not in RANKS[kind]} == set()


@pytest.mark.parametrize("kind", sorted(STATES))
def test_every_word_for_a_state_makes_a_fact_of_it_in_both_cases(kind: Any) -> None:
    name = {"payment": "charge", "dispute": "chargeback"}.get(kind, kind)
    for word, status in STATES[kind].items():
        for given_word in (word, word.upper()):
            fact = read(v4(f"{name}.x", id="o_1", status=given_word, **CHARGE)).fact
            assert fact is not None
            assert (fact.kind, fact.status, fact.detail) == (kind, status, given_word)


def test_there_is_a_sample_of_every_event() -> None:
    assert set(types("flutterwave")) == Flutterwave.event_types


@pytest.mark.parametrize("event_type", types("flutterwave"))
def test_a_sample_moves_money_exactly_where_its_type_is_about_money(event_type: str) -> None:
    silent = {"virtual_account.funded", "subscription.cancelled", "bvn.completed", "test_assess"}
    assert (read(sample("flutterwave", event_type, NOW_S, Random(1))).fact is None) == (event_type in silent)


def test_published_events_are_read_with_their_payment_and_answers_of_the_api_are_not_taken_for_events() -> None:
    if not SAMPLES.exists():
        pytest.skip(f"NO SAMPLES: {SAMPLES} is not there")
    understood = {}
    for path in sorted(SAMPLES.glob("*.json")):
        with suppress(NotUnderstoodError):
            understood[path.name] = read(path.read_bytes())
    effects = {
        name: (found.provider_event_id, found.payment_id, found.fact and (found.fact.status, found.fact.money.amount))
        for name, found in understood.items()
    }
    assert effects == {
        "paynormalize.docs.charge.completed.bank_transfer.json": (
            "wbk_xCBGoxP44NzL74hcCJiV",
            "chg_zH0BLoNltt",
            ("captured", 17500),
        ),
        "paynormalize.docs.charge.completed.card.json": (
            "wbk_yXvsB4LzWSwhUCpAPCBR",
            "chg_zam88NgLb7",
            ("captured", 200000),
        ),
        "woocommerce.v3.charge.completed.json": (
            "charge.completed:285959875:successful",
            "285959875",
            ("captured", 10000),
        ),
    }
