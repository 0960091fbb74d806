"""Replays over the API: what may be asked, what is refused and why, and what the answers hold."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.admin.desk import Desk, desk
from tests.dev_daemon import DevDaemon, dev_daemon, stripe_event
from webhookd.core.identifier import delivery_id, event_id, replay_id
from webhookd.store.protocol.replays import RUNNING_MAX

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_EVENT, NO_DELIVERY, NO_REPLAY = event_id(5, 5), delivery_id(5, 5), replay_id(2**40)
NOTHING = {"type": "no.such.type"}
"""What no delivery matches."""
SLOW = {"state": "delivered", "rate": 0.01}
"""A replay that is not over while a test looks at it, when there is more than one delivery."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevDaemon]:
    async with dev_daemon(tmp_path_factory.mktemp("replays")) as found:
        for number in range(3):
            await found.delivered(await found.send(stripe_event(number)))
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def operator(dev: DevDaemon) -> AsyncIterator[Desk]:
    async with desk(dev.running) as found:
        yield found


async def begin(operator: Desk, **asked: Any) -> dict[str, Any]:
    answer = await operator.ask("POST", "/replays", asked)
    assert answer.status == 202, answer.body
    return dict(answer.json)


async def test_a_replay_is_answered_at_once_and_can_be_watched_to_its_end(dev: DevDaemon, operator: Desk):
    sent = await dev.send(stripe_event("watched"))
    await dev.delivered(sent)
    begun = await begin(operator, ids=[sent])
    assert begun == {
        "id": begun["id"],
        "dry_run": False,
        "state": "running",
        "total": 1,
        "total_is_exact": True,
        "replayed": 0,
        "rate": None,
        "selection": {"ids": [sent]},
        "created_at": begun["created_at"],
        "ended_at": None,
    }
    assert begun["id"].startswith("rpl_")
    await dev.running.logged("replay_over", replay_id=begun["id"])
    done = await operator.get(f"/replays/{begun['id']}")
    assert done == {**begun, "state": "done", "replayed": 1, "ended_at": done["ended_at"]}
    assert begun["created_at"] <= done["ended_at"]
    assert (await dev.delivered(sent))["attempts"] == 2


async def test_a_dry_run_counts_and_changes_nothing(operator: Desk):
    before = await operator.get("/deliveries", state="delivered", limit="500")
    asked = {"type": "charge.*", "state": "delivered", "until": "2100-01-01T00:00:00Z", "rate": 5}
    counted = await begin(operator, **asked, dry_run=True)
    assert (counted["id"], counted["state"], counted["replayed"], counted["created_at"]) == (None, "done", 0, None)
    assert (counted["dry_run"], counted["total"], counted["total_is_exact"]) == (True, len(before["data"]), True)
    assert counted["by_endpoint"] == {"local": counted["total"]}
    assert counted["selection"] == {
        "type": "charge.*",
        "state": "delivered",
        "until": "2100-01-01T00:00:00.000Z",
    }
    assert await operator.get("/deliveries", state="delivered", limit="500") == before


@pytest.mark.parametrize(
    ("since", "until", "shown"),
    [
        (
            "1969-12-31T23:00:00-01:00",
            "9999-12-31T23:59:59.999999Z",
            ("1970-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"),
        ),
        (
            "1970-01-01T00:00:00.001Z",
            "9999-12-31T23:59:59+00:01",
            ("1970-01-01T00:00:00.001Z", "9999-12-31T23:58:59.000Z"),
        ),
    ],
)
async def test_the_first_and_the_last_time_that_may_be_asked_for(
    operator: Desk, since: str, until: str, shown: tuple[str, str]
):
    selection = (await begin(operator, **NOTHING, since=since, until=until))["selection"]
    assert (selection["since"], selection["until"]) == shown


async def test_what_is_null_is_not_asked_for(operator: Desk):
    begun = await begin(operator, **NOTHING, ids=None, endpoint=None, since=None, rate=None, dry_run=None)
    assert (begun["selection"], begun["rate"], begun["dry_run"]) == (NOTHING, None, False)


