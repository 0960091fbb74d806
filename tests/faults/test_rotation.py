"""Secrets replaced and the configuration read again under steady load: nobody is turned away, and nothing is lost."""

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import standardwebhooks

from tests.admin.desk import desk
from tests.daemon.merchant import merchant
from tests.faults.settled import log_of
from tests.receive.wire import event, stripe
from tests.running import ENDPOINT_SECRET, PATIENCE_S, RunningDaemon, configuration, daemon
from webhookd.admin.registry import SECRETS_MAX

pytestmark = pytest.mark.fault(42)
OLD, NEW = "whsec_the_old_one", "whsec_the_new_one"
SENDERS = 4


class Sender:
    """Signs with one secret and sends one hook after the other, some at a time, until told to stop."""

    def __init__(self, running: RunningDaemon, session: aiohttp.ClientSession, secret: str) -> None:
        self._url = f"{running.hooks}/webhooks/stripe"
        self._session, self._secret = session, secret
        self._number, self._going = 0, True
        self.stage: object = secret
        """What the names of events begin with."""
        self._news = asyncio.Condition()
        self.answers: Counter[int] = Counter()
        self.acked: list[str] = []

    async def run(self) -> None:
        while self._going:
            self._number += 1
            name = f"evt_{self.stage}_{self._number}"
            body = event(name)
            async with self._session.post(self._url, data=body, headers=stripe(body, self._secret)) as answer:
                status = answer.status
            if status == 200:
                self.acked.append(name)
            async with self._news:
                self.answers[status] += 1
                self._news.notify_all()

    async def have_answers(self, more: int) -> None:
        wanted = self.answers.total() + more
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: self.answers.total() >= wanted)

    def stop(self) -> None:
        self._going = False


def taking(*secrets: str, **more: str) -> str:
    listed = ", ".join(f'"{secret}"' for secret in secrets)
    return configuration(sources=f'[sources.stripe]\nprovider = "stripe"\nsecrets = [{listed}]\n', **more)


async def reload(running: RunningDaemon, config: str) -> None:
    def done() -> int:
        return sum(line.get("event") == "reloaded" for line in running.log)

    before = done()
    (running.directory / "webhookd.toml").write_text(config)
    running.send_signal(signal.SIGHUP)
    async with asyncio.timeout(PATIENCE_S):
        while done() == before:
            await asyncio.sleep(0.01)
    assert not [line for line in running.log if line.get("event") == "reload_refused"]


@asynccontextmanager
async def at_work(sender: Sender) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        for _ in range(SENDERS):
            group.create_task(sender.run())
        yield
        sender.stop()


async def test_a_providers_secret_is_replaced_and_neither_the_old_nor_the_new_one_is_refused(
    tmp_path: Path, torture: bool, record_property: Any
):
    reloads = 40 if torture else 4
    async with aiohttp.ClientSession() as session, daemon(tmp_path, taking(OLD)) as running:
        old, new = Sender(running, session, OLD), Sender(running, session, NEW)
        async with at_work(old):
            await old.have_answers(50)
            await reload(running, taking(OLD, NEW))
            async with at_work(new):
                for number in range(reloads):
                    both = (NEW, OLD) if number % 2 else (OLD, NEW)
                    await reload(running, taking(*both, delivery=f'timeout = "{10 + number}s"'))
                    await asyncio.gather(old.have_answers(20), new.have_answers(20))
        await reload(running, taking(NEW))
        later = Sender(running, session, OLD)
        async with at_work(later):
            await later.have_answers(1)
        assert sorted(await log_of(running)) == sorted([*old.acked, *new.acked])
    assert old.answers.keys() == new.answers.keys() == {200}
    assert later.answers.keys() <= {401, 429}, "what is no longer listed is over"
    record_property("reloads", reloads)
    record_property("acks", len(old.acked) + len(new.acked))


async def test_an_endpoints_secret_is_replaced_and_whoever_holds_either_trusts_every_delivery(
    tmp_path: Path, record_property: Any
):
    """As many sign as may; each from the moment on that its owner is told of it, and all that were there before."""
    config = taking(OLD)
    async with (
        merchant() as shop,
        aiohttp.ClientSession() as session,
        daemon(tmp_path, config) as running,
        desk(running) as operator,
    ):
        asked = {"name": "shop", "url": f"http://127.0.0.1:{shop.port}/shop", "secret": ENDPOINT_SECRET}
        await operator.done("POST", "/endpoints", asked)
        secrets, sender = [ENDPOINT_SECRET], Sender(running, session, OLD)
        sender.stage = 0
        async with at_work(sender):
            for stage in range(1, SECRETS_MAX):
                await sender.have_answers(30)
                secrets.append((await operator.done("POST", "/endpoints/shop/rotate-secret"))["secret"])
                sender.stage = stage
                await reload(running, taking(OLD, delivery=f'timeout = "{10 + stage}s"'))
            await sender.have_answers(30)
        got = await shop.has(len(sender.acked))
    assert sender.answers.keys() == {200}
    for each in got:
        stage = int(json.loads(each.body)["id"].split("_")[1])
        for secret in secrets[: stage + 1]:
            standardwebhooks.Webhook(secret).verify(each.body, each.headers)
    assert {json.loads(each.body)["id"] for each in got} == set(sender.acked)
    record_property("acks", len(sender.acked))
