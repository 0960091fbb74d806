"""Endpoints that fail, end, or come late, as their operator and those who listen to webhookd itself see it."""

import json
import signal
from pathlib import Path

from tests.admin.desk import desk
from tests.daemon.merchant import merchant
from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.running import configuration, daemon, endpoint


async def test_who_asks_for_it_is_told_that_an_endpoint_is_gone_and_of_a_dead_delivery(tmp_path: Path):
    async with merchant() as shop:
        endpoints = endpoint("fulfillment", shop.port) + endpoint("ops", shop.port, events=["webhookd.*"])
        endpoints += endpoint("crm", shop.port, schedule=["0s"])
        shop.answer = lambda got: {"/fulfillment": 410, "/crm": 500}.get(got.path, 200)
        async with daemon(tmp_path, configuration(endpoints=endpoints)) as running, desk(running) as operator:
            body = stripe_event()
            await post(running, "stripe", body, stripe_headers(body))
            got = await shop.has(4)
            told = [each for each in got if each.path == "/ops"]
            said = {(news := json.loads(each.body))["type"]: news["data"] for each in told}
            assert said.keys() == {"webhookd.endpoint.paused", "webhookd.delivery.dead"}
            assert said["webhookd.endpoint.paused"]["endpoint"] == "fulfillment"
            assert (said["webhookd.delivery.dead"]["endpoint"], said["webhookd.delivery.dead"]["last_status"]) == (
                "crm",
                500,
            )
            assert {each.headers["webhookd-source"] for each in told} == {"webhookd"}
            shown = await operator.get("/endpoints/fulfillment")
            assert (shown["state"], shown["why"], shown["backlog"]) == ("paused", "gone", 1)


async def test_an_endpoint_that_fails_is_let_alone_and_says_so_also_after_a_kill(tmp_path: Path):
    """Six events, five attempts: the sixth waits for the breaker, and a kill does not make it forget."""
    async with merchant() as shop:
        shop.answer = lambda _got: 500
        endpoints = endpoint("shop", shop.port, max_in_flight=1)
        async with daemon(tmp_path, configuration(endpoints=endpoints)) as running, desk(running) as operator:
            for number in range(6):
                body = stripe_event(f"evt_{number}")
                await post(running, "stripe", body, stripe_headers(body))
            await running.logged("breaker_opened")
            before = await operator.get("/endpoints/shop")
            assert (before["breaker"], before["backlog"], len(shop.got)) == ("open", 6, 5)
            await running.kill()
            await running.start()
            after = await operator.get("/endpoints/shop")
            assert (after["failing_since"], after["backlog"]) == (before["failing_since"], 6)
            shop.answer = lambda _got: 200
            await running.logged("breaker_closed")
            await shop.has(6)


async def test_an_endpoint_that_a_reload_adds_gets_what_comes_from_then_on(tmp_path: Path):
    async with merchant() as shop, daemon(tmp_path, configuration(endpoints="")) as running:
        for number in range(2):
            if number:
                (tmp_path / "webhookd.toml").write_text(configuration(endpoints=endpoint("late", shop.port)))
                running.send_signal(signal.SIGHUP)
                await running.logged("reloaded")
            body = stripe_event(f"evt_{number}")
            _, answer = await post(running, "stripe", body, stripe_headers(body))
        [got] = await shop.has(1)
        assert got.headers["webhook-id"] == answer["event_id"]
