"""The whole of it, as its users meet it: official senders on one side, an official check on the other."""

import json
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import standardwebhooks
import stripe
import svix.webhooks

from tests.daemon.merchant import merchant
from tests.running import STANDARD_SECRET, STRIPE_SECRET, RunningDaemon, configuration, daemon, endpoint


async def post(running: RunningDaemon, source: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{running.hooks}/webhooks/{source}", data=body, headers=headers) as response,
    ):
        return response.status, await response.json()


async def api(running: RunningDaemon, path: str) -> Any:
    headers = {"Authorization": f"Bearer {running.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{running.admin}/api/v1{path}") as response,
    ):
        return await response.json()


def stripe_event(event_id: str = "evt_1") -> bytes:
    """As Stripe writes it: indented, with what a careless JSON round trip would change."""
    return (
        b'{\n  "id": "' + event_id.encode() + b'",\n  "object": "event",\n  "created": 1700000000,\n'
        b'  "type": "payment_intent.succeeded",\n  "data": {"object": {"id": "pi_1", "object": "payment_intent",'
        b' "amount": 1.0, "description": "Z\xc3\xbcrich \\u2713"}}\n}'
    )


def stripe_headers(body: bytes) -> dict[str, str]:
    signature = stripe.WebhookSignature.generate_signature_header(body.decode(), STRIPE_SECRET)
    return {"Stripe-Signature": signature, "Content-Type": "application/json; charset=utf-8"}


async def test_a_stripe_event_reaches_a_standard_webhooks_merchant_byte_for_byte(tmp_path: Path):
    async with merchant() as shop, daemon(tmp_path, configuration(endpoints=endpoint("shop", shop.port))) as running:
        body = stripe_event()
        status, answer = await post(running, "stripe", body, stripe_headers(body))
        assert (status, answer["status"]) == (200, "accepted")
        [got] = await shop.has(1)
        assert got.body == body
        assert got.headers["webhook-id"] == got.headers["idempotency-key"] == answer["event_id"]
        assert got.headers["content-type"] == "application/json; charset=utf-8"
        assert (got.headers["webhookd-source"], got.headers["webhookd-event-type"]) == (
            "stripe",
            "payment_intent.succeeded",
        )


async def test_standard_webhooks_senders_are_understood_under_either_header_name(tmp_path: Path):
    async with merchant() as shop, daemon(tmp_path, configuration(endpoints=endpoint("shop", shop.port))) as running:
        body = b'{"type":"payment.succeeded","timestamp":"2026-01-31T12:00:00Z","data":{"payment_id":"pay_1"}}'
        now = datetime.now(UTC)
        for prefix, library in (("webhook", standardwebhooks.Webhook), ("svix", svix.webhooks.Webhook)):
            headers = {
                f"{prefix}-id": f"msg_{prefix}",
                f"{prefix}-timestamp": str(int(now.timestamp())),
                f"{prefix}-signature": library(STANDARD_SECRET).sign(f"msg_{prefix}", now, body.decode()),
            }
            status, answer = await post(running, "standard", body, headers)
            assert (status, answer["status"]) == (200, "accepted")
        assert {got.body for got in await shop.has(2)} == {body}


@pytest.mark.fault(30)
async def test_a_merchant_that_fails_is_tried_again_with_the_same_id_and_bytes(tmp_path: Path):
    config = {"endpoints": "", "delivery": 'schedule = ["0s", "20ms", "20ms"]'}
    async with merchant() as shop:
        shop.answer = lambda _got: 500 if len(shop.got) < 3 else 200
        config["endpoints"] = endpoint("shop", shop.port)
        async with daemon(tmp_path, configuration(**config)) as running:
            body = stripe_event()
            _, answer = await post(running, "stripe", body, stripe_headers(body))
            got = await shop.has(3)
            assert {(each.headers["webhook-id"], each.body) for each in got} == {(answer["event_id"], body)}
            assert [each.headers["webhookd-attempt"] for each in got] == ["1", "2", "3"]
            await running.stop()
            await running.start()
            event = await api(running, f"/events/{answer['event_id']}")
            [delivery] = event["deliveries"]
            assert (delivery["state"], delivery["attempts"]) == ("delivered", 3)
            assert [attempt["status"] for attempt in delivery["history"]] == [500, 500, 200]


