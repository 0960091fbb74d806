"""Signed hooks of Dodo Payments and Flutterwave, in any order, some of them twice: what the ledger says in the end."""

import hashlib
import itertools
import json
from collections.abc import Sequence
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
SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
DODO = Source("dodo", PROVIDERS["standard"](Credentials([SECRET])))
V4 = Source("v4", PROVIDERS["flutterwave"](Credentials([SECRET])))
V3 = Source("v3", PROVIDERS["flutterwave"](Credentials([SECRET], "verif-hash")))


async def nothing_to_fetch(request: Request) -> bytes:
    raise AssertionError(request)


async def take(intake: Intake, source: Source, body: bytes) -> Appended:
    sent = source.provider.sign(body, NOW_MS // 1_000, "msg_" + hashlib.sha256(body).hexdigest())
    found = await intake.take_in(source, Hook({name.lower(): value for name, value in sent.items()}, body, NOW_MS))
    assert not isinstance(found, Refused)
    return found


async def after(path: Path, source: Source, events: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The payment `1` and all else of the ledger, after these events and no others."""
    store = SqliteStore(path)
    await store.open()
    try:
        intake = Intake(store, KeyMint(), lambda: 7, nothing_to_fetch)
        for event in events:
            await take(intake, source, json.dumps(event).encode())
        found = await store.ledger.payment(source.provider.name, "1")
        said: dict[str, Any] = {"payment": found and (found.status, found.amount, found.currency, found.refunded)}
        kinds: tuple[Any, ...] = ("refund", "dispute", "subscription", "transfer")
        for kind in kinds:
            for row in (await store.ledger.objects(kind, LedgerFilter(), 100)).rows:
                said[f"{kind} {row.id}"] = row.status
        return said
    finally:
        await store.close()


def dodo(event_type: str, at_s: int, **data: Any) -> dict[str, Any]:
    at = f"2026-03-01T12:00:{at_s:02}Z"
    return {"business_id": "bus_1", "type": event_type, "timestamp": at, "data": {"currency": "USD", **data}}


def dodo_payment(name: str, at_s: int, status: str, **data: Any) -> dict[str, Any]:
    return dodo(
        f"payment.{name}", at_s, payload_type="Payment", payment_id="1", status=status, total_amount=500, **data
    )


def dodo_refund(name: str, at_s: int, refund_id: str, amount: int) -> dict[str, Any]:
    status = name
    return dodo(
        f"refund.{name}", at_s, payload_type="Refund", payment_id="1", refund_id=refund_id, amount=amount, status=status
    )


def charge(status: str, **data: Any) -> dict[str, Any]:
    given = {"id": 1, "tx_ref": "order-7", "amount": 5.5, "currency": "NGN", "status": status, **data}
    return {"event": "charge.completed", "data": given}


def v4(webhook_id: str, event_type: str, at_s: int, **data: Any) -> dict[str, Any]:
    return {"webhook_id": webhook_id, "timestamp": NOW_MS + at_s * 1_000, "type": event_type, "data": data}


def transfer(webhook_id: str, event_type: str, at_s: int, status: str) -> dict[str, Any]:
    both = {"source_currency": "NGN", "destination_currency": "NGN"}
    return v4(webhook_id, event_type, at_s, id="trf_1", amount=10, status=status, **both)


REFUND = {"id": 89, "AmountRefunded": 2, "status": "completed", "TransactionId": 1, "createdAt": "2026-03-01T12:00:00Z"}

STORIES: dict[str, tuple[Source, list[dict[str, Any]], dict[str, Any]]] = {
    "Dodo: a payment whose first event comes with its last state": (
        DODO,
        [
            dodo_payment("processing", 1, "succeeded"),
            dodo_payment("succeeded", 2, "succeeded"),
            dodo_payment("failed", 0, "failed"),
        ],
        {"payment": ("captured", 500, "USD", 0)},
    ),
    "Dodo: refunded in two parts, and one that failed": (
        DODO,
        [
            dodo_payment("succeeded", 1, "succeeded"),
            dodo_refund("succeeded", 2, "ref_1", 200),
            dodo_refund("succeeded", 3, "ref_2", 300),
            dodo_refund("failed", 4, "ref_3", 100),
        ],
        {
            "payment": ("refunded", 500, "USD", 500),
            "refund ref_1": "succeeded",
            "refund ref_2": "succeeded",
            "refund ref_3": "failed",
        },
    ),
    "Dodo: the payment's event is sent so late that it lists the refund": (
        DODO,
        [
            dodo_payment(
                "succeeded", 1, "succeeded", refund_status="partial", refunds=[{"status": "succeeded", "amount": 200}]
            ),
            dodo_refund("succeeded", 2, "ref_1", 200),
        ],
        {"payment": ("partially_refunded", 500, "USD", 200), "refund ref_1": "succeeded"},
    ),
    "Dodo: a payout that was returned, and a dispute that is won": (
        DODO,
        [
            dodo("payout.success", 1, payout_id="pyt_1", amount=5, status="success"),
            dodo("payout.failed", 2, payout_id="pyt_1", amount=5, status="failed"),
            dodo(
                "dispute.opened", 1, payment_id="1", dispute_id="dsp_1", amount="500", dispute_status="dispute_opened"
            ),
            dodo("dispute.won", 2, payment_id="1", dispute_id="dsp_1", amount="500", dispute_status="dispute_won"),
        ],
        {"payment": ("pending", None, "USD", 0), "dispute dsp_1": "won", "transfer pyt_1": "failed"},
    ),
    "Flutterwave v3: a second try succeeds, and is told in two shapes": (
        V3,
        [
            charge("failed"),
            charge("successful"),
            {"id": 1, "txRef": "order-7", "status": "successful", "amount": 5.5, "currency": "NGN"},
            charge("pending"),
        ],
        {"payment": ("captured", 550, "NGN", 0)},
    ),
    "Flutterwave v3: a refund without a currency": (
        V3,
        [charge("successful"), REFUND],
        {"payment": ("captured", 550, "NGN", 0), "refund 89": "succeeded"},
    ),
    "Flutterwave v4: a transfer that is reversed": (
        V4,
        [
            transfer("wbk_1", "transfer.disburse", 1, "NEW"),
            transfer("wbk_2", "transfer.disburse", 2, "SUCCESSFUL"),
            transfer("wbk_3", "transfer.reversal", 3, "SUCCESSFUL"),
        ],
        {"payment": None, "transfer trf_1": "reversed"},
    ),
}


@pytest.mark.parametrize(("source", "events", "expected"), STORIES.values(), ids=STORIES)
async def test_any_order_of_the_same_hooks_makes_the_same_ledger(
    tmp_path: Path, source: Source, events: list[dict[str, Any]], expected: dict[str, Any]
) -> None:
    for number, order in enumerate(itertools.permutations(events)):
        assert await after(tmp_path / f"{number}.db", source, order * (1 + number % 2)) == expected


async def test_in_v3_the_same_charge_with_another_body_is_a_duplicate_and_moves_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    intake = Intake(store, KeyMint(), lambda: 7, nothing_to_fetch)
    first = await take(intake, V3, json.dumps(charge("successful")).encode())
    spaced = await take(intake, V3, json.dumps(charge("successful"), indent=4).encode())
    raised = await take(intake, V3, json.dumps(charge("successful", amount=9_999)).encode())
    found = await store.ledger.payment("flutterwave", "1")
    await store.close()
    assert [first.status, spaced.status, raised.status] == ["accepted", "duplicate", "duplicate"]
    assert found is not None
    assert found.amount == 550
