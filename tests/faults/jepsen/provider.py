"""A provider that insists: each hook is sent again until it has had its 200, and a few once more after that."""

import asyncio
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable

import aiohttp
import stripe

from tests.faults.jepsen.history import History
from webhookd.core.identifier import parse_event_id

CONNECTIONS = 64
OUTSTANDING_MAX = 3_000
"""Hooks that have had no 200 yet; at the bound none is sent that is new."""
GIVES_UP_S = 4.0
"""How long an answer is waited for."""
WAIT_S_MIN, WAIT_S_MAX = 0.1, 1.0
"""Between two tries; it doubles."""
AGAIN = 0.05
"""The share of hooks that are sent once more though they were acknowledged."""
TICK_S = 0.01
CARD_NUMBER = "4242424242424242"
"""In every body, and nowhere else."""
PREFIX = "evt_jepsen_"
MONEY, OTHER = "payment_intent.succeeded", "customer.updated"


class Provider:
    """Sends so many new hooks a second, each try to `where` then, signed with `secret`; of so many one speaks of money,
    and so many of those of the same payment.
    """

    def __init__(
        self,
        dice: random.Random,
        history: History,
        where: Callable[[random.Random], str],
        rate: float,
        money_one_in: int,
        of_a_payment: int = 1,
    ) -> None:
        self.secret = ""
        self.rate = rate
        self.acked = 0
        self.said: Counter[str] = Counter()
        """What was answered, by the answer's word or its status."""
        self._dice = dice
        self._history = history
        self._where = where
        self._money_one_in = money_one_in
        self._payments_every = money_one_in * of_a_payment
        self._number = 0
        self._outstanding = 0
        self._finishing = False

    @property
    def sent(self) -> int:
        return self._number

    def finish(self) -> None:
        """Send nothing new. `run` returns once all that was sent has had its 200."""
        self._finishing = True

    async def run(self) -> None:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        timeout = aiohttp.ClientTimeout(total=GIVES_UP_S)
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            asyncio.TaskGroup() as insisting,
        ):
            credit, then = 0.0, self._history.now()
            while not self._finishing:
                now = self._history.now()
                credit, then = min(credit + (now - then) * self.rate, max(self.rate / 4, 1)), now
                while credit >= 1 and self._outstanding < OUTSTANDING_MAX:
                    credit -= 1
                    self._number += 1
                    self._outstanding += 1
                    insisting.create_task(self._insist(session, self._number))
                await asyncio.sleep(TICK_S)

    async def _insist(self, session: aiohttp.ClientSession, number: int) -> None:
        amount = number if number % self._money_one_in == 0 else None
        body = event(number, amount, number // self._payments_every)
        self._history.note("hook", number, hashlib.sha256(body).digest(), amount)
        for _ in range(1 + (self._dice.random() < AGAIN)):
            wait_s = WAIT_S_MIN
            while not await self._try(session, number, body):
                await asyncio.sleep(wait_s * self._dice.uniform(0.5, 1))
                wait_s = min(2 * wait_s, WAIT_S_MAX)
        self._outstanding -= 1

    async def _try(self, session: aiohttp.ClientSession, number: int, body: bytes) -> bool:
        signature = stripe.WebhookSignature.generate_signature_header(body.decode(), self.secret)
        status, word, key, salt = 0, "", None, None
        sent = self._history.now()
        try:
            url = self._where(self._dice)
            async with session.post(url, data=body, headers={"Stripe-Signature": signature}) as response:
                answer = await response.read()
            status = response.status
            if status == 200:
                told = json.loads(answer)
                word = told["status"]
                key, salt = parse_event_id(told["event_id"])
            else:
                word = "" if status != 503 or "Retry-After" in response.headers else "without Retry-After"
        except (aiohttp.ClientError, TimeoutError, OSError):
            status, word = 0, ""  # lost on the way: it may have been taken
        self._history.note("answer", number, sent, self._history.now(), status, word, key, salt)
        self.said[word or str(status)] += 1
        if status == 200:
            self.acked += 1
        return status == 200


def event(number: int, amount: int | None, payment: int) -> bytes:
    """A hook of about 600 bytes; one with an amount speaks of a payment."""
    about = {
        "id": f"pi_{payment}" if amount is not None else f"cus_{number}",
        "object": "payment_intent" if amount is not None else "customer",
        "metadata": {"order_id": str(number), "note": f"{CARD_NUMBER} {'x' * 300}"},
    }
    if amount is not None:
        about |= {"amount": amount, "amount_received": amount, "currency": "usd", "status": "succeeded"}
    hook = {
        "id": f"{PREFIX}{number:09}",
        "object": "event",
        "type": MONEY if amount is not None else OTHER,
        "created": 1_760_000_000,
        "data": {"object": about},
    }
    return json.dumps(hook).encode()
