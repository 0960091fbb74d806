"""Authentic bodies of any shape, for Razorpay and Paystack: read or quarantined, never a crash, never half a fact."""

import copy
import json
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.readings import assert_sound
from webhookd.core.event import Hook, Reading
from webhookd.core.ledger import COUNTING
from webhookd.providers import PROVIDERS
from webhookd.providers.provider import NotUnderstoodError
from webhookd.sandbox.samples import sample, types

pytestmark = pytest.mark.fault(52)
NOW_S = 1_772_366_400
ROOMS = ("razorpay", "paystack")
EVERY = [(provider, event_type) for provider in ROOMS for event_type in types(provider)]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
ODD: list[Any] = [
    *(None, True, False, 0, -1, 5, 10**16, 10**400, 1.5, 1e308, "", "a", "x" * 300, "9" * 5_000, "-5", "\n", "é"),
    *([], {}, [None], {"entity": []}, {"entity": {"entity": 5}}, [[[]]], {"id": {"id": {}}}, "2026-99-01T00:00:00Z"),
]


def read(provider: str, body: bytes) -> Reading:
    return PROVIDERS[provider].read(Hook({"x-razorpay-event-id": "EvtId000000001"}, body, 0))


def check(reading: Reading) -> None:
    """Of what counts these two always say an amount and a currency."""
    assert_sound(reading)
    if reading.fact is not None and reading.fact.kind in COUNTING:
        assert reading.fact.money.amount is not None
        assert reading.fact.money.currency is not None


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in the tree, the root left out."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for key, value in inner for place in ((*path, key), *places(value, (*path, key)))]


def changed(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    found = node = copy.deepcopy(tree)
    for key in path[:-1]:
        node = node[key]
    if value is ...:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return found


@pytest.mark.parametrize(("provider", "event_type"), EVERY)
def test_a_sample_with_any_one_place_made_odd_is_still_read(provider: str, event_type: str) -> None:
    body = sample(provider, event_type, NOW_S, Random(1))
    tree, plain = json.loads(body), read(provider, body)
    check(plain)
    dice = Random(event_type)
    for path in places(tree):
        if path == ("event",):
            continue
        for value in (..., *dice.sample(ODD, 4)):
            reading = read(provider, json.dumps(changed(tree, path, value)).encode())
            check(reading)
            assert reading.type == event_type


@pytest.mark.parametrize("provider", ROOMS)
@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_an_authentic_body_holds_it_is_read_or_quarantined(provider: str, body: bytes) -> None:
    with suppress(NotUnderstoodError):
        check(read(provider, body))


@pytest.mark.parametrize("provider", ROOMS)
@settings(max_examples=200)
@given(st.data(), JSON, JSON)
def test_whatever_surrounds_a_name_the_event_is_understood(
    provider: str, data: st.DataObject, inner: Any, more: Any
) -> None:
    event_type = data.draw(st.sampled_from(types(provider)))
    text = json.dumps({"event": event_type, "payload": inner, "data": inner, "created_at": more, "account_id": more})
    if "NaN" in text or "Infinity" in text:
        return  # no JSON
    reading = read(provider, text.encode())
    assert reading.type == event_type
    check(reading)


@pytest.mark.parametrize(("provider", "inner"), [("razorpay", "payload"), ("paystack", "data")])
@pytest.mark.parametrize("filling", ["[", '{"entity":', '{"payment":{"entity":{"id":'])
def test_nesting_beyond_reason_is_read_or_quarantined(provider: str, inner: str, filling: str) -> None:
    opened = filling * 60_000
    closed = "".join({"[": "]", "{": "}"}.get(char, "") for char in reversed(filling)) * 60_000
    event_type = "payment.captured" if provider == "razorpay" else "charge.success"
    body = f'{{"event": "{event_type}", "{inner}": {opened}5{closed}}}'.encode()
    with suppress(NotUnderstoodError):
        check(read(provider, body))


@pytest.mark.parametrize(("provider", "path"), [("razorpay", "payload.payment.entity"), ("paystack", "data")])
@pytest.mark.parametrize("digits", [20, 5_000])
def test_a_number_with_thousands_of_digits_is_no_amount(provider: str, path: str, digits: int) -> None:
    event_type = "payment.captured" if provider == "razorpay" else "charge.success"
    text = sample(provider, event_type, NOW_S, Random(1), {f"{path}.amount": "@@"}).decode()
    for amount in ("9" * digits, f"1e{digits}", f'"{"9" * digits}"', f"0.{'0' * digits}1"):
        reading = read(provider, text.replace('"@@"', amount).encode())
        assert reading.fact is None
        assert reading.type == event_type


@pytest.mark.parametrize("provider", ROOMS)
def test_reading_is_the_same_each_time(provider: str) -> None:
    for event_type in types(provider):
        body = sample(provider, event_type, NOW_S, Random(1))
        assert read(provider, body) == read(provider, body)


@pytest.mark.parametrize(("provider", "event_type"), EVERY)
def test_each_sample_that_is_sent_is_an_event_and_an_object_of_its_own(provider: str, event_type: str) -> None:
    dice = Random(1)
    room = PROVIDERS[provider]
    made = [room.read(Hook({}, sample(provider, event_type, NOW_S, dice), 0)) for _ in range(20)]
    assert len({each.provider_event_id for each in made}) == 20
    assert len({each.fact.id for each in made if each.fact is not None}) in (0, 20)


LONGEST = "x" * 255


@pytest.mark.parametrize(
    ("provider", "event_type", "settings"),
    [
        ("razorpay", "account.rejected", {"payload.account.entity.id": LONGEST}),
        ("paystack", "refund.processed", {"data.transaction_reference": LONGEST, "data.refund_reference": None}),
    ],
)
def test_an_id_that_is_made_of_another_is_no_longer_than_any(provider: str, event_type: str, settings: Any) -> None:
    reading = read(provider, sample(provider, event_type, NOW_S, Random(1), settings))
    check(reading)
    assert reading.type == event_type
