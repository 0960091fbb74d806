"""A row that an application commits with its payment reaches the merchant, and the ledger."""

import json
from pathlib import Path

from tests.admin.desk import desk
from tests.daemon.merchant import merchant
from tests.relay.relaying import until
from tests.relay.shop import Shop, body, source
from tests.running import configuration, daemon, endpoint


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
