"""The sample events of the sandbox are what the providers would send."""

import json
import time
from datetime import datetime
from random import Random
from typing import Any

import pytest
import standardwebhooks
import stripe
import svix.webhooks

from tests.paypal_desk import at_home, judged, paypal
from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.providers import PROVIDERS, reread
from webhookd.providers.provider import Credentials, Provider, Verified
from webhookd.sandbox.samples import Typed, sample, types

SECRET = new_secret(b"\x05" * 32)
NOW_S = 1_772_366_400
EVERY = [(provider, event_type) for provider in PROVIDERS for event_type in types(provider)]

TIMELESS = {
    ("flutterwave", "subscription.cancelled"),
    ("flutterwave", "singlebillpayment.status"),
    ("razorpay", "payout.pending"),
    ("razorpay", "payout.downtime.resolved"),
    *[
        ("razorpay", f"token.{last}")
        for last in (
            *("initiated", "activated", "deactivated", "suspended", "expiry_updated", "service_provider.activated"),
            *("service_provider.cancelled", "service_provider.deactivated", "service_provider.failed"),
        )
    ],
    *[("paystack", f"refund.{last}") for last in ("pending", "processing", "processed", "failed", "needs-attention")],
    *[("paystack", f"preauthorization.{last}") for last in ("reserve.success", "capture.failed")],
    *[("paystack", f"preauthorization.release.{last}") for last in ("success", "failed")],
    *[("paystack", f"dedicatedaccount.assign.{last}") for last in ("success", "failed")],
    *[("paystack", f"customeridentification.{last}") for last in ("success", "failed")],
    *[("paystack", f"direct_debit.authorization.{last}") for last in ("created", "active")],
    ("paystack", "subscription.expiring_cards"),
    ("paystack", "bank.transfer.rejected"),
}
"""Where the provider says no time at all."""


def signer(provider: str) -> Provider:
    return paypal() if provider == "paypal" else PROVIDERS[provider](Credentials([Secret(SECRET)]))


@pytest.mark.parametrize(("provider", "event_type"), EVERY)
def test_a_sample_is_accepted_and_understood(provider: str, event_type: str) -> None:
    room = signer(provider)
    body = sample(provider, event_type, NOW_S, Random(1))
    headers = {name.lower(): value for name, value in room.sign(body, NOW_S, "msg_1").items()}
    hook = Hook(headers, body, NOW_S * 1_000)
    assert isinstance(judged(room, hook, NOW_S, at_home()), Verified)
    reading = room.read(hook)
    assert reading.type == event_type
    assert (reading.occurred_at is None) == ((provider, event_type) in TIMELESS)
    assert abs((reading.occurred_at or NOW_S * 1_000) / 1_000 - NOW_S) < 3_600


@pytest.mark.parametrize("event_type", types("stripe"))
def test_stripes_library_takes_every_stripe_sample_for_its_own(event_type: str) -> None:
    now_s = int(time.time())
    room = PROVIDERS["stripe"](Credentials([Secret(SECRET)]))
    body = sample("stripe", event_type, now_s, Random(1))
    event = stripe.Webhook.construct_event(body, room.sign(body, now_s, "msg_1")["Stripe-Signature"], SECRET)
    reading = room.read(Hook({}, body, now_s * 1_000))
    assert (event.id, event.type, event.created * 1_000) == (
        reading.provider_event_id,
        reading.type,
        reading.occurred_at,
    )
    assert event.id.startswith("evt_")
    assert event.data.object["object"]


@pytest.mark.parametrize("library", [standardwebhooks.Webhook, svix.webhooks.Webhook], ids=["standardwebhooks", "svix"])
@pytest.mark.parametrize("event_type", types("standard"))
def test_the_standard_webhooks_libraries_accept_every_standard_sample(event_type: str, library: Any) -> None:
    now_s = int(time.time())
    body = sample("standard", event_type, now_s, Random(1))
    library(SECRET).verify(body, PROVIDERS["standard"](Credentials([Secret(SECRET)])).sign(body, now_s, "msg_1"))
    event = json.loads(body)
    assert event["type"] == event_type
    assert datetime.fromisoformat(event["timestamp"]).tzinfo is not None


