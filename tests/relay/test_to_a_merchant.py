"""A row that an application commits with its payment reaches the merchant, and the ledger."""

import asyncio
import json
from pathlib import Path

from tests.admin.desk import desk
from tests.daemon.merchant import merchant
from tests.relay.relaying import until
from tests.relay.shop import Shop, body, source
from tests.running import PATIENCE_S, configuration, daemon, endpoint


async def test_a_row_is_delivered_byte_for_byte_and_moves_the_ledger(tmp_path: Path, shop: Shop):
    async with merchant() as fulfilment:
        config = configuration(sources=source(shop), endpoints=endpoint("fulfilment", fulfilment.port))
        async with daemon(tmp_path, config) as running, desk(running) as operator:
            await shop.pay("pay_1")
            [got] = await fulfilment.has(1)
            assert got.body == body("pay_1").encode()
            assert got.headers["webhookd-source"] == "shop"
            assert got.headers["webhookd-event-type"] == "payment.captured"
            [payment] = (await operator.get("/payments"))["data"]
            assert (payment["provider"], payment["id"], payment["status"]) == ("outbox", "pay_1", "captured")
            assert payment["amount"] == {"amount": 1050, "currency": "USD", "exponent": 2}
            await until(shop, 0)
        assert json.loads(got.body)["data"] == {"payment": "pay_1"}


async def test_the_events_of_a_payment_are_delivered_in_the_order_of_its_rows(tmp_path: Path, shop: Shop):
    rows = 30
    async with merchant() as fulfilment:
        fulfilment.answer = lambda got: 500 if (len(fulfilment.got) % 7) == 3 else 200
        to = endpoint("fulfilment", fulfilment.port, ordering="payment", schedule=["0s", *["50ms"] * 20])
        async with daemon(tmp_path, configuration(sources=source(shop), endpoints=to)):
            for number in range(rows):
                values = f"('a', '{{\"n\": {number}}}', 'pay_1')"
                await shop.ask(f"INSERT INTO webhookd_outbox (type, body, payment_id) VALUES {values}")
            await until(shop, 0)
            async with asyncio.timeout(PATIENCE_S):
                while len({got.headers["webhook-id"] for got in fulfilment.got}) < rows:
                    await asyncio.sleep(0.01)
    numbers = [json.loads(got.body)["n"] for got in fulfilment.got]
    assert numbers == sorted(numbers)
