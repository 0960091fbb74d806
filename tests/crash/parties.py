"""The provider and the merchants of the crash harness, and the histories they keep."""

import asyncio
import hashlib
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import NamedTuple

import aiohttp
import standardwebhooks
import stripe
from aiohttp import web

from tests.running import ENDPOINT_SECRET, PATIENCE_S, STRIPE_SECRET

CLIENTS = 12


class Hook(NamedTuple):
    """What the provider knows of one of its events."""

    sha256: str
    acks: list[tuple[str, str]]
    """(status, event id) of each 2xx."""


class Provider:
    """Sends events until each has had a 2xx, as a provider does; now and then once more after that."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._up = asyncio.Event()
        self._room = asyncio.Event()
        self.is_ahead: Callable[[], bool] = lambda: False
        """Asked before anything new is sent; while it is so, nothing is, and `look_again` has it asked again."""
        self._url = ""
        self._stopping = False
        self._number = 0
        self._progress = asyncio.Condition()
        self.hooks: dict[str, Hook] = {}
        self.acked = 0
        self.refused: Counter[int] = Counter()

    @property
    def paid(self) -> dict[str, int]:
        """The payments that were acked, with their amounts."""
        numbers = [int(name.rpartition("_")[2]) for name, hook in self.hooks.items() if hook.acks]
        return {f"pi_{number}": number for number in numbers}

    def reachable_at(self, url: str) -> None:
        self._url = url
        self._up.set()

    def unreachable(self) -> None:
        self._up.clear()

    def finish(self) -> None:
        """Send nothing new; what has had no 2xx is still insisted upon."""
        self._stopping = True
        self.look_again()

    def look_again(self) -> None:
        self._room.set()

    async def acked_more(self, count: int) -> None:
        """Wait until so many more hooks have had a 2xx."""
        wanted = self.acked + count
        async with asyncio.timeout(PATIENCE_S), self._progress:
            await self._progress.wait_for(lambda: self.acked >= wanted)

    async def run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as session:
            await asyncio.gather(*(self._client(session) for _ in range(CLIENTS)))

    async def _client(self, session: aiohttp.ClientSession) -> None:
        while not self._stopping:
            if self.is_ahead():
                self._room.clear()
                await self._room.wait()
                continue
            self._number += 1
            event_id, body = _event(self._number)
            self.hooks[event_id] = Hook(hashlib.sha256(body).hexdigest(), [])
            for _ in range(1 + (self._dice.random() < 0.1)):
                await self._insist(session, event_id, body)

    async def _insist(self, session: aiohttp.ClientSession, event_id: str, body: bytes) -> None:
        while True:
            await self._up.wait()
            header = stripe.WebhookSignature.generate_signature_header(body.decode(), STRIPE_SECRET)
            try:
                async with session.post(self._url, data=body, headers={"Stripe-Signature": header}) as response:
                    answer = await response.json()
            except (aiohttp.ClientError, ValueError):
                # Dead or dying: the next try is for the next daemon.
                await asyncio.sleep(0)
                continue
            if response.status != 200:
                self.refused[response.status] += 1
                continue
            self.hooks[event_id].acks.append((answer["status"], answer["event_id"]))
            async with self._progress:
                self.acked += 1
                self._progress.notify_all()
            return


class Request(NamedTuple):
    """One request a merchant got, and what it was answered."""

    event_id: str
    delivery_id: str
    attempt: int
    sha256: str
    authentic: bool
    status: int


class Merchants:
    """Some endpoints on one port; each answers some requests 500, and remembers all of them."""

    def __init__(self, names: tuple[str, ...], dice: random.Random, fail_rate: float) -> None:
        self._dice = dice
        self._fail_rate = fail_rate
        self._checker = standardwebhooks.Webhook(ENDPOINT_SECRET)
        self._runner: web.AppRunner
        self.names = names
        self.requests: dict[str, list[Request]] = defaultdict(list)
        self.on_request: Callable[[], bool] | None = None
        """Called when a request has arrived; True leaves it without an answer, since its sender is no more."""
        self.taken_by = dict.fromkeys(names, 0)
        """Requests that were answered 200."""
        self.on_taken: Callable[[], None] = lambda: None
        self.port = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{name}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        cut = self.on_request is not None and self.on_request()
        status = 0 if cut else 500 if self._dice.random() < self._fail_rate else 200
        try:
            self._checker.verify(body, dict(request.headers))
            authentic = True
        except standardwebhooks.WebhookVerificationError:
            authentic = False
        if status == 200:
            self.taken_by[request.match_info["name"]] += 1
            self.on_taken()
        headers = request.headers
        self.requests[request.match_info["name"]].append(
            Request(
                headers["webhook-id"],
                headers["webhookd-delivery-id"],
                int(headers["webhookd-attempt"]),
                hashlib.sha256(body).hexdigest(),
                authentic and headers["idempotency-key"] == headers["webhook-id"],
                status,
            )
        )
        return web.Response(status=status or 500)


def _event(number: int) -> tuple[str, bytes]:
    event_id = f"evt_crash_{number:08}"
    subject = {
        "id": f"pi_{number}",
        "object": "payment_intent",
        "amount": number,
        "amount_received": number,
        "currency": "usd",
        "metadata": {"order_id": str(number), "note": "x" * 300},
        "status": "succeeded",
    }
    event = {
        "id": event_id,
        "object": "event",
        "type": "payment_intent.succeeded",
        "created": int(time.time()),
        "data": {"object": subject},
    }
    return event_id, json.dumps(event).encode()