@pytest.mark.parametrize(
    ("asked", "field", "reason"),
    [
        ({}, "ids", "say what to replay"),
        ({"rate": 5, "dry_run": True}, "ids", "say what to replay"),
        ({"ids": []}, "ids", "1 to 1000"),
        ({"ids": [NO_EVENT] * 1001}, "ids", "1 to 1000"),
        ({"ids": NO_EVENT}, "ids", "a list"),
        ({"ids": {NO_EVENT: 1}}, "ids", "a list"),
        ({"ids": [NO_EVENT, 5]}, "ids[1]", "a string"),
        ({"ids": [None]}, "ids[0]", "a string"),
        ({"ids": ["evt_1"]}, "ids[0]", "neither an event's id"),
        ({"ids": [""]}, "ids[0]", "neither an event's id"),
        ({"ids": [NO_REPLAY]}, "ids[0]", "neither an event's id"),
        ({"ids": [NO_EVENT]}, "ids[0]", "no event of the log"),
        ({"ids": [NO_DELIVERY]}, "ids[0]", "no delivery of the log"),
        ({"ids": [NO_EVENT], "state": "dead"}, "state", "cannot be given with ids"),
        ({"ids": [NO_EVENT], "since": "2026-01-01T00:00:00Z"}, "since", "cannot be given with ids"),
        ({"endpoint": "nobody"}, "endpoint", 'there is no endpoint "nobody"'),
        ({"endpoint": ""}, "endpoint", "1 to 255 characters"),
        ({"endpoint": 5}, "endpoint", "must be a string"),
        ({"source": ["stripe"]}, "source", "must be a string"),
        ({"source": "nobody"}, "source", 'there is no source "nobody"'),
        ({"type": "["}, "type", "is not an event glob"),
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "since", "must not be after until"),
        ({"type": "*" * 256}, "type", "1 to 255 characters"),
        ({"state": "lost"}, "state", "pending, delivered, dead, cancelled, unrouted"),
        ({"state": "quarantined"}, "state", "by id"),
        ({"state": 5}, "state", "must be one of"),
        ({"state": "dead", "error": "bad luck"}, "error", "status, redirect, timeout, connect"),
        ({"state": "dead", "error": 5}, "error", "must be one of"),
        ({"state": "dead", "status": "500"}, "status", "a whole number from 100 to 999"),
        ({"state": "dead", "status": True}, "status", "a whole number from 100 to 999"),
        ({"state": "dead", "status": 10**30}, "status", "a whole number from 100 to 999"),
        ({"state": "delivered", "status": 500}, "status", "with state dead, and no other"),
        ({"error": "timeout"}, "error", "with state dead, and no other"),
        ({"endpoint": "local", "error": "timeout"}, "error", "with state dead, and no other"),
        ({"ids": [NO_EVENT], "error": "timeout"}, "error", "cannot be given with ids"),
        ({"state": {}}, "state", "must be one of"),
        ({"since": "yesterday"}, "since", "RFC 3339"),
        ({"since": 1_700_000_000}, "since", "RFC 3339"),
        ({"until": "2026-02-30T00:00:00Z"}, "until", "RFC 3339"),
        ({"until": "9999-12-31T23:59:59-23:59"}, "until", "1970 to 9999 in UTC"),
        ({"until": "0001-01-01T00:00:00+23:59"}, "until", "1970 to 9999 in UTC"),
        ({"since": "1970-01-01T00:00:00+00:01"}, "since", "1970 to 9999 in UTC"),
        ({"state": "dead", "rate": 0}, "rate", "0.01 to 10000"),
        ({"state": "dead", "rate": -1}, "rate", "0.01 to 10000"),
        ({"state": "dead", "rate": 10**400}, "rate", "0.01 to 10000"),
        ({"state": "dead", "rate": "50/s"}, "rate", "must be a number"),
        ({"state": "dead", "rate": True}, "rate", "must be a number"),
        ({"state": "dead", "dry_run": "yes"}, "dry_run", "true or false"),
        ({"state": "dead", "dry_run": 1}, "dry_run", "true or false"),
        ({"state": "dead", "provider": "stripe"}, "provider", "known are ids, endpoint"),
    ],
)
async def test_what_makes_no_sense_is_422_and_names_the_field(
    operator: Desk, asked: dict[str, Any], field: str, reason: str
):
    for dry_run in ({}, {"dry_run": True}):
        answer = await operator.ask("POST", "/replays", {**dry_run, **asked})
        assert answer.wrong.keys() == {field}
        assert reason in answer.wrong[field]


