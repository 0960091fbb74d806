"""A merchant whose check is the official Standard Webhooks library, and who keeps what he got."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import standardwebhooks
from aiohttp import web

from tests.running import ENDPOINT_SECRET, PATIENCE_S


class Got(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Merchant:
    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answer: Callable[[Got], int] = lambda _got: 200
        self.text = b""
        self.before_answer: Callable[[], Awaitable[object]] | None = None
        self.port = 0
        self.secret = ENDPOINT_SECRET
        """What signatures are checked with."""
        self._news = asyncio.Condition()

    async def has(self, count: int) -> list[Got]:
        """Wait until so many requests have come."""
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: len(self.got) >= count)
        return self.got

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        standardwebhooks.Webhook(self.secret).verify(body, dict(request.headers))  # raises: 500, and the test fails
        got = Got(request.path, {name.lower(): value for name, value in request.headers.items()}, body)
        async with self._news:
            self.got.append(got)
            self._news.notify_all()
        if self.before_answer is not None:
            await self.before_answer()
        return web.Response(status=self.answer(got), body=self.text)


@asynccontextmanager
async def merchant() -> AsyncIterator[Merchant]:
    made = Merchant()
    app = web.Application()
    app.router.add_post("/{name}", made.take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.port = runner.addresses[0][1]
    try:
        yield made
    finally:
        await runner.cleanup()
