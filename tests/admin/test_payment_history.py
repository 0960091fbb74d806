"""`GET /api/v1/payments/{provider}/{id}/history`: what was said of a payment, event by event, and what came of it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import yarl

from tests.dev_daemon import DevDaemon, dev_daemon
from tests.shop import CREATED, Shop

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevDaemon]:
    async with dev_daemon(tmp_path_factory.mktemp("history")) as found:
        yield found


def usd(amount: int | None) -> dict[str, Any]:
    return {"amount": amount, "currency": "USD", "exponent": 2}


async def history(dev: DevDaemon, payment: str) -> dict[str, Any]:
    found = await dev.get(f"/api/v1/payments/stripe/{payment}/history")
    return dict(found)


async def test_a_history_tells_every_event_with_its_fact_and_what_it_made_of_the_payment(dev: DevDaemon):
    shop = Shop(dev, "told")
    captured = await shop.intent("pi_told", "succeeded", CREATED + 5, metadata={"order_id": "order 7"})
    late = await shop.intent("pi_told", "processing", CREATED)
    refunded = await shop.refund("re_told", "pi_told", 250, CREATED + 9)
    for each in (captured, late, refunded):
        await dev.delivered(each)
    found = await history(dev, "pi_told")
    assert found["left_out"] == 0
    first, second, third = found["data"]
    assert [each["event_id"] for each in found["data"]] == [captured, late, refunded]
    event = await dev.get(f"/api/v1/events/{captured}")
    assert first == {
        "event_id": captured,
        "source": "stripe",
        "type": "payment_intent.succeeded",
        "received_at": event["received_at"],
        "occurred_at": "2025-11-21T00:00:05.000Z",
        "taken_at": None,
        "fact": {
            "kind": "payment",
            "id": "pi_told",
            "status": "captured",
            "detail": "succeeded",
            "amount": usd(1050),
            "refunded": None,
            "reference": "order 7",
            "effect": "first",
            "against": None,
            "stands": True,
        },
        "after": {"status": "captured", "amount": usd(1050), "refunded": usd(0)},
        "deliveries": [{"id": event["deliveries"][0]["id"], "endpoint": "local", "state": "delivered"}],
        "deliveries_left_out": 0,
    }
    assert (second["fact"]["effect"], second["fact"]["against"], second["fact"]["stands"]) == (
        "behind",
        "captured",
        False,
    )
    assert second["after"] == first["after"]
    assert (third["fact"]["kind"], third["fact"]["effect"]) == ("refund", "first")
    assert third["after"] == {"status": "partially_refunded", "amount": usd(1050), "refunded": usd(250)}


async def test_the_same_events_in_another_order_end_in_the_same_state_and_the_history_tells_them_otherwise(
    dev: DevDaemon,
):
    for name, order in (("one", (0, 1, 2)), ("two", (2, 1, 0))):
        shop = Shop(dev, f"order_{name}")
        payment = f"pi_order_{name}"
        steps = [
            lambda shop=shop, payment=payment: shop.intent(payment, "processing", CREATED),
            lambda shop=shop, payment=payment: shop.intent(payment, "succeeded", CREATED + 1),
            lambda shop=shop, payment=payment: shop.refund(f"re_{payment}", payment, 250, CREATED + 2),
        ]
        for number in order:
            await steps[number]()
    one, two = await history(dev, "pi_order_one"), await history(dev, "pi_order_two")
    assert one["data"][-1]["after"] == two["data"][-1]["after"]
    assert [each["fact"]["effect"] for each in one["data"]] == ["first", "moved", "first"]
    assert [each["fact"]["effect"] for each in two["data"]] == ["first", "first", "behind"]
    assert [each["after"]["status"] for each in two["data"]] == ["pending", "partially_refunded", "partially_refunded"]


@pytest.mark.parametrize("path", ["stripe/pi_nobody", "nobody/pi_told", "stripe/%00", "stripe/%FF"])
async def test_a_payment_that_nobody_spoke_of_has_no_history(dev: DevDaemon, path: str):
    url = yarl.URL(f"{dev.running.admin}/api/v1/payments/{path}/history", encoded=True)
    headers = {"Authorization": f"Bearer {dev.running.token}"}
    async with dev.session.get(url, headers=headers) as response:
        assert (response.status, response.content_type) == (404, "application/problem+json")


async def test_a_history_is_for_those_who_may_read(dev: DevDaemon):
    async with dev.session.get(f"{dev.running.admin}/api/v1/payments/stripe/pi_told/history") as response:
        assert response.status == 401


async def test_an_id_of_any_characters_has_its_history(dev: DevDaemon):
    payment = "pi/a?b#c%2F d'\""
    event = await Shop(dev, "any").intent(payment)
    quoted = "".join(f"%{byte:02X}" for byte in payment.encode())
    url = yarl.URL(f"{dev.running.admin}/api/v1/payments/stripe/{quoted}/history", encoded=True)
    headers = {"Authorization": f"Bearer {dev.running.token}"}
    async with dev.session.get(url, headers=headers) as response:
        assert [each["event_id"] for each in (await response.json())["data"]] == [event]