async def test_all_mistakes_are_named_at_once(operator: Desk):
    answer = await operator.ask("POST", "/replays", {"state": 1, "since": 2, "rate": 0, "type": "", "colour": "red"})
    assert answer.wrong.keys() == {"state", "since", "rate", "type", "colour"}


@pytest.mark.parametrize("body", [b"[]", b"5", b"{", b'"\xff"', b"[" * 30_000, b'{"ids": ["\\ud800"]}'])
async def test_what_is_no_json_object_is_422(operator: Desk, body: bytes):
    answer = await operator.ask("POST", "/replays", body)
    assert answer.status == 422


async def test_a_replay_that_is_not_there_is_404(operator: Desk):
    for method, path in (("GET", ""), ("POST", "/cancel")):
        for wrong in (NO_REPLAY, NO_EVENT, "rpl_1", "5", NO_REPLAY.upper()):
            assert (await operator.ask(method, f"/replays/{wrong}{path}")).status == 404


async def test_a_replay_that_is_cancelled_stays_so(operator: Desk):
    begun = await begin(operator, **SLOW)
    cancelled = await operator.done("POST", f"/replays/{begun['id']}/cancel")
    assert (cancelled["state"], cancelled["rate"]) == ("cancelled", 0.01)
    assert cancelled["replayed"] < cancelled["total"]
    again = await operator.done("POST", f"/replays/{begun['id']}/cancel")
    assert again == cancelled == await operator.get(f"/replays/{begun['id']}")


async def test_one_too_many_is_409_until_another_is_over(operator: Desk):
    begun = [await begin(operator, **SLOW) for _ in range(RUNNING_MAX)]
    refused = await operator.ask("POST", "/replays", NOTHING)
    assert refused.status == 409
    assert f"{RUNNING_MAX} replays" in refused.json["detail"]
    assert "GET /api/v1/replays" in refused.json["detail"]
    assert (await begin(operator, **NOTHING, dry_run=True))["total"] == 0
    await operator.done("POST", f"/replays/{begun[0]['id']}/cancel")
    await begin(operator, **NOTHING)
    for each in begun:
        await operator.done("POST", f"/replays/{each['id']}/cancel")


async def test_replays_are_listed_newest_first_and_page_by_page(operator: Desk):
    begun = [(await begin(operator, **NOTHING, until=f"2026-01-0{day}T00:00:00Z"))["id"] for day in (1, 2, 3)]
    first = await operator.get("/replays", limit="2")
    assert [each["id"] for each in first["data"]] == begun[:0:-1]
    assert first["data"][0]["selection"] == {**NOTHING, "until": "2026-01-03T00:00:00.000Z"}
    then = await operator.get("/replays", limit="2", cursor=first["next_cursor"])
    assert then["data"][0]["id"] == begun[0]
    all_of_them = await operator.get("/replays", limit="500")
    assert all_of_them["next_cursor"] is None
    assert [each["id"] for each in all_of_them["data"]][:3] == begun[::-1]
    for query in ({"limit": "0"}, {"cursor": "x"}, {"colour": "red"}):
        assert (await operator.ask("GET", "/replays", **query)).status == 422


async def test_a_source_that_is_configured_may_be_silent(operator: Desk):
    for known in ("paypal", "webhookd"):
        assert (await begin(operator, source=known, dry_run=True))["total"] == 0
