"""A card number among what a shop wrote freely is no name that its payment is found by: names outlive the body."""

import json
from random import Random

import pytest

from webhookd.core.event import Hook
from webhookd.providers import reread
from webhookd.sandbox.samples import sample

pytestmark = pytest.mark.fault(53)
CARD, GROUPED, ORDER = "4242424242424242", "5555 5555 5555 4444", "4111111111111111"
WRITTEN = {"paid_with": CARD, "and": GROUPED, "as_number": 378282246310005, "order_id": ORDER, "colour": "red"}
FREELY = {
    "stripe": ("payment_intent.succeeded", {"data.object.metadata": WRITTEN}),
    "razorpay": ("payment.captured", {"payload.payment.entity.notes": WRITTEN}),
    "standard": ("payment.succeeded", {"data.metadata": WRITTEN}),
    "flutterwave": ("charge.completed", {"data.meta": WRITTEN}),
    "paystack": (
        "charge.success",
        {"data.metadata": {**WRITTEN, "custom_fields": [{"value": CARD}, {"value": "red"}]}},
    ),
}


@pytest.mark.parametrize("provider", FREELY)
def test_no_payment_is_found_by_a_card_number_that_somebody_wrote_down(provider: str):
    event_type, settings = FREELY[provider]
    reading = reread(provider, Hook({"webhook-id": "msg_1"}, sample(provider, event_type, 1, Random(1), settings), 0))
    assert reading is not None
    assert reading.fact is not None
    names = {reading.fact.reference, *reading.fact.references}
    assert not names & {CARD, GROUPED, "378282246310005"}
    assert "red" in names


@pytest.mark.parametrize("provider", ["stripe", "razorpay", "standard", "paystack"])
def test_an_order_whose_number_looks_like_one_is_found_all_the_same(provider: str):
    """Where it is said what a number is, it is believed: one in ten of sixteen digits has the right check digit."""
    event_type, settings = FREELY[provider]
    reading = reread(provider, Hook({"webhook-id": "msg_1"}, sample(provider, event_type, 1, Random(1), settings), 0))
    assert reading is not None
    assert reading.fact is not None
    assert reading.fact.reference == ORDER


@pytest.mark.parametrize("word", [CARD, GROUPED])
def test_one_word_in_the_place_of_metadata_may_be_one_too(word: str):
    body = json.loads(sample("paystack", "charge.success", 1, Random(1)))
    body["data"]["metadata"] = word
    reading = reread("paystack", Hook({}, json.dumps(body).encode(), 0))
    assert reading is not None
    assert reading.fact is not None
    assert word not in (reading.fact.reference, *reading.fact.references)
