"""Stripe's events in any order, some of them twice: what the ledger says of the payment in the end."""

import itertools
import json
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from tests.making import event, without_sync
from webhookd.core.event import Hook
from webhookd.providers.stripe import Stripe
from webhookd.sandbox.samples import sample
from webhookd.store.sqlite.batch import apply
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.statements import schema

NOW_S = 1_772_366_400
ACACIA = "2024-12-18.acacia"
"""A version of the API from before 2025-03-31.basil."""


def told(event_type: str, after_s: int, api_version: str = "2026-10-28.endive", **changes: Any) -> bytes:
    """An event of the payment pi_1 by its charge ch_1."""
    subject = event_type.partition(".")[0]
    is_refund = event_type in ("charge.refund.updated", "refund.created", "refund.updated", "refund.failed")
    ids = {"payment_intent": {"id": "pi_1"}, "charge": {"id": "ch_1", "payment_intent": "pi_1"}}
    mine = {"charge": "ch_1", "payment_intent": "pi_1"} if is_refund else ids.get(subject, {"payment_intent": "pi_1"})
    made = json.loads(sample("stripe", event_type, NOW_S + after_s, Random(f"{event_type} {after_s}")))
    made["api_version"] = api_version
    made["data"]["object"] |= mine | changes
    return json.dumps(made).encode()


def payments(bodies: Sequence[bytes]) -> list[tuple[str, str, int, int]]:
    """Each payment's id, state, amount and what was refunded of it."""
    connection = driver.connect(":memory:", isolation_level=None)
    connection.executescript(schema())
    for body in bodies:
        reading = Stripe.read(Hook({}, body, 0))
        names = "provider_event_id", "type", "occurred_at", "payment_id", "fact"
        result = apply(
            connection, [event(body=body, **{name: getattr(reading, name) for name in names})], without_sync
        ).results[0]
        assert not isinstance(result, Exception)
    found = connection.execute("SELECT id, status, amount, refunded FROM payment ORDER BY id").fetchall()
    connection.close()
    return found


def in_the_end(*bodies: bytes) -> tuple[str, int, int]:
    """State, amount and refunded of the one payment: the same in all orders, with every event once or twice."""
    ends = {tuple(payments(order)) for order in itertools.permutations(bodies)}
    ends |= {tuple(payments([*order, *bodies])) for order in itertools.permutations(bodies)}
    assert len(ends) == 1
    [(payment_id, *end)] = ends.pop()
    assert payment_id == "pi_1"
    return (end[0], end[1], end[2])


def test_a_second_try_that_went_through_is_one_captured_payment() -> None:
    bodies = (
        told("payment_intent.created", 0),
        told("charge.failed", 1, id="ch_0"),
        told("payment_intent.payment_failed", 1),
        told("charge.succeeded", 9),
        told("payment_intent.succeeded", 9, latest_charge="ch_1"),
    )
    assert in_the_end(*bodies) == ("captured", 4200, 0)


def test_refunds_told_one_by_one_and_all_together_are_not_added_up() -> None:
    bodies = (
        told("payment_intent.succeeded", 0),
        told("refund.created", 5, id="re_1", amount=200, status="succeeded"),
        told("charge.refunded", 5, amount_refunded=200),
        told("refund.updated", 9, id="re_2", amount=300, status="succeeded"),
        told("charge.refunded", 9, amount_refunded=500),
    )
    assert in_the_end(*bodies) == ("partially_refunded", 4200, 500)
    one_by_one = [body for body in bodies if b'"charge.refunded"' not in body]
    all_together = [body for body in bodies if b'"object": "refund"' not in body]
    assert (len(one_by_one), len(all_together)) == (3, 3)
    assert in_the_end(*one_by_one) == in_the_end(*all_together) == ("partially_refunded", 4200, 500)


def test_all_of_it_refunded_is_refunded() -> None:
    bodies = told("charge.succeeded", 0), told("charge.refunded", 5, amount_refunded=4200, refunded=True)
    assert in_the_end(*bodies) == ("refunded", 4200, 4200)


def test_a_refund_that_the_bank_sent_back_was_none() -> None:
    bodies = (
        told("charge.succeeded", 0),
        told("refund.created", 5, id="re_1", amount=200, status="succeeded"),
        told("charge.refunded", 5, amount_refunded=200),
        told("refund.failed", 900_000, id="re_1", amount=200),
    )
    assert in_the_end(*bodies) == ("captured", 4200, 0)


def test_a_refund_under_way_that_comes_to_nothing_was_none_though_it_was_in_the_sum() -> None:
    bodies = (
        told("charge.succeeded", 0),
        told("refund.created", 5, id="re_1", amount=200, status="pending"),
        told("charge.refunded", 5, amount_refunded=200),
    )
    assert in_the_end(*bodies) == ("partially_refunded", 4200, 200)
    for end in ("failed", "canceled"):
        over = told("refund.updated", 900_000, id="re_1", amount=200, status=end)
        assert in_the_end(*bodies, over) == ("captured", 4200, 0)


@pytest.mark.parametrize("api_version", [ACACIA, "2026-10-28.endive"])
def test_a_hold_that_was_let_go_is_a_payment_cancelled_and_nothing_refunded(api_version: str) -> None:
    bodies = (
        told("charge.succeeded", 0, api_version, captured=False, amount_captured=0),
        told("payment_intent.amount_capturable_updated", 0, api_version),
        told("payment_intent.canceled", 9, api_version),
        told("charge.refunded", 9, api_version, captured=False, amount_captured=0, refunded=True, amount_refunded=4200),
    )
    assert in_the_end(*bodies) == ("cancelled", 4200, 0)


@pytest.mark.parametrize(("api_version", "reported"), [(ACACIA, 3200), ("2026-10-28.endive", 0)])
def test_a_capture_of_a_part_is_a_payment_of_that_part(api_version: str, reported: int) -> None:
    part = {"amount_captured": 1000, "amount_refunded": reported}
    bodies = (
        told("payment_intent.amount_capturable_updated", 0, api_version),
        told("charge.succeeded", 0, api_version, captured=False, amount_captured=0),
        told("payment_intent.succeeded", 9, api_version, amount_received=1000),
        told("charge.captured", 9, api_version, **part),
        told("charge.updated", 12, api_version, **part),
    )
    assert in_the_end(*bodies) == ("captured", 1000, 0)


def test_a_checkout_that_is_complete_before_the_money_is_there_captures_nothing() -> None:
    waiting = told("checkout.session.completed", 0, id="cs_1", payment_status="unpaid")
    assert in_the_end(waiting, told("payment_intent.processing", 0)) == ("pending", 4200, 0)
    paid = told("checkout.session.async_payment_succeeded", 90, id="cs_1"), told("payment_intent.succeeded", 89)
    assert in_the_end(waiting, *paid) == ("captured", 4200, 0)


def test_a_dispute_and_a_warning_move_no_payment() -> None:
    bodies = (
        told("charge.succeeded", 0),
        told("radar.early_fraud_warning.created", 3),
        told("charge.dispute.created", 5, id="dp_1", charge="ch_1", payment_intent="pi_1"),
        told("charge.dispute.closed", 9, id="dp_1", charge="ch_1", payment_intent="pi_1", status="lost"),
    )
    assert in_the_end(*bodies) == ("captured", 4200, 0)
