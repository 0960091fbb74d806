"""How it goes, by the API: now, in the last hour and day, and who needs somebody."""

import asyncio
import json
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.admin.desk import Desk, desk
from tests.daemon.merchant import Merchant, merchant
from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon, endpoint


@pytest.fixture
async def shop() -> AsyncIterator[Merchant]:
    async with merchant() as made:
        yield made


@pytest.fixture
async def running(tmp_path: Path, shop: Merchant) -> AsyncIterator[RunningDaemon]:
    endpoints = endpoint("shop", shop.port) + endpoint("stock", shop.port)
    async with daemon(tmp_path, configuration(endpoints=endpoints)) as made:
        yield made


@pytest.fixture
async def operator(running: RunningDaemon) -> AsyncIterator[Desk]:
    async with desk(running) as made:
        yield made


async def happen(running: RunningDaemon, event_id: str) -> None:
    body = stripe_event(event_id)
    status, _ = await post(running, "stripe", body, stripe_headers(body))
    assert status == 200


async def pulse(operator: Desk, is_there: Callable[[Any], Any], **query: str) -> Any:
    """The pulse, once that is in it: asked again and again, for it is looked at once a second."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_there(found := await operator.get("/pulse", **query)):
            pass
    return found


async def test_what_happens_is_in_the_numbers_and_in_the_minute_that_is_running(
    running: RunningDaemon, operator: Desk, shop: Merchant
):
    for number in range(3):
        await happen(running, f"evt_{number}")
    await shop.has(6)
    found = await pulse(operator, lambda found: _sum(found, "delivered") == 6 and found["now"]["backlog"] == 0)
    now = found["now"]
    assert (now["ready"], now["why_not_ready"]) == (True, None)
    assert (now["dead"], now["oldest_pending_at"]) == (0, None)
    assert _sum(found, "accepted") == 3
    assert found["needy"] == []
    found = await pulse(operator, lambda found: found["now"]["success_rate"])
    assert found["now"]["success_rate"] == 1.0
    assert 0 < found["now"]["ack_p50_ms"] <= found["now"]["ack_p99_ms"]
    assert 0 < found["now"]["delivery_p50_ms"] <= found["now"]["delivery_p99_ms"]


@pytest.mark.parametrize(("over", "points", "step_s"), [("hour", {60}, 60), ("day", {144, 145}, 600)])
async def test_an_hour_is_told_by_minutes_and_a_day_by_ten(operator: Desk, over: str, points: set[int], step_s: int):
    found = await operator.get("/pulse", over=over)
    assert len(found["points"]) in points
    assert found["step_s"] == step_s
    times = [point["at"] for point in found["points"]]
    assert times == sorted(times)


async def test_another_time_is_refused(operator: Desk):
    assert "over" in (await operator.ask("GET", "/pulse", over="week")).wrong


async def test_an_endpoint_that_is_paused_or_fails_needs_somebody_and_those_worst_off_come_first(
    running: RunningDaemon, operator: Desk, shop: Merchant
):
    shop.answer = lambda got: 500 if got.path == "/shop" else 200
    await operator.done("POST", "/endpoints/stock/pause")
    for number in range(5):
        await happen(running, f"evt_{number}")
    found = await pulse(operator, lambda found: [each["why"] for each in found["needy"]] == ["open", "paused"])
    assert [each["endpoint"]["name"] for each in found["needy"]] == ["shop", "stock"]
    assert found["more_needy"] == 0
    assert found["now"]["backlog"] == 10
    await operator.done("POST", "/endpoints/stock/resume")
    found = await pulse(operator, lambda found: [each["why"] for each in found["needy"]] == ["open"])


async def test_of_an_endpoint_the_attempts_of_an_hour_are_told(running: RunningDaemon, operator: Desk, shop: Merchant):
    shop.answer = lambda got: 500 if got.path == "/shop" else 200
    await happen(running, "evt_1")
    await shop.has(2)
    async with asyncio.timeout(PATIENCE_S):
        while not any(each["failed"] for each in (await operator.get("/endpoints/shop/pulse"))["minutes"]):
            pass
    minutes = (await operator.get("/endpoints/stock/pulse"))["minutes"]
    assert len(minutes) == 60
    assert sum(each["succeeded"] for each in minutes) == 1
    assert (await operator.ask("GET", "/endpoints/nobody/pulse")).status == 404


async def test_minutes_that_are_over_survive_a_kill(tmp_path: Path):
    command = [sys.executable, "-m", "tests.daemon.minute_by_minute", "serve"]
    async with daemon(tmp_path, configuration(), command=command) as running, desk(running) as operator:
        await happen(running, "evt_1")
        await happen(running, "evt_2")
        running.send_signal(signal.SIGUSR1)
        await pulse(operator, lambda found: found["points"][-1]["accepted"] == 0 and _accepted(found) == 2)
        async with asyncio.timeout(PATIENCE_S):
            while not await asyncio.to_thread(_minutes_on_disk, tmp_path):
                pass
        await running.kill()
        await running.start()
        running.send_signal(signal.SIGUSR1)  # to where it was: a clock of its own begins at the true time
        found = await pulse(operator, _accepted)
        assert _accepted(found) == 2
        found = await operator.get("/pulse", over="day")
        assert _accepted(found) == 2


async def test_what_was_captured_today_is_told_by_currency(running: RunningDaemon, operator: Desk):
    body = json.dumps(
        {
            "id": "evt_1",
            "object": "event",
            "created": int(time.time()),
            "type": "payment_intent.succeeded",
            "data": {
                "object": {
                    "id": "pi_1",
                    "object": "payment_intent",
                    "status": "succeeded",
                    "currency": "usd",
                    "amount": 1234,
                    "amount_received": 1234,
                }
            },
        }
    ).encode()
    status, _ = await post(running, "stripe", body, stripe_headers(body))
    assert status == 200
    found = await pulse(operator, lambda found: found["now"]["captured_today"])
    [revenue] = found["now"]["captured_today"]
    assert (revenue["currency"], revenue["exponent"], revenue["gross"]) == ("USD", 2, 1234)


def _accepted(found: Any) -> int:
    return _sum(found, "accepted")


def _sum(found: Any, what: str) -> int:
    return sum(point[what] for point in found["points"])


def _minutes_on_disk(directory: Path) -> int:
    connection = sqlite3.connect(f"file:{directory / 'data' / 'webhookd.db'}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM minute").fetchone()[0])
    finally:
        connection.close()
