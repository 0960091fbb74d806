"""A made-up shop for the pictures: what its customers did these two weeks, and who is told of it.

The hooks are those that `webhookd trigger` sends, of several providers; only their order, ids, amounts and times are
written here. The minutes of the last day, which the charts are drawn of, are made up: a picture cannot wait for a day.
"""

import json
import math
import time
from asyncio import sleep
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, NamedTuple

from aiohttp import web

from webhookd.core.minute import KEPT, Minute
from webhookd.sandbox.samples import sample

ORDERS = 560
DAYS = 14
_DAY_S = 86_400


class Hook(NamedTuple):
    provider: str
    body: bytes


def orders(dice: Random, now_s: int) -> Iterator[Hook]:
    """Two weeks of them, oldest first, the last one just now: paid, failed, refunded, disputed."""
    for number in range(ORDERS):
        age_s = round(DAYS * _DAY_S * (1 - (number + 1) / ORDERS))
        yield from order(dice, now_s - age_s, now_s, 1_000 + number)


def order(dice: Random, at_s: int, now_s: int, number: int) -> Iterator[Hook]:
    """What providers say of one order, from `at_s` up to now."""
    cents = dice.choice((1_900, 2_450, 4_200, 4_200, 6_990, 12_900, 24_900))
    provider = dice.choices(
        ("stripe", "paypal", "razorpay", "paystack", "flutterwave", "standard"), (9, 3, 2, 2, 1, 1)
    )[0]
    if provider == "stripe":
        yield from _stripe_order(dice, at_s, now_s, number, cents)
        return
    said: dict[str, tuple[str, dict[str, Any]]] = {
        "paypal": (
            "PAYMENT.CAPTURE.COMPLETED",
            {
                "resource.amount.value": f"{cents / 100:.2f}",
                "resource.custom_id": str(number),
                "resource.invoice_id": f"SHOP-{number}",
            },
        ),
        "razorpay": (
            "payment.captured",
            {"payload.payment.entity.amount": cents * 60, "payload.payment.entity.notes.order_id": str(number)},
        ),
        "paystack": ("charge.success", {"data.amount": cents * 800, "data.metadata.order_id": str(number)}),
        "flutterwave": ("charge.completed", {"data.amount": cents * 8, "data.meta.order_id": str(number)}),
        "standard": ("payment.succeeded", {"data.metadata.order_id": str(number)}),
    }
    event_type, settings = said[provider]
    yield Hook(provider, sample(provider, event_type, at_s, dice, settings))