@pytest.mark.parametrize(("provider", "event_type"), EVERY)
def test_a_sample_about_a_payment_names_the_payment(provider: str, event_type: str) -> None:
    reading = PROVIDERS[provider].read(
        Hook({"webhook-id": "msg_1"}, sample(provider, event_type, NOW_S, Random(1)), NOW_S * 1_000)
    )
    named = event_type.startswith(("payment.", "payment_intent.", "charge.", "refund.", "dispute."))
    named = named and not event_type.startswith("payment.downtime.")
    about_a_payment = named or (reading.fact is not None and reading.fact.kind in ("payment", "refund", "dispute"))
    assert reading.payment_id is not None or not about_a_payment


@pytest.mark.parametrize(("provider", "event_type"), EVERY)
def test_no_mark_of_the_template_is_left_in_a_sample(provider: str, event_type: str) -> None:
    event = sample(provider, event_type, NOW_S, Random(1)).decode()
    assert not [text for text in ('"@id', '"@now', '"@iso', '"@uuid') if text in event]


def test_every_sample_is_an_event_of_its_own() -> None:
    dice = Random(1)
    made = [json.loads(sample("stripe", "charge.refunded", NOW_S, dice)) for _ in range(50)]
    assert len({event["id"] for event in made}) == 50
    assert len({event["data"]["object"]["id"] for event in made}) == 50


def test_one_object_keeps_one_id_throughout_its_event() -> None:
    event = json.loads(sample("stripe", "charge.succeeded", NOW_S, Random(1)))
    texts = [value for value in event["data"]["object"].values() if isinstance(value, str) and value.startswith("ch_")]
    assert len(set(texts)) == 1


def test_any_field_of_a_sample_can_be_set() -> None:
    changes = {"data.object.amount": 995, "data.object.metadata.order_id": "77", "livemode": True}
    event = json.loads(sample("stripe", "payment_intent.succeeded", NOW_S, Random(1), changes))
    assert event["data"]["object"]["amount"] == 995
    assert event["data"]["object"]["metadata"]["order_id"] == "77"
    assert event["livemode"] is True


@pytest.mark.parametrize("path", ["data.nothing.amount", "data.object.amount.more", "livemode.x"])
def test_setting_a_field_that_has_no_place_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="no object there"):
        sample("stripe", "payment_intent.succeeded", NOW_S, Random(1), {path: 1})


def test_a_sample_is_never_changed_by_the_one_before_it() -> None:
    first = sample("stripe", "charge.refunded", NOW_S, Random(1))
    sample("stripe", "charge.refunded", NOW_S, Random(2), {"data.object.metadata.more": 1, "request.id": None})
    assert sample("stripe", "charge.refunded", NOW_S, Random(1)) == first


def test_an_id_that_is_set_is_the_same_wherever_the_sample_has_it():
    body = sample("paypal", "PAYMENT.CAPTURE.COMPLETED", 1, Random(1), {"resource.id": Typed("CAP1")})
    reading = reread("paypal", Hook({}, body, 0))
    assert reading is not None
    assert reading.fact is not None
    assert (reading.fact.kind, reading.payment_id) == ("payment", "CAP1")
    assert b"payments/captures/CAP1" in body
    event = json.loads(
        sample("razorpay", "refund.processed", 1, Random(1), {"payload.payment.entity.id": Typed("pay_1")})
    )
    assert event["payload"]["refund"]["entity"]["payment_id"] == "pay_1"


@pytest.mark.parametrize(
    ("path", "typed", "found"),
    [
        ("resource.amount.value", "100.00", "100.00"),
        ("resource.final_capture", "false", False),
        ("resource.seller_protection.dispute_categories.1", "NOTHING", "NOTHING"),
        ("resource.new", "7", 7),
        ("resource.custom_id", "null", "null"),
    ],
)
def test_what_is_typed_is_text_where_the_sample_has_text(path: str, typed: str, found: object):
    node = json.loads(sample("paypal", "PAYMENT.CAPTURE.COMPLETED", 1, Random(1), {path: Typed(typed)}))
    for name in path.split("."):
        node = node[int(name)] if isinstance(node, list) else node[name]
    assert node == found
