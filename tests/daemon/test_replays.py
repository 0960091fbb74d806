"""Replays on a real daemon: what went nowhere, what was given up, and what a crash interrupts."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from tests.admin.desk import Desk, desk
from tests.daemon.merchant import Merchant, merchant
from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon, endpoint
from tests.shell import run
from webhookd.store.sqlite.driver import driver

ONE_ATTEMPT = 'schedule = ["0s"]'


@asynccontextmanager
async def world(
    directory: Path, *, with_shop: bool, **settings: Any
) -> AsyncIterator[tuple[Merchant, RunningDaemon, Desk]]:
    """A daemon that tries once, an operator, and a merchant who may be one of its endpoints."""
    async with merchant() as shop:
        endpoints = endpoint("shop", shop.port, **settings) if with_shop else ""
        async with daemon(directory, configuration(endpoints=endpoints, delivery=ONE_ATTEMPT)) as running:
            async with desk(running) as operator:
                yield shop, running, operator
            found = await run("verify", cwd=directory)
            assert (found.code, found.out, found.err) == (0, found.out, ""), found.out


async def happen(running: RunningDaemon, count: int) -> list[str]:
    """Payments; the ids of their events."""
    ids = []
    for number in range(count):
        body = stripe_event(f"evt_{number}")
        status, answer = await post(running, "stripe", body, stripe_headers(body))
        assert status == 200
        ids.append(answer["event_id"])
    return ids


async def replay(running: RunningDaemon, *arguments: str) -> Any:
    """As an operator types it; the replay when it is over."""
    found = await run("replay", *arguments, "--json", cwd=running.directory)
    assert found.code == 0, found.err
    return found.json


async def settled(operator: Desk, count: int, state: str = "delivered") -> None:
    """Until so many deliveries are in that state: asked for again and again, for nothing announces it."""
    async with asyncio.timeout(PATIENCE_S):
        while len((await operator.get("/deliveries", state=state, limit="500"))["data"]) < count:
            pass


async def test_what_went_nowhere_reaches_an_endpoint_that_comes_later_once(tmp_path: Path):
    async with world(tmp_path, with_shop=False) as (shop, running, operator):
        ids = await happen(running, 5)
        shown = await run("events", "list", "--state", "unrouted", "--json", cwd=tmp_path)
        assert sorted(each["id"] for each in shown.json["data"]) == ids
        (tmp_path / "webhookd.toml").write_text(
            configuration(endpoints=endpoint("new", shop.port), delivery=ONE_ATTEMPT)
        )
        running.send_signal(signal.SIGHUP)
        await running.logged("reloaded")

        counted = await replay(running, "--state", "unrouted", "--endpoint", "new", "--dry-run")
        assert (counted["total"], counted["total_is_exact"], counted["replayed"]) == (5, True, 0)
        done = await replay(running, "--state", "unrouted", "--endpoint", "new")
        assert (done["state"], done["total"], done["replayed"]) == ("done", 5, 5)
        await settled(operator, 5)
        assert Counter(got.headers["webhook-id"] for got in shop.got) == dict.fromkeys(ids, 1)
        assert {(got.headers["webhookd-replay"], got.headers["webhookd-attempt"]) for got in shop.got} == {
            ("true", "1")
        }
        assert (await operator.get("/events", state="unrouted"))["data"] == []
        again = await replay(running, "--state", "unrouted", "--endpoint", "new")
        assert again["replayed"] == 0


async def test_what_was_given_up_is_delivered_when_it_is_replayed(tmp_path: Path):
    async with world(tmp_path, with_shop=True) as (shop, running, operator):
        shop.answer = lambda _got: 500
        ids = await happen(running, 3)
        await settled(operator, 3, "dead")
        shop.answer = lambda _got: 200
        assert (await replay(running, "--state", "dead", "--since", "1h"))["replayed"] == 3
        await settled(operator, 3)
        assert Counter(got.headers["webhook-id"] for got in shop.got[3:]) == dict.fromkeys(ids, 1)
        assert {got.headers["webhookd-attempt"] for got in shop.got[3:]} == {"2"}
        [delivery] = (await operator.get(f"/events/{ids[0]}"))["deliveries"]
        assert [(each["number"], each["status"], each["replay"]) for each in delivery["history"]] == [
            (1, 500, False),
            (2, 200, True),
        ]


async def test_what_is_replayed_to_a_paused_endpoint_waits_until_it_is_resumed(tmp_path: Path):
    async with world(tmp_path, with_shop=True) as (shop, running, operator):
        [event_id] = await happen(running, 1)
        await settled(operator, 1)
        await operator.done("POST", "/endpoints/shop/pause")
        assert (await replay(running, event_id))["replayed"] == 1
        [delivery] = (await operator.get(f"/events/{event_id}"))["deliveries"]
        assert (delivery["state"], len(shop.got)) == ("pending", 1)
        await operator.done("POST", "/endpoints/shop/resume")
        await shop.has(2)
        await settled(operator, 1)


async def test_where_order_is_asked_for_a_replay_keeps_it_in_whatever_order_it_is_asked(tmp_path: Path):
    async with world(tmp_path, with_shop=True, ordering="payment") as (shop, running, operator):
        ids = await happen(running, 6)  # all of one payment
        await settled(operator, 6)
        under_way = 0

        async def one_at_a_time() -> None:
            nonlocal under_way
            under_way += 1
            assert under_way == 1
            await asyncio.sleep(0)
            under_way -= 1

        shop.before_answer = one_at_a_time
        await replay(running, *reversed(ids))
        await settled(operator, 6)
        assert [got.headers["webhook-id"] for got in shop.got[6:]] == ids


async def test_kill_nine_in_the_middle_of_a_replay_leaves_the_rest_to_the_next_start(tmp_path: Path):
    async with world(tmp_path, with_shop=True) as (shop, running, operator):
        ids = await happen(running, 30)
        await settled(operator, 30)
        begun = (await operator.ask("POST", "/replays", {"state": "delivered", "rate": 2})).json
        await shop.has(30 + 3)
        await running.kill()
        with closing(driver.connect(tmp_path / "data" / "webhookd.db")) as connection:
            [(before,)] = connection.execute("SELECT replayed FROM replay").fetchall()
            connection.execute("UPDATE replay SET per_s = 1000")  # so that the test need not wait for the rest
            connection.commit()
        assert 3 <= before < 30
        await running.start()
        await running.logged("replay_over", replay_id=begun["id"])
        await settled(operator, 30)
        assert (await operator.get(f"/replays/{begun['id']}"))["replayed"] == 30
        replayed = [got for got in shop.got if "webhookd-replay" in got.headers]
        assert {got.headers["webhook-id"] for got in replayed} == {*ids}
        assert {got.headers["webhookd-attempt"] for got in replayed} == {"2"}, "the same attempt when it was cut short"
        deliveries = (await operator.get("/deliveries", limit="500"))["data"]
        assert [each["attempts"] for each in deliveries] == [2] * 30


async def test_a_replay_at_the_moment_of_its_settlement_is_neither_forgotten_nor_made_twice(tmp_path: Path):
    async with world(tmp_path, with_shop=True) as (shop, running, operator):
        [event_id] = await happen(running, 1)
        for _ in range(40):
            begun = await operator.ask("POST", "/replays", {"ids": [event_id]})
            await running.logged("replay_over", replay_id=begun.json["id"])
        await settled(operator, 1)
        [delivery] = (await operator.get(f"/events/{event_id}"))["deliveries"]
        numbers = [int(got.headers["webhookd-attempt"]) for got in shop.got]
        assert numbers == [each["number"] for each in delivery["history"]] == [*range(1, len(numbers) + 1)]
        assert len(numbers) > 1
