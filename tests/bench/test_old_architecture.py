"""The old way is no straw man: it checks, it tries again, it drains. What it cannot do is to remember."""

import asyncio
import time

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from bench import old_architecture
from bench.old_architecture import Api, Post
from bench.rig.hooks import SECRET, body, signature

MERCHANT_SECRET = "whsec_YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gt"
HOOK = body(1, "old", int(time.time()))


class Merchant:
    """Answers with these, one after the other, and with 200 from then on; each when the gate is open."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.ids: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.news = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        Webhook(MERCHANT_SECRET).verify(await request.read(), dict(request.headers))
        async with self.news:
            self.ids.append(request.headers["webhook-id"])
            self.news.notify_all()
        await self.gate.wait()
        return web.Response(status=self._statuses.pop(0) if self._statuses else 200)

    async def asked(self, times: int) -> None:
        async with self.news:
            await self.news.wait_for(lambda: len(self.ids) >= times)


@pytest.fixture
def old_way(aiohttp_client, aiohttp_server, monkeypatch):
    monkeypatch.setattr(old_architecture, "WAITS_S", (0.0, 0.0, 0.0))

    async def make(merchant: Merchant, *, workers: int = 2, drain_s: float = 10):
        app = web.Application()
        app.router.add_post("/", merchant.take)
        server = await aiohttp_server(app)
        post = Post("shop", str(server.make_url("/")), Webhook(MERCHANT_SECRET))
        return await aiohttp_client(Api({"shop": post}, SECRET, workers, drain_s).app())

    return make


async def send(client, header: str | None = None) -> int:
    signed = {"Stripe-Signature": signature(HOOK, int(time.time())) if header is None else header}
    async with client.post("/webhooks/stripe", data=HOOK, headers=signed) as response:
        return response.status


async def test_what_is_signed_is_answered_before_the_merchant_has_it_and_comes_under_the_providers_id(old_way):
    merchant = Merchant()
    merchant.gate.clear()
    client = await old_way(merchant)
    assert await send(client) == 200
    await merchant.asked(1)
    merchant.gate.set()
    assert merchant.ids == ["evt_old_00000001"]


@pytest.mark.parametrize(
    "header",
    ["", "t=1,v1=ab", "t=²,v1=ab", signature(b"another", int(time.time()))],
    ids=["nothing", "long ago", "no number", "of another body"],
)
async def test_what_is_not_signed_is_refused(old_way, header):
    merchant = Merchant()
    client = await old_way(merchant)
    assert await send(client, header) == 400
    await client.close()
    assert merchant.ids == []


async def test_an_attempt_that_fails_is_followed_by_another_as_often_as_there_are_waits(old_way):
    merchant = Merchant(500, 503, 500, 500)
    client = await old_way(merchant)
    await send(client)
    await client.close()
    assert len(merchant.ids) == 3


async def test_when_it_is_stopped_it_empties_its_queue(old_way):
    merchant = Merchant(500)
    client = await old_way(merchant, workers=1)
    for _ in range(20):
        await send(client)
    await client.close()
    assert len(merchant.ids) == 21


async def test_what_it_has_no_time_for_when_it_is_stopped_is_lost(old_way):
    merchant = Merchant()
    merchant.gate.clear()
    client = await old_way(merchant, workers=1, drain_s=0)
    await send(client)
    await send(client)
    async with client.get("/healthz") as response:
        assert await response.json() == {"waiting": 2}
    await client.close()
    merchant.gate.set()
    assert len(merchant.ids) <= 1
