"""A real daemon that owes one hook to merchants who are bad in every way there is."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.daemon.test_end_to_end import post as send
from tests.daemon.test_end_to_end import stripe_event, stripe_headers
from tests.deliver.raw import merchant, polite
from tests.faults.bad_merchants import AUTHORITY, KINDS, BadMerchant, Kind, redirecting
from tests.faults.settled import settled
from tests.running import ENDPOINT_SECRET, RunningDaemon, configuration, daemon, endpoint

pytestmark = pytest.mark.fault(27, 28, 29, 30)
SCHEDULE = ["0s", *["50ms"] * 20]


def owed_to(name: str, kind: Kind, port: int) -> str:
    lines = [f"[endpoints.{name}]", f'secret = "{ENDPOINT_SECRET}"']
    if kind.is_tls:
        lines += [f'url = "https://localhost:{port}/hook"', 'ca = "authority.pem"']
    else:
        lines += [f'url = "http://127.0.0.1:{port}/hook"']
    return "\n".join([*lines, *([f'timeout = "{kind.timeout}"'] if kind.timeout else [])]) + "\n"


def files_of(running: RunningDaemon) -> int:
    return len([*Path(f"/proc/{running.pid}/fd").iterdir()])


async def test_whatever_a_merchant_does_it_is_named_and_tried_again_under_the_same_id(
    tmp_path: Path, dice: Random, torture: bool, record_property: Any
):
    (tmp_path / "authority.pem").write_bytes(AUTHORITY.cert_pem.bytes())
    requests = 0
    async with AsyncExitStack() as stack:
        elsewhere = await stack.enter_async_context(merchant(polite))
        shops = {name: BadMerchant(kind) for name, kind in {**KINDS, "redirects": redirecting(elsewhere.port)}.items()}
        for shop in shops.values():
            await stack.enter_async_context(shop.open())
        endpoints = "".join(owed_to(name, shop.kind, shop.port) for name, shop in shops.items())
        config = configuration(endpoints=endpoints, delivery=f"schedule = {SCHEDULE}")
        running = await stack.enter_async_context(daemon(tmp_path, config))
        files = files_of(running)
        for round_ in range(20 if torture else 1):
            for shop in shops.values():
                shop.left = dice.randint(1, 2)  # so seldom that no breaker opens
            bad = {name: shop.left for name, shop in shops.items()}
            body = stripe_event(f"evt_{round_}")
            _, answer = await send(running, "stripe", body, stripe_headers(body))
            found = await settled(running, answer["event_id"])
            for name, shop in shops.items():
                history = [each["error"] for each in found[name]["history"]]
                assert found[name]["state"] == "delivered", (name, history)
                assert history[-1] is None
                assert set(history[: bad[name]]) == {shop.kind.word}, (name, history)
                got = [
                    each for each in shop.got if answer["event_id"] == each.headers["webhook-id"] or body == each.body
                ]
                assert {(each.headers["webhook-id"], each.body) for each in got} == {(answer["event_id"], body)}, name
                assert len({each.headers["webhookd-attempt"] for each in got}) == len(got), name
                assert shop.faults == []
                requests += len(got)
        assert elsewhere.peers == [], "nobody follows a redirect"
        assert files_of(running) <= files + 2, "what was cut is closed"
        assert await running.stop() == 0
    record_property("requests", requests)


async def test_who_refuses_is_tried_until_he_takes_it(tmp_path: Path):
    async with merchant(polite) as there:
        pass  # his port is free now
    config = configuration(endpoints=endpoint("shop", there.port), delivery='schedule = ["0s", "1s", "1s", "1s", "1s"]')
    async with daemon(tmp_path, config) as running:
        body = stripe_event()
        _, answer = await send(running, "stripe", body, stripe_headers(body))
        assert (await running.logged("attempt_failed", endpoint="shop"))["error"] == "connect"
        back = await asyncio.start_server(
            lambda reader, writer: there.take(polite, reader, writer), "127.0.0.1", there.port
        )
        try:
            found = await settled(running, answer["event_id"])
        finally:
            await running.stop()
            back.close()
    assert found["shop"]["state"] == "delivered"
    assert [each.body for peer in there.peers for each in peer.requests] == [body]
