"""A daemon that was sent hostile text alone: wherever somebody else decides what is said, it is script and markup.

Whatever of it should run would call `canary`.
"""

import json
import random
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.admin.desk import Desk, desk
from tests.receive import wire
from tests.running import RunningDaemon, configuration, daemon, endpoint
from webhookd.sandbox.samples import sample

CANARY = "canary"
TEXTS = (
    "<script>canary()</script>",
    "\"><img src=x onerror=canary()><b a='",
    "'-canary()-'",
    "</title></textarea></pre></script></style><script>canary()</script>",
    "javascript:canary()//<",
    "{{7*7}}{% for a in () %}${canary()}#{7*7}<%= canary() %>",
    "<svg/onload=canary()><a href=javascript:canary()>x</a>",
    "<!--<base href=https://canary.example/>-->]]><form action=https://canary.example/>",
    "<meta http-equiv=refresh content='0;url=https://canary.example/'><link rel=stylesheet href=//canary.example/a>",
    "\N{RIGHT-TO-LEFT OVERRIDE}canary\N{POP DIRECTIONAL FORMATTING}\N{ZERO WIDTH SPACE}\N{COMBINING ACUTE ACCENT}" * 8,
    "canary" + "W" * 2_000,
    "&lt;script&gt;canary()&lt;/script&gt;&#60;b&#62;",
    "\x1b[31mcanary\x07\x7f\x85\u2028\u2029\ufeff",
    "../../../canary?a=b&c#d%2e%2e%00",
    " onmouseover=canary() autofocus onfocus=canary() style=position:fixed x=",
)
IN_HEADERS = [each for each in TEXTS if each.isascii() and each.isprintable() and len(each) < 200]
TYPED = " ".join(TEXTS[:7])
"""All in one, for a field of a form."""
_READ = {"type", "object", "currency", "status", "created", "timestamp"}
"""Of these it depends what an event is taken for."""
STRIPE = (
    *("payment_intent.succeeded", "payment_intent.payment_failed", "charge.refunded", "charge.dispute.created"),
    *("checkout.session.completed", "invoice.paid", "payout.paid", "customer.subscription.created"),
)
STANDARD = ("payment.succeeded", "refund.succeeded", "dispute.opened")


def spoilt(value: Any, texts: Iterator[str], spared: set[str], name: str = "") -> Any:
    """The same with every string another text, but for what is spared."""
    if isinstance(value, dict):
        named = {key: spoilt(each, texts, spared, key) for key, each in value.items()}
        return named | {next(texts): next(texts)}
    if isinstance(value, list):
        return [spoilt(each, texts, spared, name) for each in value]
    return next(texts) if isinstance(value, str) and name not in spared else value


def bodies(provider: str, types: tuple[str, ...]) -> Iterator[tuple[str, bytes]]:
    """Events with facts about money, and events of types that nobody has heard of, each with an id."""
    texts, dice = cycle(TEXTS), random.Random(1)
    for number, each in enumerate(types):
        made = json.loads(sample(provider, each, int(time.time()), dice))
        for spared in (_READ, _READ - {"type"}):
            event_id = f"evt_{number}_{len(spared)}_{next(texts)}"
            body = spoilt(made, texts, spared) | ({"id": event_id} if provider == "stripe" else {})
            yield event_id, json.dumps(body).encode()


async def sent(running: RunningDaemon) -> list[int]:
    """What was answered to each hook."""
    hooks: list[tuple[str, wire.Headers, bytes]] = []
    for event_id, body in bodies("stripe", STRIPE):
        hooks.append(("stripe", wire.stripe(body) | {"User-Agent": event_id.encode("ascii", "ignore")}, body))
    for number, (_, body) in enumerate(bodies("standard", STANDARD)):
        message_id = f"msg_{number}_{IN_HEADERS[number]}"
        hooks.append(("standard", wire.standard(body, message_id) | {"User-Agent": message_id}, body))
    for body in (b"<script>canary()</script>", b"[1]", json.dumps(TYPED).encode()):  # signed, and not understood
        hooks.append(("stripe", wire.stripe(body), body))
        hooks.append(("standard", wire.standard(body, f"msg_{len(body)}"), body))
    for text in IN_HEADERS:
        said: wire.Headers = {"User-Agent": text, "Content-Type": text}
        hooks.append(("stripe", {"Stripe-Signature": text, **said}, text.encode()))
        hooks.append(("standard", {"webhook-id": text, "webhook-signature": text, **said}, text.encode()))
        hooks.append((f"canary%3Cscript%3E{len(hooks)}", said, text.encode()))
    return [
        (await wire.ask(running.port, wire.post(source, body, headers), address=wire.new_address())).status
        for source, headers, body in hooks
    ]


async def _merchant(request: web.Request) -> web.Response:
    """Answers with a page that would like to be looked at."""
    statuses = {"/shop": 200, "/gone": 410, "/books": 500}
    status = next((status for path, status in statuses.items() if request.path.startswith(path)), 400)
    return web.Response(status=status, text=TYPED, content_type="text/html", headers={"X-Canary": TEXTS[0]})


async def _endpoints(operator: Desk, port: int) -> None:
    """With hostile text wherever the API takes any: in queries of URLs, and in headers."""
    headers = {f"X-Canary-{number}": text.strip() for number, text in enumerate(IN_HEADERS)}
    for number, query in enumerate(("'-canary()-'", TEXTS[10])):
        url = f"http://127.0.0.1:{port}/canary?{query}"
        asked = {"name": f"canary-{number}", "url": url, "allow_http": True, "headers": headers, "schedule": ["0s"]}
        await operator.done("POST", "/endpoints", asked)


@asynccontextmanager
async def hostile_daemon(directory: Path) -> AsyncIterator[RunningDaemon]:
    """All is sent and tried; some deliveries are dead, some wait, and one endpoint has been paused by its merchant."""
    app = web.Application()
    app.router.add_post("/{path:.*}", _merchant)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    endpoints = (
        endpoint("shop", port)
        + endpoint("books", port, schedule=["0s"], disable_after="never")
        + endpoint("gone", port)
        + endpoint("later", port, schedule=["0s", "2h"])
    )
    try:
        async with daemon(directory, configuration(endpoints=endpoints)) as running, desk(running) as operator:
            await _endpoints(operator, port)
            statuses = await sent(running)
            assert {200, 401, 404} <= set(statuses), statuses
            await operator.ask("POST", "/tokens", {"name": "looks", "scope": "read"})
            while not (await operator.get("/status"))["dead"]:  # nothing announces it
                pass
            assert (await operator.ask("POST", "/replays", {"endpoint": "shop", "state": "delivered"})).status == 202
            yield running
    finally:
        await runner.cleanup()
