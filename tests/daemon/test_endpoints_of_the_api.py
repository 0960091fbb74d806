"""Endpoints that the API manages, on a real daemon: what is changed holds at once, and over a restart."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks

from tests.admin.desk import Desk, desk
from tests.daemon.merchant import Merchant, merchant
from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.running import ENDPOINT_SECRET, RunningDaemon, configuration, daemon, endpoint
from tests.shell import ask


@asynccontextmanager
async def world(directory: Path, **config: str) -> AsyncIterator[tuple[Merchant, RunningDaemon, Desk]]:
    async with merchant() as shop, daemon(directory, configuration(**config)) as running, desk(running) as operator:
        yield shop, running, operator


def asked(shop: Merchant, name: str = "shop", **settings: Any) -> dict[str, Any]:
    return {"name": name, "url": f"http://127.0.0.1:{shop.port}/{name}", "secret": ENDPOINT_SECRET, **settings}


async def happen(running: RunningDaemon, event_id: str) -> str:
    body = stripe_event(event_id)
    status, answer = await post(running, "stripe", body, stripe_headers(body))
    assert status == 200
    return str(answer["event_id"])


async def on_disk(operator: Desk, attempts: int) -> None:
    """Wait until that many are settled: what a crash cuts short is attempted again."""
    while sum(each["attempts"] for each in (await operator.get("/deliveries"))["data"]) < attempts:
        pass


async def test_an_endpoint_that_is_added_gets_the_next_event(tmp_path: Path):
    async with world(tmp_path) as (shop, running, operator):
        added = await operator.ask("POST", "/endpoints", asked(shop))
        assert added.status == 201
        event = await happen(running, "evt_1")
        [got] = await shop.has(1)
        assert (got.path, got.headers["webhook-id"]) == ("/shop", event)


async def test_it_is_there_after_a_crash_and_after_a_reload(tmp_path: Path):
    async with world(tmp_path) as (shop, running, operator):
        before = (await operator.ask("POST", "/endpoints", asked(shop, events=["payment_intent.*"]))).json
        await running.kill()
        await running.start()
        assert await operator.get("/endpoints/shop") == before
        await happen(running, "evt_1")
        await shop.has(1)
        running.send_signal(signal.SIGHUP)
        await running.logged("reloaded")
        await happen(running, "evt_2")
        await shop.has(2)
        assert (await operator.get("/endpoints/shop"))["events"] == ["payment_intent.*"]


async def test_a_generated_secret_is_shown_once_and_signs(tmp_path: Path):
    async with world(tmp_path) as (shop, running, operator):
        added = await operator.done("POST", "/endpoints", {**asked(shop), "secret": None})
        shop.secret = added["secret"]
        await happen(running, "evt_1")
        await shop.has(1)
        assert "secret" not in await operator.get("/endpoints/shop")
        await on_disk(operator, 1)
        await running.kill()
        await running.start()
        await happen(running, "evt_2")
        await shop.has(2)


async def test_a_new_url_is_where_the_next_attempt_goes(tmp_path: Path):
    async with world(tmp_path, delivery='schedule = ["0s", "1ms", "1ms"]') as (shop, running, operator):
        await operator.done("POST", "/endpoints", asked(shop))

        async def move() -> None:
            url = f"http://127.0.0.1:{shop.port}/moved"
            assert (await operator.done("PATCH", "/endpoints/shop", {"url": url}))["url"] == url

        shop.answer = lambda got: 200 if got.path == "/moved" else 500
        shop.before_answer = move
        await happen(running, "evt_1")
        assert [got.path for got in await shop.has(2)] == ["/shop", "/moved"]


async def test_a_removed_endpoint_gets_nothing_more_and_what_it_is_owed_when_it_comes_back(tmp_path: Path):
    async with world(tmp_path) as (shop, running, operator):
        await operator.done("POST", "/endpoints", asked(shop))
        await operator.done("POST", "/endpoints/shop/pause")
        owed = await happen(running, "evt_1")
        removed = await operator.done("DELETE", "/endpoints/shop")
        assert (removed["state"], removed["why"], removed["backlog"]) == ("disabled", "removed", 1)
        await happen(running, "evt_2")
        await running.kill()
        await running.start()
        assert (await operator.get("/status"))["held_for_removed"] == 1
        assert (await operator.ask("DELETE", "/endpoints/shop")).status == 404
        (tmp_path / "secret").write_text(ENDPOINT_SECRET)
        given = ("--secret-file", tmp_path / "secret", "--data-dir", tmp_path / "data")
        added = await ask("endpoints", "add", "shop", asked(shop)["url"], *given)
        assert added.out == "shop is added; it gets 1 delivery held from before\n"
        later = await happen(running, "evt_3")
        got = await shop.has(2)
        assert {each.headers["webhook-id"] for each in got} == {owed, later}
        assert (await operator.get("/status"))["held_for_removed"] == 0


async def test_no_retry_goes_to_an_endpoint_that_was_removed_meanwhile(tmp_path: Path):
    async with world(tmp_path, delivery='schedule = ["0s", "1ms"]') as (shop, running, operator):
        await operator.done("POST", "/endpoints", asked(shop, "leaving", events=["payment_intent.*"]))

        async def remove() -> None:
            await operator.ask("DELETE", "/endpoints/leaving")

        shop.answer = lambda got: 500 if got.path == "/leaving" else 200
        shop.before_answer = remove
        await happen(running, "evt_1")
        await shop.has(1)
        await running.logged("endpoint_removed")
        await operator.done("POST", "/endpoints", asked(shop, "staying"))
        for number in range(2, 12):  # long enough for a retry, had there been one
            await happen(running, f"evt_{number}")
            await shop.has(number)
        assert [got.path for got in shop.got] == ["/leaving", *["/staying"] * 10]


@pytest.mark.fault(42)
async def test_both_secrets_sign_while_one_is_being_replaced(tmp_path: Path):
    async with world(tmp_path) as (shop, running, operator):
        await operator.done("POST", "/endpoints", asked(shop))
        rotated = await operator.done("POST", "/endpoints/shop/rotate-secret")
        assert [each["until"] is None for each in rotated["secrets"]] == [True, False]
        await happen(running, "evt_1")
        [got] = await shop.has(1)  # checked with the old one
        standardwebhooks.Webhook(rotated["secret"]).verify(got.body, got.headers)
        await on_disk(operator, 1)
        await running.kill()
        await running.start()
        shop.secret = rotated["secret"]
        await happen(running, "evt_2")
        await shop.has(2)
        last = await operator.done("POST", "/endpoints/shop/rotate-secret", {"overlap": "0s"})
        assert len(last["secrets"]) == 1
        shop.secret = last["secret"]
        await happen(running, "evt_3")
        [*_, got] = await shop.has(3)
        assert len(got.headers["webhook-signature"].split()) == 1


async def test_the_configuration_takes_over_an_endpoint_of_the_same_name(tmp_path: Path):
    async with world(tmp_path) as (shop, running, operator):
        await operator.done("POST", "/endpoints", asked(shop))
        (tmp_path / "webhookd.toml").write_text(configuration(endpoints=endpoint("shop", shop.port)))
        running.send_signal(signal.SIGHUP)
        await running.logged("endpoint_taken_over", endpoint="shop")
        await running.logged("reloaded")
        assert (await operator.get("/endpoints/shop"))["managed_by"] == "config"
        refused = await operator.ask("PATCH", "/endpoints/shop", {"max_in_flight": 1})
        assert refused.status == 409
        assert "configuration" in refused.json["detail"]
        await happen(running, "evt_1")
        await shop.has(1)


async def test_a_reload_that_an_endpoint_of_the_api_cannot_follow_changes_nothing(tmp_path: Path):
    async with world(tmp_path) as (shop, running, operator):
        await operator.done("POST", "/endpoints", asked(shop, sources=["stripe"]))
        (tmp_path / "webhookd.toml").write_text(configuration(sources=" "))
        running.send_signal(signal.SIGHUP)
        refused = await running.logged("reload_refused")
        assert refused["mistakes"] == ['endpoint shop (managed by the API): sources: there is no source "stripe"']
        await happen(running, "evt_1")
        await shop.has(1)


async def test_a_start_that_an_endpoint_of_the_api_cannot_follow_holds_what_it_is_owed(tmp_path: Path):
    async with world(tmp_path) as (shop, running, operator):
        await operator.done("POST", "/endpoints", asked(shop, sources=["standard", "stripe"]))
        await running.kill()
        standing = '[sources.stripe]\nprovider = "stripe"\nsecrets = ["whsec_test_stripe"]\n'
        (tmp_path / "webhookd.toml").write_text(configuration(sources=standing))
        await running.start()
        held = await running.logged("endpoint_held")
        assert held["mistakes"] == ['sources: there is no source "standard"']
        event = await happen(running, "evt_1")
        found = await operator.get("/endpoints/shop")
        assert (found["state"], found["why"], found["backlog"]) == ("disabled", "settings", 1)
        assert [each["field"] for each in found["mistakes"]] == ["sources"]
        assert (await operator.ask("POST", "/endpoints/shop/ping")).status == 409
        assert shop.got == []
        await operator.done("PATCH", "/endpoints/shop", {"sources": ["stripe"]})
        [got] = await shop.has(1)
        assert got.headers["webhook-id"] == event


async def test_a_thousand_endpoints_come_in_pages_and_a_status_names_those_that_are_owed_most(tmp_path: Path):
    many = [f"shop-{number}" for number in range(1_000)]
    async with merchant() as shop:
        busy = endpoint("busy", shop.port, events=["payment_intent.*"])
        config = busy + "".join(endpoint(name, shop.port, events=["charge.*"]) for name in many)
        shop.answer = lambda _got: 500
        async with daemon(tmp_path, configuration(endpoints=config)) as running, desk(running) as operator:
            await happen(running, "evt_1")
            await shop.has(1)
            met: list[str] = []
            cursor: dict[str, str] = {}
            while True:
                page = await operator.get("/endpoints", limit="300", **cursor)
                met += [each["name"] for each in page["data"]]
                if page["next_cursor"] is None:
                    break
                cursor = {"cursor": page["next_cursor"]}
            assert sorted(met) == sorted(["busy", *many])
            status = await operator.get("/status")
            assert (len(status["endpoints"]), status["more_endpoints"], status["backlog"]) == (100, 901, 1)
            assert status["endpoints"][0]["name"] == "busy"
            wrongs: list[dict[str, str]] = [{"limit": "0"}, {"limit": "501"}, {"cursor": "x"}, {"removed": "yes"}]
            for wrong in (*wrongs, {"state": "off"}, {"name": ""}):
                assert (await operator.ask("GET", "/endpoints", **wrong)).status == 422


async def test_of_many_who_want_one_name_one_gets_it(tmp_path: Path):
    async with world(tmp_path) as (shop, running, operator):
        answers = await asyncio.gather(*(operator.ask("POST", "/endpoints", asked(shop)) for _ in range(20)))
        assert sorted(answer.status for answer in answers) == [201] + [409] * 19
        await happen(running, "evt_1")
        await shop.has(1)


async def test_an_open_breaker_is_seen_everywhere_survives_a_restart_and_is_forgotten_by_resuming(tmp_path: Path):
    async with world(tmp_path, delivery='schedule = ["0s", "1ms", "1ms", "1ms", "1ms", "1ms", "1h"]') as (
        shop,
        running,
        operator,
    ):
        shop.answer = lambda _got: 500
        await operator.done("POST", "/endpoints", asked(shop))
        await happen(running, "evt_1")
        await running.logged("breaker_opened", endpoint="shop")
        # Not "open" alone: on a machine that is busy enough it may be time for the probe already.
        not_closed = ("open", "half_open")
        found = await operator.get("/endpoints/shop")
        assert (found["state"], found["backlog"], found["breaker"] in not_closed) == ("active", 1, True)
        assert (found["retry_at"] is not None) == (found["breaker"] == "open")
        [status] = (await operator.get("/status"))["endpoints"]
        assert (status["breaker"] in not_closed, status["failing_since"]) == (True, found["failing_since"])
        metrics = await operator.metrics()
        assert 'webhookd_breaker_state{endpoint="shop",state="closed"} 0.0' in metrics
        assert re.search(r'webhookd_breaker_trips_total\{endpoint="shop"\} [1-9]', metrics)
        said = await ask("status", "--data-dir", tmp_path / "data")
        assert re.search(r"shop +active +(open, tries in|half open)", said.out)
        await on_disk(operator, 5)
        await running.kill()
        await running.start()
        again = await operator.get("/endpoints/shop")
        assert again["breaker"] in not_closed
        assert again["failing_since"] == found["failing_since"]
        shop.answer = lambda _got: 200
        failed = len(shop.got)
        resumed = await operator.done("POST", "/endpoints/shop/resume")
        assert (resumed["breaker"], resumed["retry_at"], resumed["failing_since"]) == ("closed", None, None)
        await happen(running, "evt_2")
        await shop.has(failed + 2)