async def test_only_the_endpoints_that_want_an_event_get_it(tmp_path: Path):
    async with merchant() as shop:
        endpoints = endpoint("paid", shop.port, events=["payment_intent.*"]) + endpoint(
            "lost", shop.port, events=["charge.*"]
        )
        async with daemon(tmp_path, configuration(endpoints=endpoints)) as running:
            body = stripe_event()
            _, answer = await post(running, "stripe", body, stripe_headers(body))
            await shop.has(1)
            event = await api(running, f"/events/{answer['event_id']}")
            assert [delivery["endpoint"] for delivery in event["deliveries"]] == ["paid"]


async def test_what_was_owed_when_the_daemon_died_is_delivered_when_it_is_back(tmp_path: Path):
    async with merchant() as shop:
        shop.answer = lambda _got: 500
        config = configuration(endpoints=endpoint("shop", shop.port), delivery='schedule = ["0s", "1s", "1s"]')
        async with daemon(tmp_path, config) as running:
            body = stripe_event()
            await post(running, "stripe", body, stripe_headers(body))
            await shop.has(1)
            await running.kill()
            shop.answer = lambda _got: 200
            await running.start()
            first, second = await shop.has(2)
            assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])


async def test_a_410_holds_deliveries_until_a_person_resumes_the_endpoint(tmp_path: Path):
    async with merchant() as shop:
        shop.answer = lambda _got: 410
        async with daemon(tmp_path, configuration(endpoints=endpoint("shop", shop.port))) as running:
            body = stripe_event()
            await post(running, "stripe", body, stripe_headers(body))
            await running.logged("endpoint_paused", endpoint="shop")
            shop.answer = lambda _got: 200
            headers = {"Authorization": f"Bearer {running.token}"}
            async with aiohttp.ClientSession(headers=headers) as session:
                url = f"{running.admin}/api/v1/endpoints/shop/resume"
                async with session.post(url) as response:
                    assert (await response.json())["state"] == "active"
            assert len(await shop.has(2)) == 2


async def test_the_log_says_when_the_next_attempt_is_as_it_says_all_times(tmp_path: Path):
    async with merchant() as shop:
        shop.answer = lambda _got: 500
        config = configuration(endpoints=endpoint("shop", shop.port), delivery='schedule = ["0s", "1h"]')
        async with daemon(tmp_path, config) as running:
            body = stripe_event()
            await post(running, "stripe", body, stripe_headers(body))
            failed = await running.logged("attempt_failed", endpoint="shop")
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", failed["next_attempt_at"])


async def test_no_secret_no_body_and_no_signature_reach_the_log(tmp_path: Path):
    async with merchant() as shop:
        shop.answer = lambda _got: 500
        config = configuration(endpoints=endpoint("shop", shop.port), delivery='schedule = ["0s", "1ms"]')
        async with daemon(tmp_path, config) as running:
            body = json.dumps(
                {"id": "evt_1", "type": "t", "created": int(time.time()), "data": {}, "card": "4242424242424242 canary"}
            ).encode()
            headers = stripe_headers(body)
            await post(running, "stripe", body, headers)
            await post(running, "stripe", body, {"Stripe-Signature": "t=1,v1=canary"})
            await running.logged("delivery_dead")
            await running.stop()
            log = json.dumps(running.log)
            card, signature = "4242424242424242", headers["Stripe-Signature"]
            for canary in ("canary", card, STRIPE_SECRET, "whsec_", signature, running.token):
                assert canary not in log
