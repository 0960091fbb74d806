"""Dead letters over the API: counted by reason, listed by it, and replayed by it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest
import pytest_asyncio

from tests.admin.desk import Desk, desk
from tests.daemon.merchant import merchant
from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon, endpoint
from webhookd.admin.remedy import remedy
from webhookd.core.delivery import FAILURE_WORDS

pytestmark = pytest.mark.asyncio(loop_scope="module")
ANSWERS = {"evt_0": 500, "evt_1": 401, "evt_2": 500, "evt_3": 200, "evt_4": 500}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningDaemon]:
    """One that tries once: to `shop`, which answers as ANSWERS has it, and to `away`, where nobody is."""
    with closing(socket.socket()) as nobody:
        nobody.bind(("127.0.0.1", 0))  # the port is taken, and nobody listens
        async with merchant() as shop:
            shop.answer = lambda got: next(status for name, status in ANSWERS.items() if name.encode() in got.body)
            away = endpoint("away", nobody.getsockname()[1])
            endpoints = endpoint("shop", shop.port) + away + endpoint("well", shop.port, events=["none"])
            config = configuration(endpoints=endpoints, delivery='schedule = ["0s"]')
            async with daemon(tmp_path_factory.mktemp("dead"), config) as found:
                for count, name in enumerate(ANSWERS, 1):
                    body = stripe_event(name)
                    assert (await post(found, "stripe", body, stripe_headers(body)))[0] == 200
                    await settled(found, count)
                yield found


async def settled(running: RunningDaemon, events: int) -> None:
    """Until all of these have been tried."""
    async with asyncio.timeout(PATIENCE_S), desk(running) as asked:
        while True:
            found = (await asked.get("/deliveries", limit="500"))["data"]
            if len(found) == 2 * events and not [each for each in found if each["state"] == "pending"]:
                return


@pytest_asyncio.fixture(loop_scope="module")
async def operator(running: RunningDaemon) -> AsyncIterator[Desk]:
    async with desk(running) as found:
        yield found


async def test_it_is_counted_by_endpoint_and_reason_with_what_to_do(operator: Desk):
    answer = await operator.get("/dead")
    assert answer["next_cursor"] is None
    found = {each["endpoint"]: each for each in answer["data"]}
    assert found.keys() == {"shop", "away"}
    shop, away = found["shop"], found["away"]
    assert (shop["deliveries"], shop["is_exact"], shop["in_service"]) == (4, True, True)
    assert [(each["error"], each["status"], each["deliveries"], each["words"]) for each in shop["reasons"]] == [
        ("status", 500, 3, "answered 500"),
        ("status", 401, 1, "answered 401"),
    ]
    assert [(each["error"], each["status"], each["deliveries"]) for each in away["reasons"]] == [("connect", None, 5)]
    assert "secret" in shop["reasons"][1]["advice"]
    assert "is the merchant up" in away["reasons"][0]["advice"]
    oldest, newest = shop["reasons"][0]["oldest_at"], shop["reasons"][0]["newest_at"]
    events = sorted(each["received_at"] for each in (await operator.get("/events"))["data"])
    assert (oldest, newest) == (events[0], events[-1])


async def test_it_comes_in_pages_or_of_one_endpoint(operator: Desk):
    first = await operator.get("/dead", limit="1")
    second = await operator.get("/dead", limit="1", cursor=first["next_cursor"])
    assert [each["endpoint"] for each in first["data"] + second["data"]] == ["shop", "away"]
    assert [each["endpoint"] for each in (await operator.get("/dead", endpoint="away"))["data"]] == ["away"]
    assert (await operator.get("/dead", endpoint="well"))["data"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"endpoint": "nobody"}, "endpoint"),
        ({"endpoint": ""}, "endpoint"),
        ({"limit": "0"}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"error": "status"}, "error"),
    ],
    ids=str,
)
async def test_absurd_questions_are_422(operator: Desk, query: dict[str, str], field: str):
    assert (await operator.ask("GET", "/dead", **query)).wrong.keys() == {field}


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"state": "dead", "endpoint": "shop", "error": "status", "status": "500"}, 3),
        ({"state": "dead", "endpoint": "shop", "error": "status"}, 4),
        ({"state": "dead", "error": "connect"}, 5),
        ({"state": "dead", "status": "401"}, 1),
        ({"status": "500"}, 3),
        ({"error": "connect", "endpoint": "shop"}, 0),
        ({"state": "delivered", "status": "200"}, 1),
        ({"state": "delivered", "error": "connect"}, 0),
    ],
    ids=str,
)
async def test_deliveries_are_listed_by_reason(operator: Desk, query: dict[str, str], count: int):
    found = (await operator.get("/deliveries", **query))["data"]
    assert len(found) == count
    assert {each["last_error"] for each in found} <= ({query["error"]} if "error" in query else {"status", None})
    first = await operator.get("/deliveries", limit="1", **query)
    if count > 1:
        second = await operator.get("/deliveries", limit="1", cursor=first["next_cursor"], **query)
        assert [*first["data"], *second["data"]] == found[:2]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"error": "bad luck"}, "error"),
        ({"status": "50"}, "status"),
        ({"status": "1000"}, "status"),
        ({"status": "five"}, "status"),
    ],
    ids=str,
)
async def test_a_reason_that_there_cannot_be_is_422(operator: Desk, query: dict[str, str], field: str):
    assert (await operator.ask("GET", "/deliveries", state="dead", **query)).wrong.keys() == {field}


async def test_a_dry_run_says_how_many_there_are_for_whom(operator: Desk):
    async def counted(**asked: Any) -> Any:
        answer = await operator.ask("POST", "/replays", {"state": "dead", "dry_run": True, **asked})
        assert answer.status == 202, answer.body
        return answer.json

    found = await counted(error="status", status=500)
    assert (found["total"], found["total_is_exact"], found["by_endpoint"]) == (3, True, {"shop": 3})
    assert found["selection"] == {"state": "dead", "error": "status", "status": 500}
    assert (await counted())["by_endpoint"] == {"shop": 4, "away": 5}
    assert (await counted(error="dns"))["by_endpoint"] == {}


@pytest.mark.parametrize("status", [None, 400, 401, 404, 418, 429, 500, 599])
@pytest.mark.parametrize("error", [*FAILURE_WORDS, None])
async def test_there_is_advice_on_every_reason(error: str | None, status: int | None):
    assert 20 < len(remedy(error, status)) < 120
