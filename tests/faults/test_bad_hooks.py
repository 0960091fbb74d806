"""Rightly signed hooks whose bodies are odd, to a real daemon, from every provider: all are kept, and none is lost.

Each is answered 200 and is known or quarantined, as its provider's room says of the very same bytes; and with all of
that in it the database keeps every promise, and the ledger can be asked for all it has.
"""

import asyncio
import hashlib
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.dev_daemon import DevDaemon, dev_daemon
from tests.faults.flood import assert_quiet
from tests.faults.spoilt_json import spoilt
from tests.receive.wire import Headers, ask, new_address, post
from webhookd.core.event import Hook
from webhookd.core.ledger import LISTS
from webhookd.core.secret import Secret
from webhookd.providers import PROVIDERS, reread
from webhookd.providers.paypal.body import has_trailing_bytes
from webhookd.sandbox.dev import dev_credentials
from webhookd.sandbox.samples import sample, types
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.driver import driver

pytestmark = pytest.mark.fault(52)
AT_A_TIME = 32
NOBODY_YET = '[delivery]\nschedule = ["1h"]\n'
"""Deliveries wait: they are somebody else's test."""


class Sender:
    """Signs as each provider does, and knows what is to become of what it sends."""

    def __init__(self, dev: DevDaemon, seed: int) -> None:
        self._dev, self._seed = dev, seed
        self._rooms = {
            provider: PROVIDERS[provider](dev_credentials(provider, Secret(dev.secret(provider))))
            for provider in PROVIDERS
        }
        self.told: Counter[str] = Counter()
        self.bodies: set[bytes] = set()
        """The digests of all that was taken."""

    async def send(self, provider: str, number: int) -> None:
        dice = Random(f"{self._seed}:{provider}:{number}")
        plain = sample(provider, dice.choice(types(provider)), int(time.time()), dice)
        body = plain if dice.random() < 0.05 else spoilt(plain, dice)
        signed = self._rooms[provider].sign(body, int(time.time()), f"msg_{dice.getrandbits(64):x}")
        headers: Headers = {"Content-Type": "application/json", **signed}
        answer = await ask(self._dev.running.port, post(provider, body, headers), address=new_address())
        where = f"hook {number} of {provider} with seed {self._seed}: {answer.raw!r}\nsent {body[:3_000]!r}"
        if provider == "paypal" and has_trailing_bytes(body):
            assert answer.status == 401, where  # what PayPal signs says nothing of those
            self.told["refused"] += 1
            return
        assert answer.status == 200, where
        hook = Hook({name.lower(): value for name, value in signed.items()}, body, 0)
        expected = {"quarantined"} if reread(provider, hook) is None else {"accepted"}
        status = answer.json()["status"]
        assert status in expected | {"duplicate"}, where
        self.told[status] += 1
        if status != "duplicate":
            self.bodies.add(hashlib.sha256(body).digest())


async def test_whatever_is_rightly_signed_is_taken_and_known_or_quarantined(
    tmp_path: Path, torture: bool, seed: int, record_property: Any
) -> None:
    each = 3_000 if torture else 50
    async with dev_daemon(tmp_path, NOBODY_YET) as dev:
        sender, room = Sender(dev, seed), asyncio.Semaphore(AT_A_TIME)

        async def one(provider: str, number: int) -> None:
            async with room:
                await sender.send(provider, number)

        async with asyncio.TaskGroup() as group:
            for provider in PROVIDERS:
                for number in range(each):
                    group.create_task(one(provider, number))
        for path in ("payments", *LISTS, "events", "revenue"):
            assert (await dev.get(f"/api/v1/{path}"))["data"] is not None
        assert await dev.running.stop() == 0
        assert_quiet(dev.running.log)
    path = tmp_path / "data" / "webhookd.db"
    with closing(driver.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        kept = {hashlib.sha256(body).digest() for (body,) in connection.execute("SELECT body FROM event")}
    assert kept == sender.bodies
    assert [*audit(path, reread)] == []
    assert sender.told.keys() >= {"accepted", "quarantined"}
    record_property("bad_inputs", each * len(PROVIDERS))
