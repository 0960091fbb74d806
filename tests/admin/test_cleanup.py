"""`/api/v1/cleanup` on a real daemon, and what the API says of what was taken out."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.admin.desk import Desk, desk
from tests.daemon.merchant import Merchant, merchant
from tests.daemon.test_end_to_end import post, stripe_headers
from tests.daemon.test_replays import ONE_ATTEMPT, settled
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon, endpoint
from tests.shell import run
from tests.shop import CREATED
from webhookd.core.identifier import event_id, parse_event_id


@asynccontextmanager
async def world(directory: Path) -> AsyncIterator[tuple[Merchant, RunningDaemon, Desk]]:
    """A daemon with one merchant, and the operator; what is left is sound at the end."""
    async with merchant() as shop:
        config = configuration(endpoints=endpoint("shop", shop.port), delivery=ONE_ATTEMPT)
        async with daemon(directory, config) as running:
            async with desk(running) as operator:
                yield shop, running, operator
            found = await run("verify", cwd=directory)
            assert (found.code, found.err) == (0, ""), found.out


async def happen(running: RunningDaemon, count: int, first: int = 0) -> list[str]:
    """Payments of 10.50 each; the ids of their events."""
    ids = []
    for number in range(first, first + count):
        intent = {"id": f"pi_{number}", "object": "payment_intent", "status": "succeeded", "currency": "usd"}
        paid = {**intent, "amount": 1050, "amount_received": 1050}
        said = {"id": f"evt_{number}", "object": "event", "type": "payment_intent.succeeded", "created": CREATED}
        body = json.dumps({**said, "data": {"object": paid}}).encode()
        status, answer = await post(running, "stripe", body, stripe_headers(body))
        assert status == 200
        ids.append(answer["event_id"])
    return ids


async def over(operator: Desk) -> Any:
    """The cleanup when it is over: asked for again and again, for nothing announces it."""
    async with asyncio.timeout(PATIENCE_S):
        while (found := await operator.get("/cleanup"))["state"] == "running":
            pass
    return found


async def clean(operator: Desk, **asked: Any) -> Any:
    answer = await operator.ask("POST", "/cleanup", asked)
    assert answer.status == 202, answer.body
    assert answer.json["state"] in ("running", "done")
    return await over(operator)


async def test_what_is_finished_goes_and_what_is_not_stays(tmp_path: Path):
    async with world(tmp_path) as (shop, running, operator):
        assert (await operator.get("/cleanup"))["state"] == "never"
        ids = await happen(running, 5)
        await settled(operator, 5)
        since = {"since": "2025-01-01T00:00:00Z"}
        gross = (await operator.get("/revenue", **since))["data"][0]["gross"]
        payments = (await operator.get("/payments"))["data"]
        assert (gross, len(payments)) == (5 * 1050, 5)
        await operator.done("POST", "/endpoints/shop/pause")
        shop.got.clear()
        [pending] = await happen(running, 1, first=5)
        counted = await clean(operator, days=0, dry_run=True)
        size = counted["gone"]["bytes"]
        assert size > 5 * 100
        gone = {"events": 5, "deliveries": 5, "attempts": 5, "bytes": size}
        assert (counted["state"], counted["dry_run"], counted["gone"]) == ("done", True, gone)
        assert len((await operator.get("/events"))["data"]) == 6
        assert (await clean(operator, days=1))["gone"]["events"] == 0
        assert (await clean(operator, days=0, provider="paypal"))["gone"]["events"] == 0
        done = await clean(operator, days=0)
        assert (done["state"], done["gone"], done["by_provider"]) == ("done", gone, {"stripe": gone})
        assert done["kept"] == {"undelivered": 1, "recent": 0, "replayed": 0}
        assert (done["progress"], done["days"]) == (1.0, 0)
        assert done["begun_at"] <= done["ended_at"]
        assert [each["id"] for each in (await operator.get("/events"))["data"]] == [pending]
        # Their events are no longer in the log, and so not in the lists; all else of the payments is as it was.
        assert (await operator.get("/revenue", **since))["data"][0]["gross"] == 6 * 1050
        newest, *older = (await operator.get("/payments"))["data"]
        assert newest["events"] == [pending]
        assert older == [{**payment, "events": []} for payment in payments]
        # A late repeat is still a repeat.
        assert await happen(running, 5) == ids
        metrics = await operator.metrics()
        assert 'webhookd_pruned_total{what="events"} 5.0' in metrics
        await operator.done("POST", "/endpoints/shop/resume")
        await shop.has(1)
        assert [got.headers["webhook-id"] for got in shop.got] == [pending]
        await settled(operator, 1)


async def test_of_what_was_taken_out_the_api_says_so_and_when(tmp_path: Path):
    async with world(tmp_path) as (_, running, operator):
        [first] = await happen(running, 1)
        await settled(operator, 1)
        [delivery] = (await operator.get(f"/events/{first}"))["deliveries"]
        await clean(operator, days=0)
        for path in (f"/events/{first}", f"/events/{first}/body", f"/deliveries/{delivery['id']}"):
            answer = await operator.ask("GET", path)
            assert (answer.status, answer.json["title"]) == (410, "Gone")
            assert "taken out of the log by retention at 20" in answer.json["detail"]
        key, salt = parse_event_id(first)
        for stranger in (event_id(key, salt + 1), event_id(key + 1, salt)):
            assert (await operator.ask("GET", f"/events/{stranger}")).status == 404
        refused = (await operator.ask("POST", "/replays", {"ids": [first]})).wrong
        assert refused == {"ids[0]": "cannot be sent: retention has taken it out of the log"}


async def test_a_list_that_is_being_read_goes_on_over_what_was_taken_out(tmp_path: Path):
    async with world(tmp_path) as (_, running, operator):
        ids = await happen(running, 4)
        await settled(operator, 4)
        page = await operator.get("/events", limit="2")
        assert [each["id"] for each in page["data"]] == ids[:1:-1]
        await clean(operator, days=0)
        rest = await operator.get("/events", limit="2", cursor=page["next_cursor"])
        assert (rest["data"], rest["next_cursor"]) == ([], None)
        assert (await operator.get("/events", after=ids[0]))["data"] == []


async def test_there_is_one_at_a_time_and_it_can_be_ended(tmp_path: Path):
    async with world(tmp_path) as (_, running, operator):
        await happen(running, 3)
        await settled(operator, 3)
        # Both are answered before the first has found anything to do.
        answers = await asyncio.gather(*(operator.ask("POST", "/cleanup", {"days": 0}) for _ in range(2)))
        assert sorted(each.status for each in answers) == [202, 409]
        [refused] = [each.json for each in answers if each.status == 409]
        assert "under way already" in refused["detail"]
        found = await operator.done("POST", "/cleanup/cancel")
        assert found["state"] in ("done", "cancelled")
        assert (await operator.done("POST", "/cleanup/cancel"))["state"] == found["state"]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({}, "days"),
        ({"days": -1}, "days"),
        ({"days": 1.5}, "days"),
        ({"days": 36_501}, "days"),
        ({"days": 1, "provider": "nobody"}, "provider"),
        ({"days": 1, "dry_run": "yes"}, "dry_run"),
        ({"days": 1, "force": True}, "force"),
    ],
)
async def test_what_is_not_understood_is_refused_and_nothing_is_begun(
    operator: Desk, asked: dict[str, Any], field: str
):
    assert list((await operator.ask("POST", "/cleanup", asked)).wrong) == [field]
    assert (await operator.get("/cleanup"))["state"] == "never"


async def test_who_asked_for_it_is_on_record_and_a_dry_run_is_not(operator: Desk):
    await clean(operator, days=5, dry_run=True)
    await clean(operator, days=7)
    rows = [row for row in (await operator.get("/audit"))["data"] if row["action"] == "cleanup"]
    assert [row["detail"]["days"] for row in rows] == [7]


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[Desk]:
    async with daemon(tmp_path, configuration()) as running, desk(running) as found:
        yield found
