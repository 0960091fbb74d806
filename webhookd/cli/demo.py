"""`serve --dev --sample`: one signed event through the whole of it, shown, and what to try next."""

import asyncio
import random
import time

from rich.panel import Panel

from webhookd.cli.options import marked, output
from webhookd.core.secret import Secret
from webhookd.daemon import Daemon
from webhookd.providers import PROVIDERS
from webhookd.providers.provider import Credentials
from webhookd.providers.stripe import Stripe
from webhookd.sandbox.merchant import Visit
from webhookd.sandbox.samples import sample
from webhookd.sandbox.sender import Sender

SAMPLE_TYPE = "payment_intent.succeeded"
DELIVERED_S = 10.0


async def show_sample(daemon: Daemon, kept: dict[str, Secret], visits: "asyncio.Queue[Visit]", port: int) -> None:
    """Send, wait for the merchant, and print. Says so when the merchant was not reached."""
    hooks, admin = f"http://{daemon.hooks_at}", f"http://{daemon.admin_at}"
    body = sample("stripe", SAMPLE_TYPE, int(time.time()), random.Random())  # noqa: S311 - sample ids
    sender = Sender(
        f"{hooks}/webhooks/stripe",
        Stripe(Credentials((kept["stripe"],))),
        lambda _: body,
        lambda: int(time.time()),
        duplicates=0,
    )
    async for sent in sender.send(1, None):
        output.print(
            f"  sent       {SAMPLE_TYPE}, {len(body)} bytes, signed as Stripe does", highlight=False, soft_wrap=True
        )
        output.print(
            f"  answered   {sent.status} {marked(sent.result)} {marked(sent.event_id)} in {sent.duration_ms:.1f} ms"
        )
    try:
        async with asyncio.timeout(DELIVERED_S):
            while (visit := await visits.get()).event_id != sent.event_id:
                pass  # what was still owed from before comes in between
    except TimeoutError:
        output.print("  not delivered yet: `webhookd deliveries list` says why", style="yellow")
    else:
        checked = "signature verified" if visit.verified else "signature NOT verified"
        output.print(
            f"  delivered  {marked(visit.event_id)} to endpoint local, {checked}", style="green", highlight=False
        )
    output.print(
        Panel(
            f"dashboard  {admin}/\n"
            f"token      {daemon.data_dir}/admin.token   (opens the dashboard and the API)\n"
            f"hooks      POST {hooks}/webhooks/{{{','.join(PROVIDERS)}}}\n"
            f"merchant   http://127.0.0.1:{port}/   (prints what it gets)\n"
            f"metrics    {admin}/metrics\n"
            f"API        {admin}/api/v1/status\n\n"
            "Try next, in another terminal:\n"
            "  .venv/bin/webhookd trigger stripe charge.refunded -n 100 --duplicates 0.1\n"
            "  .venv/bin/webhookd trigger paypal PAYMENT.CAPTURE.COMPLETED\n"
            "  .venv/bin/webhookd events tail --follow\n"
            "  .venv/bin/webhookd payments list\n"
            "  .venv/bin/webhookd revenue --by provider\n"
            "  .venv/bin/webhookd verify\n"
            "  kill -9 this process in the middle of it, start it again, and count",
            title="webhookd is up",
            expand=False,
        ),
        highlight=False,
    )
