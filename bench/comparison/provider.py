"""A payment provider: at a steady rate somebody pays, and each event of it is sent until it is answered 2xx."""

import asyncio
import json
import random
import time
from collections.abc import Sequence

import aiohttp
import msgspec

from bench.rig.hooks import signature

TYPES = ("payment_intent.created", "charge.succeeded", "payment_intent.succeeded")
PAID = TYPES[-1]
AFTER_S = (0.0, 0.3, 0.4)
"""When each of a payment's events comes, after its first."""
WITH_CHARGE = 0.5
"""So many payments have the event in the middle, too."""
WAITS_S = (0.0, 0.5, 1.0, 2.0, 4.0, *[5.0] * 12)
"""Before each attempt to send a hook: Stripe's three days, with growing waits, in a bit more than a minute."""
_TIMEOUT_S = 10.0


class Hook(msgspec.Struct):
    """One event, and what the provider knows of it. Times are seconds since the beginning of the load."""

    event_id: str
    payment: str
    type: str
    due_s: float
    body: bytes
    sends: int = 0
    acked_s: float | None = None
    """When it was answered 2xx."""


def payments(dice: random.Random, seconds: float, per_s: float) -> list[Hook]:
    """The hooks of all payments of a run, in the order in which they are due."""
    created = int(time.time())
    hooks = []
    for number in range(round(seconds * per_s)):
        payment, begun_s = f"pi_{number:06}", number / per_s
        has_charge = dice.random() < WITH_CHARGE
        for kind, after_s in zip(TYPES, AFTER_S, strict=True):
            if has_charge or kind != "charge.succeeded":
                event_id = f"evt_{number:06}_{kind}"
                hooks.append(
                    Hook(event_id, payment, kind, begun_s + after_s, _body(event_id, number, payment, kind, created))
                )
    return sorted(hooks, key=lambda hook: hook.due_s)


class Provider:
    """Each hook is sent at its time, whatever became of those before: an open loop."""

    def __init__(self, hooks: Sequence[Hook], url: str) -> None:
        self.hooks = hooks
        self.lags_s: list[float] = []
        """How much later than planned each was sent for the first time: the generator's own fault."""
        self._url = url

    async def run(self, began: float) -> None:
        """Until each hook was answered 2xx or given up. `began` is by `time.perf_counter`."""
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_S)
        connections = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connections) as session,
            asyncio.TaskGroup() as all_,
        ):
            for hook in self.hooks:
                await asyncio.sleep(max(0.0, began + hook.due_s - time.perf_counter()))
                self.lags_s.append(time.perf_counter() - began - hook.due_s)
                all_.create_task(self._insist(session, hook, began))

    async def _insist(self, session: aiohttp.ClientSession, hook: Hook, began: float) -> None:
        for wait_s in WAITS_S:
            await asyncio.sleep(wait_s)
            hook.sends += 1
            headers = {
                "content-type": "application/json",
                "stripe-signature": signature(hook.body, int(time.time())),
            }
            try:
                async with session.post(self._url, data=hook.body, headers=headers) as response:
                    await response.read()
            except (aiohttp.ClientError, TimeoutError):
                continue
            if 200 <= response.status < 300:
                hook.acked_s = time.perf_counter() - began
                return


def _body(event_id: str, number: int, payment: str, kind: str, created: int) -> bytes:
    subject = {"amount": 4200, "currency": "usd", "metadata": {"order_id": str(number), "note": "x" * 600}}
    charge = f"ch_{number:06}"
    if kind == "charge.succeeded":
        subject |= {"id": charge, "object": "charge", "payment_intent": payment, "status": "succeeded", "paid": True}
    else:
        is_paid = kind == PAID
        subject |= {
            "id": payment,
            "object": "payment_intent",
            "amount_received": 4200 if is_paid else 0,
            "latest_charge": charge if is_paid else None,
            "status": "succeeded" if is_paid else "requires_payment_method",
        }
    return json.dumps(
        {"id": event_id, "object": "event", "type": kind, "created": created, "data": {"object": subject}}
    ).encode()
