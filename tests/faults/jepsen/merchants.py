"""Merchants that remember every request they got: when, under which id and number, and how they answered it."""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Iterable

import standardwebhooks
from aiohttp import web

from tests.faults.jepsen.history import History
from webhookd.core.identifier import UnknownIdError, parse_delivery_id, parse_event_id

FAILING = 0.04
"""The share of requests that are answered 500 …"""
ASKING_FOR_TIME = 0.01
"""… and those with which goes a Retry-After."""
RETRY_AFTER_S = 1
SLOW = 0.1
"""The share of requests that take up to SLOW_S_MAX."""
SLOW_S_MAX = 0.05


class Merchants:
    """All of them on one port for each node, each at /NAME. What they get may be signed with any of `secrets`."""

    def __init__(self, dice: random.Random, history: History) -> None:
        self.secrets: list[str] = []
        self.dawdling: dict[str, float] = {}
        """How many seconds those take for each request that take their time."""
        self.lives: dict[str, int] = {}
        """Of each node the process that runs."""
        self.taken: Counter[str] = Counter()
        """Requests answered 200, by merchant."""
        self.requests = 0
        self.taken_in_life: Counter[int] = Counter()
        self.ports: dict[str, int] = {}
        """On which each node's requests arrive: so it is known whose they are."""
        self._names: dict[int, str] = {}
        self._dice = dice
        self._history = history
        self._runner: web.AppRunner

    async def start(self, nodes: Iterable[str]) -> None:
        app = web.Application()
        app.router.add_post("/{name}", self._take)
        # Who has gone has no request under way: what he sends next is not at the same time.
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        for node in nodes:
            await web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024).start()
            self.ports[node] = self._runner.addresses[-1][1]
        self._names = {port: node for node, port in self.ports.items()}

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        assert request.transport is not None
        life = self.lives[self._names[request.transport.get_extra_info("sockname")[1]]]
        arrived, status, retry_after_s = self._history.now(), 0, None
        self.requests += 1
        try:
            if (seconds := self.dawdling.get(request.match_info["name"])) is not None:
                await asyncio.sleep(seconds)
            elif self._dice.random() < SLOW:
                await asyncio.sleep(self._dice.uniform(0, SLOW_S_MAX))
            roll = self._dice.random()
            status = 500 if roll < FAILING + ASKING_FOR_TIME else 200
            retry_after_s = RETRY_AFTER_S if roll < ASKING_FOR_TIME else None
        finally:
            self._note(request, body, arrived, status, retry_after_s, life)
        return web.Response(
            status=status, headers={"Retry-After": str(retry_after_s)} if retry_after_s is not None else None
        )

    def _note(
        self, request: web.Request, body: bytes, arrived: float, status: int, retry_after_s: int | None, life: int
    ) -> None:
        name, headers = request.match_info["name"], request.headers
        authentic = headers["idempotency-key"] == headers["webhook-id"] and any(
            _verifies(secret, body, dict(headers)) for secret in self.secrets
        )
        try:
            key, salt = parse_event_id(headers["webhook-id"])
            delivered, endpoint = parse_delivery_id(headers["webhookd-delivery-id"])
        except UnknownIdError:
            key, salt, delivered, endpoint = 0, 0, 0, 0
        self._history.note(
            "request",
            name,
            key,
            salt,
            endpoint,
            int(headers["webhookd-attempt"]),
            hashlib.sha256(body).digest(),
            authentic and delivered == key != 0,
            "webhookd-replay" in headers,
            int(headers["webhook-timestamp"]),
            arrived,
            self._history.now(),
            status,
            retry_after_s,
            life,
        )
        if status == 200:
            self.taken[name] += 1
            self.taken_in_life[life] += 1


def _verifies(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        standardwebhooks.Webhook(secret).verify(body, headers)
    except standardwebhooks.WebhookVerificationError:
        return False
    return True
