"""Signed hooks of Razorpay and Paystack, in any order and some of them twice: what the ledger says in the end."""

import hashlib
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from webhookd.core.event import Appended, Hook
from webhookd.core.identifier import KeyMint
from webhookd.core.secret import Secret
from webhookd.providers import PROVIDERS
from webhookd.providers.provider import Credentials, Refused, Request
from webhookd.receive.intake import Intake, Source
from webhookd.store.protocol.ledger import LedgerFilter
from webhookd.store.sqlite.store import SqliteStore

NOW_MS = 1_772_366_400_000
SOURCES = {name: Source(name, PROVIDERS[name](Credentials([Secret("a secret")]))) for name in ("razorpay", "paystack")}


async def nothing_to_fetch(request: Request) -> bytes:
    raise AssertionError(request)


class Desk:
    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self._mint = KeyMint()
        self._intake = Intake(store, self._mint, lambda: 7, nothing_to_fetch)

    async def take(self, provider: str, event: dict[str, Any], event_id: str = "") -> Appended:
        body = json.dumps(event).encode()
        source = SOURCES[provider]
        sent = source.provider.sign(body, NOW_MS // 1_000, event_id or hashlib.sha256(body).hexdigest())
        found = await self._intake.take_in(source, Hook({k.lower(): v for k, v in sent.items()}, body, NOW_MS))
        assert not isinstance(found, Refused)
        return found

    async def payment(self, provider: str, payment_id: str) -> tuple[str, int | None, int]:
        found = await self.store.ledger.payment(provider, payment_id)
        assert found is not None
        return found.status, found.amount, found.refunded

    async def objects(self, kind: Any) -> dict[str, str]:
        return {row.id: row.status for row in (await self.store.ledger.objects(kind, LedgerFilter(), 100)).rows}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    yield Desk(store)
    await store.close()


def orders(events: Sequence[Any]) -> list[list[Any]]:
    """All orders of the events, and each of them once more with everything sent twice."""
    return [list(order) * times for order in itertools.permutations(events) for times in (1, 2)]


# --- Razorpay


def razorpay(event_type: str, at_s: int, **payload: Any) -> dict[str, Any]:
    entities = {name: {"entity": entity} for name, entity in payload.items()}
    return {"entity": "event", "event": event_type, "payload": entities, "created_at": 1_772_366_400 + at_s}


def payment(status: str, payment_id: str = "pay_1", **fields: Any) -> dict[str, Any]:
    return {"id": payment_id, "amount": 500, "currency": "INR", "status": status, "amount_refunded": 0, **fields}


def refund(number: int, status: str, amount: int, payment_id: str = "pay_1") -> dict[str, Any]:
    return {"id": f"rfnd_{number}", "payment_id": payment_id, "amount": amount, "currency": "INR", "status": status}


async def test_a_payment_that_failed_first_and_was_authorized_late_is_captured_in_any_order(desk: Desk) -> None:
    events = ("failed", 1), ("authorized", 2), ("captured", 3)
    for number, order in enumerate(orders(events)):
        for status, at_s in order:
            await desk.take("razorpay", razorpay(f"payment.{status}", at_s, payment=payment(status, f"pay_{number}")))
        assert await desk.payment("razorpay", f"pay_{number}") == ("captured", 500, 0)


async def test_a_body_that_is_replayed_under_a_new_unsigned_id_counts_once(desk: Desk) -> None:
    paid = razorpay("payment.captured", 1, payment=payment("captured"))
    first = await desk.take("razorpay", paid, "EvtId000000001")
    again = await desk.take("razorpay", paid, "EvtId000000002")
    assert (first.status, again.status, again.event_id) == ("accepted", "duplicate", first.event_id)
    assert (await desk.take("razorpay", paid | {"created_at": 5}, "EvtId000000003")).status == "accepted"


async def test_refunds_of_a_part_add_up_in_any_order(desk: Desk) -> None:
    def events(payment_id: str) -> list[dict[str, Any]]:
        one, two = (payment("captured", payment_id, amount_refunded=total) for total in (200, 300))
        return [
            razorpay("payment.captured", 1, payment=payment("captured", payment_id)),
            razorpay("refund.created", 2, refund=refund(1, "pending", 200, payment_id), payment=one),
            razorpay("refund.processed", 3, refund=refund(1, "processed", 200, payment_id), payment=one),
            razorpay("refund.processed", 4, refund=refund(2, "processed", 100, payment_id), payment=two),
        ]

    for number, order in enumerate(orders(range(4))):
        for place in order:
            await desk.take("razorpay", events(f"pay_{number}")[place])
        assert await desk.payment("razorpay", f"pay_{number}") == ("partially_refunded", 500, 300)


async def test_a_refund_that_never_went_through_is_no_refund(desk: Desk) -> None:
    counted = payment("captured", amount_refunded=200)
    await desk.take("razorpay", razorpay("payment.captured", 1, payment=payment("captured")))
    await desk.take("razorpay", razorpay("refund.created", 2, refund=refund(1, "pending", 200), payment=counted))
    assert await desk.payment("razorpay", "pay_1") == ("captured", 500, 0)
    await desk.take("razorpay", razorpay("refund.failed", 3, refund=refund(1, "failed", 200), payment=counted))
    assert await desk.payment("razorpay", "pay_1") == ("captured", 500, 0)
    assert await desk.objects("refund") == {"rfnd_1": "failed"}


async def test_a_dispute_that_was_won_opens_again_in_a_later_phase_and_its_payment_stays_captured(desk: Desk) -> None:
    def events(number: int) -> list[dict[str, Any]]:
        dispute = {"id": f"disp_{number}", "payment_id": f"pay_{number}", "amount": 500, "currency": "INR"}
        stale = payment("authorized", f"pay_{number}")
        return [
            razorpay("payment.captured", 1, payment=payment("captured", f"pay_{number}")),
            razorpay("payment.dispute.created", 2, dispute=dispute | {"phase": "chargeback"}, payment=stale),
            razorpay("payment.dispute.won", 3, dispute=dispute | {"phase": "chargeback"}, payment=stale),
            razorpay("payment.dispute.created", 4, dispute=dispute | {"phase": "pre_arbitration"}, payment=stale),
        ]

    for number, order in enumerate(orders(range(4))):
        for place in order:
            await desk.take("razorpay", events(number)[place])
        assert (await desk.objects("dispute"))[f"disp_{number}"] == "open"
        assert await desk.payment("razorpay", f"pay_{number}") == ("captured", 500, 0)


async def test_a_payment_is_found_by_its_orders_receipt(desk: Desk) -> None:
    order = {"id": "order_1", "amount": 500, "currency": "INR", "status": "paid", "receipt": "1042"}
    await desk.take("razorpay", razorpay("order.paid", 1, order=order, payment=payment("captured")))
    await desk.take("razorpay", razorpay("payment.captured", 2, payment=payment("captured", order_id="order_1")))
    for name in ("1042", "order_1"):
        assert [row.id for row in (await desk.store.ledger.payments(LedgerFilter(reference=name), 10)).rows] == [
            "pay_1"
        ]


# --- Paystack


def paystack(event_type: str, **data: Any) -> dict[str, Any]:
    return {"event": event_type, "data": data}


def charge(reference: str) -> dict[str, Any]:
    return paystack(
        "charge.success", id=int(reference.removeprefix("T")), reference=reference, amount=500, currency="NGN"
    )


def paystack_refund(status: str, transaction: str, reference: str | None = None, **data: Any) -> dict[str, Any]:
    fields = {"transaction_reference": transaction, "refund_reference": reference, "amount": "200", "currency": "NGN"}
    return paystack(f"refund.{status}", status=status, **fields, **data)


async def test_a_refund_that_gets_its_name_late_counts_once_and_leaves_nothing_pending(desk: Desk) -> None:
    for number, order in enumerate(orders(range(4))):
        paid = f"T{number}"
        events = [
            charge(paid),
            paystack_refund("pending", paid),
            paystack_refund("processing", paid),
            paystack_refund("processed", paid, f"13{number}"),
        ]
        for place in order:
            await desk.take("paystack", events[place])
        assert await desk.payment("paystack", paid) == ("partially_refunded", 500, 200)
        found = await desk.store.ledger.payment("paystack", paid)
        assert found is not None
        assert len(found.events) == 4
    assert set((await desk.objects("refund")).values()) == {"succeeded"}


async def test_two_equal_refunds_of_one_charge_count_both_and_each_once(desk: Desk) -> None:
    await desk.take("paystack", charge("T1"))
    for reference in ("131", "132"):
        accepted = await desk.take("paystack", paystack_refund("processed", "T1", reference))
        again = await desk.take("paystack", paystack_refund("processed", "T1", reference, processor="another"))
        assert (accepted.status, again.status, again.conflict) == ("accepted", "duplicate", True)
    assert await desk.payment("paystack", "T1") == ("partially_refunded", 500, 400)


async def test_a_transfer_that_succeeded_may_be_reversed_later_in_any_order(desk: Desk) -> None:
    times = {"success": "2026-03-01T12:00:01Z", "reversed": "2026-03-01T12:00:09Z"}
    for number, order in enumerate(orders(tuple(times))):
        for status in order:
            transfer = {"transfer_code": f"TRF_{number}", "status": status, "amount": 5, "currency": "NGN"}
            await desk.take("paystack", paystack(f"transfer.{status}", updated_at=times[status], **transfer))
        assert (await desk.objects("transfer"))[f"TRF_{number}"] == "reversed"


async def test_a_subscription_that_is_made_and_disabled_at_one_time_is_disabled(desk: Desk) -> None:
    """Its events carry the time it was made at, and none of their own."""
    events = [
        paystack(
            f"subscription.{name}",
            subscription_code="SUB_1",
            status=status,
            created_at="2026-03-01T12:00:01Z",
            amount=5,
        )
        for name, status in (("create", "active"), ("not_renew", "non-renewing"), ("disable", "complete"))
    ]
    for order in itertools.permutations(events):
        for each in order:
            await desk.take("paystack", each)
        assert await desk.objects("subscription") == {"SUB_1": "completed"}
