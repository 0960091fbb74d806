"""Merchants who count: they check signatures, note which event it is, and answer. One is down and one slow at times."""

import asyncio
import random
import time
from collections.abc import Sequence

import msgspec
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from bench.comparison.trouble import Trouble

NAMES = ("checkout", "inventory", "fulfillment")
SECRET = "whsec_YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gt"
WORK_S = (0.005, 0.025)
"""What a merchant takes to answer: anything between these."""
SLOW_S = 1.0


class Receipt(msgspec.Struct):
    """What a merchant knows of one event that it has answered 200."""

    at_s: float
    """When it came first, in seconds since the beginning of the load."""
    webhook_ids: set[str]
    times: int = 1


class Event(msgspec.Struct):
    id: str


class Merchants:
    """All on one port, each on a path of its own. `began` is to be set when the load begins."""

    def __init__(self, trouble: Trouble, dice: random.Random, names: Sequence[str] = NAMES) -> None:
        self.receipts: dict[str, dict[str, Receipt]] = {name: {} for name in names}
        self.answers = 0
        self.forged = 0
        """Requests that were not signed as they should be."""
        self.began = time.perf_counter()
        self._trouble = trouble
        self._dice = dice
        self._checker = Webhook(SECRET)
        self._runner: web.AppRunner

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{name}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    async def stop(self) -> None:
        await self._runner.cleanup()

    @property
    def urls(self) -> dict[str, str]:
        port = self._runner.addresses[0][1]
        return {name: f"http://127.0.0.1:{port}/{name}" for name in self.receipts}

    async def _take(self, request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await request.read()
        at_s = time.perf_counter() - self.began
        self.answers += 1
        try:
            self._checker.verify(body, dict(request.headers), json_parse=False)
        except WebhookVerificationError:
            self.forged += 1
            return web.Response(status=401)
        if self._trouble.down.merchant == name and self._trouble.down.covers(at_s):
            return web.Response(status=503)
        self._note(name, msgspec.json.decode(body, type=Event).id, request.headers["webhook-id"], at_s)
        is_slow = self._trouble.slow.merchant == name and self._trouble.slow.covers(at_s)
        await asyncio.sleep(SLOW_S if is_slow else self._dice.uniform(*WORK_S))
        return web.Response()

    def _note(self, name: str, event_id: str, webhook_id: str, at_s: float) -> None:
        receipt = self.receipts[name].get(event_id)
        if receipt is None:
            self.receipts[name][event_id] = Receipt(at_s, {webhook_id})
            return
        receipt.times += 1
        receipt.webhook_ids.add(webhook_id)
