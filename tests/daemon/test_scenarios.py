"""A shop behind webhookd: PayPal tells of a payment, and checkout, inventory and fulfillment each do their part.

Each of the three is a merchant of its own that does what a careful shop does: it checks the signature, passes over a
`webhook-id` it knows, and acts on what the event says.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from tests.daemon.merchant import Got, Merchant, merchant
from tests.dev_daemon import DevDaemon, dev_daemon
from tests.running import endpoint
from webhookd.sandbox.samples import sample

NAMES = ("checkout", "inventory", "fulfillment")
APPROVED, PENDING = "CHECKOUT.ORDER.APPROVED", "PAYMENT.CAPTURE.PENDING"
COMPLETED, DENIED = "PAYMENT.CAPTURE.COMPLETED", "PAYMENT.CAPTURE.DENIED"
STATUS = {PENDING: "PENDING", COMPLETED: "COMPLETED", DENIED: "DENIED"}
CAPTURE = "3C679366HH908993F"


class Shop:
    """What the three did, in the order in which they did it."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.merchants: list[Merchant] = []
        self._known: set[tuple[str, str]] = set()

    def take(self, got: Got) -> int:
        name, event_id = got.path.strip("/"), got.headers["webhook-id"]
        if (name, event_id) not in self._known:
            self._known.add((name, event_id))
            if act := ACTS.get((name, got.headers["webhookd-event-type"])):
                self.did.append(act)
        return 200

    async def was_told(self, count: int) -> list[Got]:
        """Wait until that many requests have come, all three together."""
        [only] = self.merchants
        return await only.has(count)


ACTS = {
    ("checkout", APPROVED): "checkout waits",
    ("inventory", APPROVED): "stock reserved",
    ("checkout", COMPLETED): "checkout thanks",
    ("inventory", COMPLETED): "stock sold",
    ("fulfillment", COMPLETED): "order shipped",
    ("checkout", DENIED): "checkout cancelled",
    ("inventory", DENIED): "stock released",
}


@asynccontextmanager
async def shop_behind(directory: Path) -> AsyncIterator[tuple[Shop, DevDaemon]]:
    shop = Shop()
    async with merchant() as made:
        made.answer = shop.take
        shop.merchants = [made]
        config = "".join(endpoint(name, made.port) for name in NAMES)
        async with dev_daemon(directory, config) as dev:
            yield shop, dev


dice = Random(7)


def told(event_type: str, amount: str = "42.00") -> bytes:
    """PayPal's event about the one payment of these stories."""
    changes: dict[str, Any] = {}
    if event_type != APPROVED:
        changes = {
            "resource.status": STATUS[event_type],
            "resource.custom_id": "order 1042",
            "resource.amount": {"currency_code": "USD", "value": amount},
        }
    body = sample("paypal", event_type, int(time.time()), dice, changes)
    return (
        body if event_type == APPROVED else body.replace(json.loads(body)["resource"]["id"].encode(), CAPTURE.encode())
    )


async def send(dev: DevDaemon, body: bytes) -> str:
    """In a transmission of its own, as PayPal does; the id of the event that it became."""
    return await dev.send(body, "paypal", message_id=f"transmission-{dice.getrandbits(64):x}")


async def payment(dev: DevDaemon, **query: str) -> dict[str, Any]:
    return dict(await dev.get(f"/api/v1/payments/paypal/{CAPTURE}", **query))


async def revenue(dev: DevDaemon) -> Any:
    return (await dev.get("/api/v1/revenue"))["data"]


async def test_success_tells_all_three_once_and_ships_only_what_is_captured(tmp_path: Path) -> None:
    async with shop_behind(tmp_path) as (shop, dev):
        await send(dev, told(APPROVED))
        await shop.was_told(3)
        assert sorted(shop.did) == ["checkout waits", "stock reserved"]
        captured = await send(dev, told(COMPLETED))
        got = await shop.was_told(6)
        assert sorted(shop.did[2:]) == ["checkout thanks", "order shipped", "stock sold"]
        assert sorted(each.path for each in got if each.headers["webhook-id"] == captured) == [
            f"/{name}" for name in sorted(NAMES)
        ]
        found = await payment(dev)
        assert (found["status"], found["settled"], found["reference"]) == ("captured", True, "order 1042")
        assert found["amount"] == {"amount": 4200, "currency": "USD", "exponent": 2}
        assert found["events"] == [captured]
        [row] = await revenue(dev)
        assert (row["currency"], row["gross"], row["refunded"], row["net"]) == ("USD", 4200, 0, 4200)


async def test_failure_cancels_releases_the_stock_and_ships_nothing(tmp_path: Path) -> None:
    async with shop_behind(tmp_path) as (shop, dev):
        await send(dev, told(APPROVED))
        await shop.was_told(3)
        await send(dev, told(DENIED))
        await shop.was_told(6)
        assert sorted(shop.did[2:]) == ["checkout cancelled", "stock released"]
        assert "order shipped" not in shop.did
        found = await payment(dev)
        assert (found["status"], found["settled"]) == ("failed", True)
        assert await revenue(dev) == []


async def test_a_late_webhook_lets_the_page_wait_and_then_answers_it_at_once(tmp_path: Path) -> None:
    async with shop_behind(tmp_path) as (shop, dev):
        await send(dev, told(PENDING))
        first = await payment(dev)
        assert (first["status"], first["settled"]) == ("pending", False)
        # The page asks, and while it waits the event comes at last.
        page = asyncio.create_task(payment(dev, wait="30s"))
        await send(dev, told(COMPLETED))
        answered = await page
        assert (answered["status"], answered["settled"]) == ("captured", True)
        await shop.was_told(6)
        assert sorted(shop.did) == ["checkout thanks", "order shipped", "stock sold"]
        # What was under way even longer changes nothing any more.
        await send(dev, told(PENDING))
        assert (await payment(dev))["status"] == "captured"


async def test_a_duplicate_webhook_makes_nothing_happen_twice(tmp_path: Path) -> None:
    async with shop_behind(tmp_path) as (shop, dev):
        body = told(COMPLETED)
        first = await send(dev, body)
        await shop.was_told(3)
        for _ in range(3):
            # PayPal sends it again: the same event, in a transmission of its own.
            assert await send(dev, body) == first
        after = await send(dev, told(DENIED))
        got = await shop.was_told(6)
        assert len(got) == 6
        assert {each.headers["webhook-id"] for each in got} == {first, after}
        assert shop.did.count("order shipped") == shop.did.count("stock sold") == 1
        # A denial that comes after the capture does not undo it.
        assert (await payment(dev))["status"] == "captured"
        [row] = await revenue(dev)
        assert (row["gross"], row["net"]) == (4200, 4200)
        listed = json.dumps(await dev.get("/api/v1/payments", reference="order 1042"))
        assert listed.count(CAPTURE) == 1
