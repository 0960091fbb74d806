"""A merchant on your desk: verifies the signature, drops what it has seen, and misbehaves when asked to."""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable

import msgspec
from aiohttp import web

from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.providers.provider import Credentials, Verified
from webhookd.providers.standard import Standard

REMEMBERED_MAX = 100_000


class Visit(msgspec.Struct, frozen=True):
    """One request the merchant got, and what it answered."""

    at_ms: int
    event_id: str
    type: str
    attempt: str
    delivery_id: str
    verified: bool | None
    """None when the merchant has no secret to check with."""
    repeated: bool
    replay: bool
    status: int
    size: int


class Merchant:
    """`secret` is the endpoint's whsec_…; `fail_rate` of the requests are answered 500, all after `delay_ms`."""

    def __init__(
        self,
        now_ms: Callable[[], int],
        told: Callable[[Visit], None],
        *,
        secret: Secret | None = None,
        fail_rate: float = 0.0,
        delay_ms: int = 0,
    ) -> None:
        self._now_ms = now_ms
        self._told = told
        self._checker = Standard(Credentials([secret])) if secret is not None else None
        self._fail_rate = fail_rate
        self._delay_ms = delay_ms
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Serve; the port that was really taken. Raises OSError when it is in use."""
        app = web.Application(client_max_size=16 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._visit)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _visit(self, request: web.Request) -> web.Response:
        body = await request.read()
        now_ms = self._now_ms()
        event_id = request.headers.get("webhook-id", "")
        verified = None
        if self._checker is not None:
            verdict = self._checker.verify(Hook(request.headers, body, now_ms), now_ms // 1_000, {})
            verified = isinstance(verdict, Verified)
        if self._delay_ms:
            await asyncio.sleep(self._delay_ms / 1_000)
        repeated = event_id in self._seen
        if verified is False:
            status = 401
        elif random.random() < self._fail_rate:  # noqa: S311 - a merchant's bad luck, not a secret
            status = 500
        else:
            status = 200
            self._remember(event_id)
        self._told(
            Visit(
                at_ms=now_ms,
                event_id=event_id,
                type=request.headers.get("webhookd-event-type", ""),
                attempt=request.headers.get("webhookd-attempt", ""),
                delivery_id=request.headers.get("webhookd-delivery-id", ""),
                verified=verified,
                repeated=repeated,
                replay=request.headers.get("webhookd-replay") == "true",
                status=status,
                size=len(body),
            )
        )
        return web.Response(status=status, text={200: "thank you", 500: "not today"}.get(status, "who are you?"))

    def _remember(self, event_id: str) -> None:
        self._seen[event_id] = None
        if len(self._seen) > REMEMBERED_MAX:
            self._seen.popitem(last=False)
