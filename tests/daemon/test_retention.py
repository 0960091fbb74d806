"""The log as long as is configured: a daemon that wakes up three days later, and what is left when it is killed."""

import asyncio
import hmac
import json
import shutil
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.admin.desk import Desk, desk
from tests.daemon.three_days_ago import AGO_S
from tests.receive.wire import ask, post
from tests.running import PATIENCE_S, STRIPE_SECRET, RunningDaemon, configuration, daemon, endpoint
from webhookd.providers import reread
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.driver import driver

IN_THE_PAST = [sys.executable, "-m", "tests.daemon.three_days_ago", "serve"]
UNDER_FAULT = [sys.executable, "-m", "tests.crash.daemon_under_fault"]
PAID = 60
CREATED = 1_763_683_200
EVER = {"since": "2025-01-01T00:00:00Z"}


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Shop:
    """Takes all that comes to /shop, and nothing that comes to /later."""

    def __init__(self, port: int) -> None:
        self.port = port

    def config(self, **retention: str) -> str:
        kept = "\n".join(f"{name} = {json.dumps(value)}" for name, value in retention.items())
        endpoints = endpoint("shop", self.port, events=["payment_intent.*"])
        late = endpoint("later", self.port, events=["charge.refunded"], schedule=["0s", "10d"])
        return configuration(endpoints=f"{endpoints}\n{late}\n[retention]\n{kept}\n")


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=200 if request.path == "/shop" else 503)

    async with merchant_that(take) as port:
        yield Shop(port)


