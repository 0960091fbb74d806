"""PayPal's "secret" is the webhook's id: that, too, is tried on what was refused, with the certificate that is kept."""

import msgspec

from tests.admin.desk import desk
from tests.daemon.test_paypal import BODY, World, send, world
from tests.paypal_desk import MADE_AT_S, signing_key
from webhookd.core.secret import Secret
from webhookd.providers.paypal import PayPal
from webhookd.sandbox.dev import dev_credentials

__all__ = ["world"]
ANOTHER = "WH-ANOTHER"


async def test_the_right_webhook_id_is_told_from_a_wrong_one(world: World) -> None:
    credentials = dev_credentials("paypal", Secret(signing_key()))
    sender = PayPal(msgspec.structs.replace(credentials, webhook_id=Secret(ANOTHER)))
    async with world.daemon() as running, desk(running) as asked:
        assert (await send(running, BODY, sender.sign(BODY, MADE_AT_S, "msg_1"))).status == 401
        path = "/sources/paypal/try-secret"
        right = [(await asked.done("POST", path, {"secret": each}))["right"] for each in (ANOTHER, "WH-WRONG")]
        (refused,) = (await asked.get("/refusals"))["data"]
    assert right == [1, 0]
    assert refused["reason"] == "wrong_signature"
    assert refused["signature"]["paypal-cert-url"] == "at api.sandbox.paypal.com"
    assert len(world.paypal.paths) == 1, "the certificate was fetched again"
