"""The old way: an API that keeps webhooks in memory and posts them on in the background.

    python bench/old_architecture.py --port 8080 --secret whsec_… --merchant checkout=http://127.0.0.1:9000/checkout

It checks Stripe's signature, puts the webhook into an `asyncio.Queue` and answers 200 at once, as Stripe asks for.
Workers post it to each merchant, signed as Standard Webhooks says, and try a few times more. Its 200 means: it is in
memory.

It is a good one of its kind, so that it is not beaten too cheaply:

- each merchant has a queue and workers of its own: one that is slow or down holds up no other;
- an attempt that fails (no connection, no 2xx, no answer in time) is followed by more, with growing waits;
- SIGTERM closes the door, lets requests that are under way end, and then gives the queues time to get empty;
- it runs on uvloop, keeps its connections to merchants, and uses Stripe's event id as webhook-id, so that merchants can
  tell repeats.

What it cannot do: what is in memory is lost with the process, and nobody knows that it was there. A merchant who is
down for longer than the attempts last never gets the event. A deploy meanwhile loses what it is given no time for.
"""

import argparse
import asyncio
import hmac
import logging
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import aiohttp
import msgspec
import uvloop
from aiohttp import web
from standardwebhooks import Webhook

TOLERANCE_S = 300
TIMEOUT_S = 10.0
WAITS_S = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Before each attempt. A worker waits them out: what is behind stays in the queue."""
_log = logging.getLogger("old")


class StripeEvent(msgspec.Struct):
    id: str


class Post:
    """The way to one merchant: a queue, and workers that empty it."""

    def __init__(self, name: str, url: str, signer: Webhook) -> None:
        self._name = name
        self._url = url
        self._signer = signer
        self._queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        self.waiting = 0
        """Neither delivered nor given up."""

    def put(self, event_id: str, body: bytes) -> None:
        self.waiting += 1
        self._queue.put_nowait((event_id, body))

    async def work(self, session: aiohttp.ClientSession) -> None:
        while True:
            event_id, body = await self._queue.get()
            await self._deliver(session, event_id, body)
            self.waiting -= 1
            self._queue.task_done()

    async def emptied(self) -> None:
        await self._queue.join()

    async def _deliver(self, session: aiohttp.ClientSession, event_id: str, body: bytes) -> None:
        for wait_s in WAITS_S:
            await asyncio.sleep(wait_s)
            if await self._attempt(session, event_id, body):
                return
        _log.error("gave up on %s for %s", event_id, self._name)

    async def _attempt(self, session: aiohttp.ClientSession, event_id: str, body: bytes) -> bool:
        now = datetime.now(tz=UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(event_id, now, body.decode()),
        }
        try:
            async with session.post(self._url, data=body, headers=headers) as response:
                return 200 <= response.status < 300
        except (aiohttp.ClientError, TimeoutError):
            return False


class Api:
    def __init__(self, posts: Mapping[str, Post], secret: str, workers: int, drain_s: float) -> None:
        self._posts = posts
        self._secret = secret.encode()
        self._workers = workers
        self._drain_s = drain_s

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/webhooks/stripe", self.receive)
        app.router.add_get("/healthz", self.health)
        app.cleanup_ctx.append(self.background)
        return app

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._is_authentic(request.headers.get("Stripe-Signature", ""), body):
            return web.json_response({"error": "the signature does not match"}, status=400)
        event = msgspec.json.decode(body, type=StripeEvent)
        for post in self._posts.values():
            post.put(event.id, body)
        return web.json_response({"status": "accepted"})

    async def health(self, request: web.Request) -> web.Response:
        return web.json_response({"waiting": sum(post.waiting for post in self._posts.values())})

    async def background(self, app: web.Application) -> AsyncIterator[None]:
        """The workers. aiohttp ends this after the last request was answered."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
            working = [
                asyncio.create_task(post.work(session)) for post in self._posts.values() for _ in range(self._workers)
            ]
            yield
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    asyncio.gather(*(each.emptied() for each in self._posts.values())), self._drain_s
                )
            for each in working:
                each.cancel()
            await asyncio.gather(*working, return_exceptions=True)

    def _is_authentic(self, header: str, body: bytes) -> bool:
        """Stripe's scheme: `t=…,v1=…` over `t.body`, not older than five minutes."""
        parts = dict(part.partition("=")[::2] for part in header.split(","))
        sent_at = parts.get("t", "")
        if not sent_at.isascii() or not sent_at.isdigit() or abs(time.time() - int(sent_at)) > TOLERANCE_S:
            return False
        expected = hmac.digest(self._secret, f"{sent_at}.".encode() + body, "sha256").hex()
        return hmac.compare_digest(expected.encode(), parts.get("v1", "").encode())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8080, help="of loopback: POST /webhooks/stripe, GET /healthz")
    parser.add_argument("--secret", required=True, help="Stripe's, that webhooks are checked with")
    parser.add_argument("--merchant", action="append", required=True, metavar="NAME=URL", help="once for each")
    parser.add_argument(
        "--merchant-secret", default="whsec_YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gt", help="what posts are signed with"
    )
    parser.add_argument("--workers", type=int, default=16, help="posts to one merchant at a time")
    parser.add_argument("--drain", type=float, default=5, help="seconds that SIGTERM leaves the queues to get empty")
    arguments = parser.parse_args()
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    signer = Webhook(arguments.merchant_secret)
    merchants = dict(each.partition("=")[::2] for each in arguments.merchant)
    posts = {name: Post(name, url, signer) for name, url in merchants.items()}
    api = Api(posts, arguments.secret, arguments.workers, arguments.drain)
    web.run_app(api.app(), host="127.0.0.1", port=arguments.port, print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main()