@asynccontextmanager
async def merchant_that(take: Handler) -> AsyncIterator[int]:
    """The port where he listens."""
    app = web.Application()
    app.router.add_post("/{name}", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def send(
    running: RunningDaemon, number: int, at_s: int, kind: str = "payment_intent.succeeded"
) -> dict[str, Any]:
    subject: dict[str, Any] = {"id": f"pi_{number}", "object": "payment_intent", "status": "succeeded"}
    subject |= {"amount": 1050, "amount_received": 1050, "currency": "usd"}
    if kind == "charge.refunded":
        subject = {"id": f"ch_{number}", "object": "charge", "payment_intent": f"pi_{number}"}
    said = {"id": f"evt_{number}", "object": "event", "type": kind, "created": CREATED, "data": {"object": subject}}
    body = json.dumps(said).encode()
    digest = hmac.digest(STRIPE_SECRET.encode(), b"%d.%b" % (at_s, body), "sha256").hex()
    answer = await ask(running.port, post("stripe", body, {"Stripe-Signature": f"t={at_s},v1={digest}"}))
    assert answer.status == 200, answer.raw
    return dict(answer.json())


async def fill(directory: Path, shop: Shop) -> list[str]:
    """Three days ago: payments that were delivered, and a refund that was not. The ids of their events."""
    then_s = int(time.time()) - AGO_S
    async with daemon(directory, shop.config(), command=IN_THE_PAST) as running:
        ids = [(await send(running, number, then_s))["event_id"] for number in range(PAID)]
        ids.append((await send(running, PAID, then_s, "charge.refunded"))["event_id"])
        async with asyncio.timeout(PATIENCE_S), desk(running) as operator:
            while len((await operator.get("/deliveries", state="delivered", limit="500"))["data"]) < PAID:
                pass
            while not (await operator.get(f"/events/{ids[-1]}"))["deliveries"][0]["attempts"]:
                pass
        assert await running.stop() == 0
    return ids


@asynccontextmanager
async def awake(
    directory: Path, shop: Shop, **retention: str
) -> AsyncIterator[tuple[RunningDaemon, Desk, dict[str, Any]]]:
    """Now: the daemon, the operator, and what the first pass said."""
    async with daemon(directory, shop.config(**retention)) as running:
        said = await running.logged("pruned")
        async with desk(running) as operator:
            yield running, operator, said
        assert await running.stop() == 0


def found_in(directory: Path, sql: str) -> list[Any]:
    """While no daemon runs."""
    with closing(driver.connect(directory / "data" / "webhookd.db")) as connection:
        return connection.execute(sql).fetchall()  # type: ignore[no-any-return]


def wrong(directory: Path) -> list[Any]:
    return [each for each in audit(directory / "data" / "webhookd.db", reread) if each.check != "payments"]


async def test_what_is_older_than_is_configured_is_gone_soon_after_the_start(tmp_path: Path, shop: Shop):
    ids = await fill(tmp_path, shop)
    before = found_in(tmp_path, "SELECT * FROM ledger ORDER BY provider, kind, id")
    async with awake(tmp_path, shop, events="1d", bodies="1d") as (running, operator, said):
        assert (said["events"], said["deliveries"], said["attempts"], said["undelivered"]) == (PAID, PAID, PAID, 1)
        assert [each["id"] for each in (await operator.get("/events"))["data"]] == ids[-1:]
        assert (await operator.get("/revenue", **EVER))["data"][0]["gross"] == PAID * 1050
        again = await send(running, 0, int(time.time()))
        assert again == {"status": "duplicate", "event_id": ids[0]}
    assert found_in(tmp_path, "SELECT * FROM ledger ORDER BY provider, kind, id") == before
    assert wrong(tmp_path) == []


async def test_nothing_is_taken_that_is_not_old_enough(tmp_path: Path, shop: Shop):
    await fill(tmp_path, shop)
    async with daemon(tmp_path, shop.config(events="4d", bodies="4d")) as running, desk(running) as operator:
        assert len((await operator.get("/events", limit="500"))["data"]) == PAID + 1
    assert wrong(tmp_path) == []


async def test_the_bytes_may_go_first_and_then_it_is_said_why_there_are_none(tmp_path: Path, shop: Shop):
    ids = await fill(tmp_path, shop)
    async with awake(tmp_path, shop, events="9d", bodies="1d") as (_, operator, said):
        assert (said["events"], said["bodies"], said["undelivered"]) == (0, PAID, 0)
        shown = await operator.get(f"/events/{ids[0]}")
        assert [each["state"] for each in shown["deliveries"]] == ["delivered"]
        answer = await operator.ask("GET", f"/events/{ids[0]}/body")
        assert (answer.status, answer.json["title"]) == (410, "Gone")
        assert "no longer kept (retention.bodies)" in answer.json["detail"]
        assert (await operator.ask("GET", f"/events/{ids[-1]}/body")).status == 200
        refused = (await operator.ask("POST", "/replays", {"ids": ids[:1]})).wrong
        assert refused == {"ids[0]": "cannot be sent: its bytes are no longer kept"}
        counted = await operator.ask("POST", "/replays", {"endpoint": "shop", "dry_run": True})
        assert counted.json["total"] == 0
    assert wrong(tmp_path) == []


async def test_what_is_cancelled_while_under_way_and_taken_out_stops_nobody(tmp_path: Path):
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def take(request: web.Request) -> web.Response:
        if request.headers["webhookd-attempt"] == "1" and not go_on.is_set():
            reached.set()
            await go_on.wait()
        return web.Response()

    async with merchant_that(take) as port:
        config = configuration(endpoints=endpoint("shop", port, max_in_flight=1))
        async with daemon(tmp_path, config) as running, desk(running) as operator:
            now_s = int(time.time())
            first = (await send(running, 1, now_s))["event_id"]
            async with asyncio.timeout(PATIENCE_S):
                await reached.wait()
            [delivery] = (await operator.get(f"/events/{first}"))["deliveries"]
            await operator.done("POST", f"/deliveries/{delivery['id']}/cancel")
            assert (await operator.ask("POST", "/cleanup", {"days": 0})).status == 202
            async with asyncio.timeout(PATIENCE_S):
                while (await operator.ask("GET", f"/events/{first}")).status != 410:
                    pass
            go_on.set()
            second = (await send(running, 2, now_s))["event_id"]
            async with asyncio.timeout(PATIENCE_S):
                while (await operator.get(f"/events/{second}"))["deliveries"][0]["state"] != "delivered":
                    pass
            assert await running.stop() == 0
    assert found_in(tmp_path, "SELECT count(*) FROM attempt") == [(1,)]
    assert wrong(tmp_path) == []


@pytest.mark.fault(39)
async def test_killed_at_any_commit_of_a_pass_an_event_is_whole_or_past_and_the_next_pass_finds_the_rest(
    tmp_path: Path, shop: Shop
):
    filled = tmp_path / "filled"
    filled.mkdir()
    await fill(filled, shop)
    before = found_in(filled, "SELECT * FROM ledger ORDER BY provider, kind, id")
    taken_at_death = set()
    for step in ("before-commit", "after-commit"):
        for count in range(3, 20):
            shutil.copytree(filled, directory := tmp_path / f"{step}-{count}")
            if not await killed(directory, shop, f"{step}:{count}"):
                break  # the pass was over before
            assert wrong(directory) == []
            [(there, past, deliveries, attempts)] = found_in(
                directory,
                "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM past), (SELECT count(*) FROM delivery),"
                " (SELECT count(*) FROM attempt)",
            )
            assert there + past == deliveries + past == attempts + past == PAID + 1
            assert found_in(directory, "SELECT * FROM ledger ORDER BY provider, kind, id") == before
            if past < PAID and past not in taken_at_death:
                async with awake(directory, shop, events="1d", bodies="1d") as (_, _, said):
                    assert said["events"] == PAID - past
            taken_at_death.add(past)
    assert len(taken_at_death) > 2, "the kills did not meet the pass"


async def killed(directory: Path, shop: Shop, step: str) -> bool:
    """Whether it was, before its first pass was over."""
    (directory / "webhookd.toml").write_text(shop.config(events="1d", bodies="1d"))
    running = RunningDaemon(directory, [*UNDER_FAULT, "--kill", step, "serve"], {})
    try:
        with suppress(AssertionError):  # it ended before
            await running.start()
            await running.logged("pruned")
            return False
        assert await running.ended() == -signal.SIGKILL
        return True
    finally:
        await running.kill()