def _stripe_order(dice: Random, at_s: int, now_s: int, number: int, cents: int) -> Iterator[Hook]:
    payment, charge = (f"{prefix}_3{dice.getrandbits(88):022X}" for prefix in ("pi", "ch"))
    euro = dice.random() < 0.4

    def says(event_type: str, after_s: int, **settings: Any) -> Hook:
        said = {
            "amount": cents,
            "currency": "eur" if euro else "usd",
            **settings,
        }
        return Hook("stripe", sample("stripe", event_type, min(at_s + after_s, now_s), dice, _of_object(said)))

    intent = {
        "id": payment,
        "latest_charge": charge,
        "metadata.order_id": str(number),
        "description": f"Order {number}: 2 × enamel mug",
    }
    of_charge = {"id": charge, "payment_intent": payment, "metadata.order_id": str(number)}
    yield says("payment_intent.created", 0, **{**intent, "latest_charge": None})
    luck = dice.random()
    if luck < 0.12:
        yield says("payment_intent.payment_failed", 9, **{**intent, "latest_charge": None})
    if luck < 0.06:
        return
    yield says("payment_intent.succeeded", 20, amount_received=cents, **intent)
    yield says("charge.succeeded", 21, amount_captured=cents, **of_charge)
    if luck > 0.9:
        back = {"amount_captured": cents, "amount_refunded": cents // 2 if luck > 0.94 else cents}
        yield says("charge.refunded", 3_600, **of_charge, **back)
    elif luck > 0.83:
        yield says("charge.dispute.created", 7_200, charge=charge, payment_intent=payment)


def _of_object(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {f"data.object.{name}": value for name, value in settings.items()}


def small_talk(dice: Random, now_s: int) -> Hook:
    """What providers say that moves no money; there is more of it than of orders."""
    provider, event_type = dice.choice(_SMALL_TALK)
    return Hook(provider, sample(provider, event_type, now_s - 2, dice))


_SMALL_TALK = (
    ("stripe", "customer.subscription.updated"),
    ("stripe", "checkout.session.expired"),
    ("stripe", "invoice.upcoming"),
    ("paypal", "BILLING.SUBSCRIPTION.UPDATED"),
    ("razorpay", "order.notification.delivered"),
    ("standard", "subscription.updated"),
)


def not_understood(now_s: int) -> Hook:
    """Authentic, and no event: it is kept in quarantine."""
    return Hook("standard", json.dumps({"kind": "payment.succeeded", "sent": now_s}).encode())


def minutes(dice: Random, now_s: int) -> Iterator[Minute]:
    """A day: quiet at night, and two hours ago twenty minutes in which a merchant was away."""
    last = now_s // 60 - 1
    for number in range(last - KEPT + 2, last + 1):
        ago = last - number
        busy = 0.55 - 0.45 * math.cos(2 * math.pi * ((number % 1_440) / 1_440 - 0.08))
        accepted = max(0, round(260 * busy * dice.uniform(0.8, 1.2)))
        away = 110 <= ago < 130
        held = round(accepted * 0.3) if away else 0
        waiting = (130 - ago) * held if away else max(0, 2_000 - 130 * (110 - ago)) if ago < 110 else 0
        yield Minute(
            number=number,
            accepted=accepted,
            duplicates=round(accepted * dice.uniform(0, 0.04)),
            refused=dice.choice((0, 0, 0, 0, 1, 2)),
            delivered=3 * accepted - 2 * held,
            failed=round(accepted * 0.15) if away else dice.choice((0, 0, 1, 2)),
            died=dice.choice((0, 1, 2)) if away else 0,
            backlog=waiting + dice.randrange(9),
            ack_p50_ms=round(dice.uniform(2.2, 3.4), 2),
            ack_p99_ms=round(dice.uniform(5, 11), 2),
            delivery_p50_ms=round(dice.uniform(18, 31), 1),
            delivery_p99_ms=round(dice.uniform(700, 1_500) * (4 if away else 1), 1),
        )


class Merchants:
    """All of the shop's applications, at one port of loopback; `mailer_is_well` says what one of them answers."""

    def __init__(self) -> None:
        self.mailer_is_well = True
        self.port = 0
        self._runner: web.AppRunner

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
        name = request.match_info["name"]
        if name == "accounting":
            await sleep(1.2)
        if name == "crm" and b'"charge.dispute.created"' in body:
            return web.json_response({"error": "no customer goes with this charge"}, status=422)
        if name == "mailer" and not self.mailer_is_well:
            return web.Response(status=500, text="Traceback (most recent call last):\nKeyError: 'receipt_template'\n")
        if name == "analytics":
            return web.json_response({"message": "invalid API key"}, status=401)
        if name == "old-shop":
            return web.Response(status=410, text="This shop has closed.\n")
        return web.json_response({"ok": True, "at": int(time.time())})


ENDPOINTS = {
    "fulfillment": 'events = ["payment_intent.*", "charge.*", "payment.*", "PAYMENT.*"]\nordering = "payment"',
    "accounting": "max_in_flight = 64",
    "crm": 'schedule = ["0s", "1s", "1s"]\nevents = ["charge.*", "payment_intent.succeeded"]',
    "mailer": 'events = ["payment_intent.succeeded", "charge.refunded", "payment.captured"]',
    "analytics": 'schedule = ["0s"]\nsources = ["paystack", "razorpay"]',
    "old-shop": 'sources = ["flutterwave"]',
}
"""Their names, and what each asks for."""
