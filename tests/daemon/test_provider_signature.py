"""An application behind `signature = "provider"`: unchanged, and served late, it still trusts what it gets."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.application import CHECKS, KINDS, PROVIDER_OF, SECRETS, TIMED, body_of, sent
from tests.daemon.test_end_to_end import api
from tests.daemon.three_days_ago import AGO_S
from tests.paypal_desk import signing_key
from tests.receive.wire import ask, new_address, post
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon
from webhookd.evidence.shelf import Kept, Shelf
from webhookd.providers.paypal.signature import HOME_CERT_URL
from webhookd.sandbox import paypal_keys

IN_THE_PAST = [sys.executable, "-m", "tests.daemon.three_days_ago", "serve"]


class Applications:
    """One on each path, closed until it is opened; then it checks with its library, and takes or refuses."""

    def __init__(self) -> None:
        self.opened = False
        self.came: dict[str, list[dict[str, str]]] = {kind: [] for kind in KINDS}
        self.refusals: list[str] = []
        self.port = 0
        self._news = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        kind, body = request.match_info["kind"], await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        status = 503
        if self.opened:
            try:
                CHECKS[kind](headers, body)
                status = 200
            except Exception as refusal:  # noqa: BLE001 - each library has its own
                self.refusals.append(f"{kind}: {refusal!r}")
                status = 400
        async with self._news:
            self.came[kind].append(headers)
            self._news.notify_all()
        return web.Response(status=status)

    async def got(self, count: int, *kinds: str) -> None:
        """Wait until each of these got so many requests."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: all(len(self.came[kind]) >= count for kind in kinds))


@pytest.fixture
async def applications() -> AsyncIterator[Applications]:
    made = Applications()
    app = web.Application()
    app.router.add_post("/{kind}", made.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    yield made
    await runner.cleanup()


def sources(*kinds: str) -> str:
    webhook_id = paypal_keys.webhook_id(signing_key())
    tables = {"paypal": f'provider = "paypal"\nwebhook_id = "{webhook_id}"\nauthorities = "authority.pem"\n'}
    for kind, secret in SECRETS.items():
        provider = PROVIDER_OF.get(kind, kind)
        tables[kind] = f"provider = {json.dumps(provider)}\nsecrets = [{json.dumps(secret)}]\n"
    tables["flutterwave-v3"] += 'scheme = "verif-hash"\n'
    return "\n".join(f"[sources.{kind}]\n{tables[kind]}" for kind in kinds)


def endpoint(kind: str, port: int, **settings: Any) -> str:
    given = {"url": f"http://127.0.0.1:{port}/{kind}", "sources": [kind], "signature": "provider", **settings}
    return "\n".join([f"[endpoints.{kind}]", *(f"{key} = {json.dumps(value)}" for key, value in given.items())]) + "\n"


def prepared(directory: Path) -> Path:
    """Where PayPal's certificate has been fetched before."""
    (directory / "authority.pem").write_bytes(paypal_keys.authority(signing_key()))
    forever_ms = 4_000_000_000_000
    Shelf(directory / "data").put(Kept(HOME_CERT_URL, forever_ms, paypal_keys.certificate(signing_key())))
    return directory


async def send(running: RunningDaemon, kind: str, at_s: int) -> str:
    headers = {"Content-Type": "application/json", **sent(kind, at_s)}
    answer = await ask(running.port, post(kind, body_of(kind), headers), address=new_address())
    assert answer.status == 200, (kind, answer.raw)
    return str(answer.json()["event_id"])


async def test_a_delivery_that_is_three_days_late_passes_the_check_of_every_application(
    tmp_path: Path, applications: Applications
) -> None:
    endpoints = "\n".join(endpoint(kind, applications.port) for kind in KINDS)
    config = configuration(sources=sources(*KINDS), endpoints=endpoints)
    then_s = int(time.time()) - AGO_S
    async with daemon(prepared(tmp_path), config, command=IN_THE_PAST) as running:
        events = {kind: await send(running, kind, then_s) for kind in KINDS}
        await applications.got(1, *KINDS)
        assert await running.stop() == 0
    applications.opened = True
    async with daemon(tmp_path, config) as running:
        await applications.got(2, *KINDS)
        assert await running.stop() == 0
    assert applications.refusals == []
    for kind, (first, late) in applications.came.items():
        assert first["idempotency-key"] == late["idempotency-key"] == events[kind]
        assert (first["webhookd-attempt"], late["webhookd-attempt"]) == ("1", "2")
    for kind in TIMED:
        first, _ = applications.came[kind]
        with pytest.raises(Exception, match=r"(?i)timestamp|too old|tolerance"):
            CHECKS[kind](first, body_of(kind))


async def settled(running: RunningDaemon, event_id: str) -> dict[str, Any]:
    """The one delivery of the event, once it is: asked for again and again, for nothing announces it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            [delivery] = (await api(running, f"/events/{event_id}"))["deliveries"]
            if delivery["state"] != "pending":
                return dict(delivery)


async def test_what_nobody_can_sign_any_more_is_a_failed_attempt_with_a_word_for_it(
    tmp_path: Path, applications: Applications
) -> None:
    takes_all = endpoint("stripe", applications.port, sources=[], schedule=["0s", "1h"])
    with_stripe = configuration(sources=sources("stripe", "paystack"), endpoints=takes_all)
    async with daemon(tmp_path, with_stripe, command=IN_THE_PAST) as running:
        event_id = await send(running, "stripe", int(time.time()) - AGO_S)
        await applications.got(1, "stripe")
        assert await running.stop() == 0
    async with daemon(tmp_path, configuration(sources=sources("paystack"), endpoints=takes_all)) as running:
        delivery = await settled(running, event_id)
        assert await running.stop() == 0
    assert delivery["state"] == "dead"
    assert [attempt["error"] for attempt in delivery["history"]] == ["status", "unsigned"]
    assert len(applications.came["stripe"]) == 1
