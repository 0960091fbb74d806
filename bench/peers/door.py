"""The receiver of the peers in Python: aiohttp on uvloop, as ours. It runs in their environments."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable

import uvloop
from aiohttp import web

from bench.peers.signatures import authentic

Enqueue = Callable[[str, str], Awaitable[None]]
"""Given (event id, body): returns when the event is durable."""


def receive(enqueue: Enqueue) -> web.Application:
    """What is not durable is not answered 200: whatever `enqueue` raises is 500, and the provider sends it again."""

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        if not authentic(body, request.headers.get("Stripe-Signature", "")):
            return web.Response(status=400)
        await enqueue(json.loads(body)["id"], body.decode())
        return web.Response()

    app = web.Application()
    app.router.add_post("/webhooks/stripe", take)
    return app


def serve(app: web.Application) -> None:
    """Until SIGTERM. Says which port it has."""

    async def run() -> None:
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        sys.stdout.write(f"ready {runner.addresses[0][1]}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()

    uvloop.run(run())
