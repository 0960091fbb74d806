"""The audit trail: whatever is changed over the API is on record, in the commit of the change, and no secret is."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.admin.desk import Desk, desk
from tests.receive.wire import ask as send
from tests.receive.wire import event, post, stripe
from tests.running import RunningDaemon, configuration, daemon
from webhookd import admin_door
from webhookd.admin.door.operation import Operation, Part
from webhookd.admin.door.retelling import CHARS_MAX, ELLIPSIS, plain, retold
from webhookd.config import load
from webhookd.daemon import Daemon

pytestmark = pytest.mark.asyncio(loop_scope="module")

CANARY = "c4n4ry"
SECRET = "whsec_" + "Q2FuYXJ5" * 4
ONLY_READ = {("POST", "/api/v1/reconcile/{source}")}
"""What changes nothing, and asks for more than a query holds."""
SHOP = {"name": "shop", "url": "http://127.0.0.1:9999/hooks"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningDaemon]:
    async with daemon(tmp_path_factory.mktemp("audit"), configuration()) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def operator(running: RunningDaemon) -> AsyncIterator[Desk]:
    async with desk(running) as found:
        yield found


async def trail(operator: Desk, **filters: str) -> list[dict[str, Any]]:
    """Oldest first."""
    found = await operator.get("/audit", limit="500", **filters)
    return [*reversed(found["data"])]


async def new_rows(operator: Desk, *asked: tuple[Any, ...]) -> list[tuple[str, str | None, Any]]:
    """Ask for these, one after the other; what is on record of it."""
    before = len(await trail(operator))
    for each in asked:
        await operator.ask(*each)
    return [(row["action"], row["subject"], row["detail"]) for row in (await trail(operator))[before:]]


def rows_on_disk(database: Path) -> list[tuple[str, str | None]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT action, subject FROM audit ORDER BY number").fetchall()


# --- Everything


async def operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Operation]:
    """All that a daemon serves on its admin listener."""
    found: list[Part] = []
    join = admin_door.admin_app

    def joined(doorkeeper: Any, hosts: Any, recorder: Any, *parts: Part, site: Any) -> Any:
        found.extend(parts)
        return join(doorkeeper, hosts, recorder, *parts, site=site)

    async def ready(started: Daemon) -> None:
        started._on_stop_signal()

    monkeypatch.setattr(admin_door, "admin_app", joined)
    for of_a_process in ("watch_signals", "raise_file_limit", "calm_collector"):
        monkeypatch.setattr(f"webhookd.daemon.{of_a_process}", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "webhookd.toml").write_text(configuration())
    await Daemon(load(tmp_path / "webhookd.toml"), lambda: load(None)).run(ready)
    return [operation for part in found for operation in part.operations()]


async def test_whatever_is_not_only_read_has_an_action_and_asks_for_more_than_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    every = await operations(tmp_path, monkeypatch)
    assert len(every) > 30
    changing = [each for each in every if each.method != "GET" and (each.method, each.path) not in ONLY_READ]
    assert len(changing) > 10
    for each in changing:
        assert each.action is not None, f"{each.method} {each.path} changes something, and nobody would know who did"
        assert each.scope not in ("nobody", "read"), f"{each.method} {each.path} is open to whoever may look"
    actions = [each.action for each in changing]
    assert len(set(actions)) == len(actions)


async def test_only_publishing_is_good_for_a_publisher_and_reading_needs_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    every = await operations(tmp_path, monkeypatch)
    assert [(each.method, each.path) for each in every if each.scope == "publish"] == [("POST", "/api/v1/events")]
    assert {each.path for each in every if each.scope == "nobody"} <= {"/metrics", "/api/v1/openapi.json"}
    assert {each.action for each in every if each.method == "GET"} == {None}


# --- What is on record


async def test_each_change_leaves_one_row_that_says_who_from_where_what_and_how(operator: Desk):
    made = await operator.done("POST", "/tokens", {"name": "alice", "scope": "admin", "expires_in": "1d"})
    rows = await new_rows(
        operator,
        ("POST", "/endpoints", SHOP),
        ("PATCH", "/endpoints/shop", {"max_in_flight": 3, "headers": {"X-Key": CANARY}}),
        ("POST", "/endpoints/shop/pause"),
        ("POST", "/endpoints/shop/resume"),
        ("POST", "/endpoints/shop/rotate-secret", {"overlap": "1h"}),
        ("POST", "/replays", {"endpoint": "shop", "state": "dead"}),
        ("DELETE", "/endpoints/shop"),
        ("DELETE", "/tokens/alice"),
    )
    assert rows == [
        ("endpoint.add", "shop", SHOP),
        ("endpoint.change", "shop", {"max_in_flight": 3, "headers": {"X-Key": ELLIPSIS}}),
        ("endpoint.pause", "shop", None),
        ("endpoint.resume", "shop", None),
        ("endpoint.rotate-secret", "shop", {"overlap": "1h"}),
        ("replay.begin", None, {"endpoint": "shop", "state": "dead"}),
        ("endpoint.remove", "shop", None),
        ("token.remove", "alice", None),
    ]
    [row] = await trail(operator, action="token.add", subject="alice")
    assert row["detail"] == {"name": "alice", "scope": "admin", "expires_in": "1d"}
    assert (row["actor"], row["address"]) == ("admin.token", "127.0.0.1")
    assert row["at"] <= made["created_at"]  # when it was asked for


async def test_the_actor_is_the_token_that_was_shown(running: RunningDaemon, operator: Desk):
    made = await operator.done("POST", "/tokens", {"name": "bob", "scope": "admin"})
    async with desk(running) as bob:
        bob.token = made["token"]
        await bob.done("POST", "/endpoints", {**SHOP, "name": "bobs"})
    assert [(row["action"], row["subject"]) for row in await trail(operator, actor="bob")] == [("endpoint.add", "bobs")]
    assert [row["subject"] for row in await trail(operator, action="endpoint.*", actor="bob")] == ["bobs"]
    assert await trail(operator, actor="nobody") == []


async def test_what_changes_nothing_in_the_store_is_on_record_when_it_is_done(operator: Desk):
    await operator.done("POST", "/endpoints", {**SHOP, "name": "pinged"})
    assert await new_rows(
        operator,
        ("POST", "/endpoints/pinged/ping"),
        ("POST", "/reload"),
        ("POST", "/backup", {"file": "copy.db"}),
        ("POST", "/ledger/rebuild"),
    ) == [
        ("endpoint.ping", "pinged", None),
        ("configuration.reload", None, None),
        ("backup.create", None, {"file": "copy.db"}),
        ("ledger.rebuild", None, None),
    ]


async def test_what_is_refused_leaves_nothing(operator: Desk):
    await operator.done("POST", "/endpoints", {**SHOP, "name": "there"})
    refused: list[tuple[Any, ...]] = [
        ("POST", "/endpoints", {**SHOP, "name": "there"}),
        ("POST", "/endpoints", {**SHOP, "name": "bad", "url": "ftp://x"}),
        ("PATCH", "/endpoints/there", {"colour": "red"}),
        ("POST", "/endpoints/nobody/pause"),
        ("POST", "/endpoints/nobody/ping"),
        ("DELETE", "/endpoints/nobody"),
        ("POST", "/tokens", {"name": "x"}),
        ("POST", "/tokens", b"{"),
        ("DELETE", "/tokens/nobody"),
        ("POST", "/replays", {"ids": ["evt_nothing"]}),
        ("POST", "/nothing", {}),
    ]
    for each in refused:
        assert (await operator.ask(*each)).status >= 400, each
    assert await new_rows(operator, *refused) == []


async def test_what_is_only_read_or_tried_leaves_nothing(operator: Desk):
    tried: list[tuple[Any, ...]] = [
        ("GET", "/status"),
        ("GET", "/endpoints"),
        ("GET", "/audit"),
        ("POST", "/replays", {"state": "dead", "dry_run": True}),
        ("POST", "/cleanup", {"days": 30, "dry_run": True}),
    ]
    for each in tried:
        assert (await operator.ask(*each)).status < 300, each
    assert await new_rows(operator, *tried) == []


async def test_who_is_not_let_in_leaves_nothing(running: RunningDaemon, operator: Desk):
    before = len(await trail(operator))
    made = await operator.done("POST", "/tokens", {"name": "reader", "scope": "read"})
    async with desk(running) as stranger:
        for token, status in ((made["token"], 403), ("whd_unknown", 401)):
            stranger.token = token
            assert (await stranger.ask("POST", "/tokens", {"name": "mine", "scope": "admin"})).status == status
    assert [row["action"] for row in (await trail(operator))[before:]] == ["token.add"]


async def test_an_event_that_is_published_is_on_record_in_the_log_itself(operator: Desk):
    assert await new_rows(operator, ("POST", "/events", {"type": "order.shipped", "data": {"id": 1}})) == []


async def test_no_secret_is_on_record(running: RunningDaemon, operator: Desk):
    added = await operator.ask(
        "POST",
        "/endpoints",
        {
            "name": "secretive",
            "url": f"http://127.0.0.1:9999/hooks?key={CANARY}",
            "secret": SECRET,
            "headers": {"Authorization": f"Bearer {CANARY}", "X-Api-Key": CANARY},
        },
    )
    assert added.status == 201, added.body
    await operator.done("POST", "/endpoints/secretive/rotate-secret", {"secret": f"{SECRET}Q2FuYXJ5"})
    made = await operator.done("POST", "/tokens", {"name": "canary", "scope": "read"})
    rows = await trail(operator, subject="secretive")
    assert rows[0]["detail"] == {
        "name": "secretive",
        "url": f"http://127.0.0.1:9999/hooks?{ELLIPSIS}",
        "secret": ELLIPSIS,
        "headers": {"Authorization": ELLIPSIS, "X-Api-Key": ELLIPSIS},
    }
    assert rows[1]["detail"] == {"secret": ELLIPSIS}
    kept = json.dumps(await trail(operator)) + json.dumps(running.log)
    assert CANARY not in kept
    assert "whsec_" not in kept
    assert made["token"] not in kept


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({}, None),
        ({"url": "https://user:pass@shop.example:8443/hooks?x=1#y"}, {"url": f"https://shop.example:8443/hooks?{ELLIPSIS}"}),
        ({"url": "https://token@shop.example"}, {"url": "https://shop.example"}),
        ({"old_secrets": ["x"], "client_key": "x", "api_token": "x", "Password": 1}, dict.fromkeys(
            ("old_secrets", "client_key", "api_token", "Password"), ELLIPSIS)),
        ({"secret_kind": "ed25519"}, {"secret_kind": "ed25519"}),
        ({"note": f"it is {SECRET}", "other": "whd_abc", "third": "Bearer abc"}, dict.fromkeys(
            ("note", "other", "third"), ELLIPSIS)),
        ({"ca": "-----BEGIN CERTIFICATE-----\nMII"}, {"ca": ELLIPSIS}),
        ({"x": "a" * 201, "y": "a" * 200}, {"x": ELLIPSIS, "y": "a" * 200}),
        ({"data": {"card": CANARY}, "more": {"card": CANARY}, "body": CANARY}, dict.fromkeys(
            ("data", "more", "body"), ELLIPSIS)),
        ({"headers": {"X": CANARY}, "nested": [{"x": CANARY}, [CANARY]]}, {
            "headers": {"X": ELLIPSIS}, "nested": [ELLIPSIS, ELLIPSIS]}),
        ({"ids": [str(number) for number in range(22)]}, {"ids": [*map(str, range(20)), f"{ELLIPSIS} 2 more"]}),
        ({"n": 5, "f": 1.5, "t": True, "none": None}, {"n": 5, "f": 1.5, "t": True, "none": None}),
        ({"es\x1bcape": "x", "text": "es\x1bcape"}, {"text": ELLIPSIS}),
    ],
)  # fmt: skip
async def test_only_short_plain_values_without_secrets_are_told(asked: dict[str, Any], told: dict[str, Any] | None):
    found = retold(asked)
    assert (None if found is None else json.loads(found)) == told


@pytest.mark.parametrize(
    "asked",
    [
        {f"field-{number}": "x" * 150 for number in range(40)},
        {f"{number}-{'y' * 190}": "x" for number in range(40)},
        {"ids": ["x" * 200] * 500},
        {"deep": [[["x" * 200] * 20] * 20] * 20},
        {"headers": {f"X-{number}-{'y' * 180}": "v" for number in range(100)}},
        {f"{number}": number for number in range(10_000)},
    ],
)
async def test_however_much_is_asked_for_little_is_told(asked: dict[str, Any]):
    found = retold(asked)
    assert found is not None
    assert len(found) <= CHARS_MAX
    json.loads(found)


# --- The same commit


async def test_a_change_that_was_answered_and_its_row_are_both_there_after_kill_9(tmp_path: Path):
    async with daemon(tmp_path) as running, desk(running) as operator:
        for number in range(3):
            name = f"shop-{number}"
            await operator.done("POST", "/endpoints", {**SHOP, "name": name})
            await operator.done("POST", f"/endpoints/{name}/pause")
            await running.kill()
            assert rows_on_disk(tmp_path / "data" / "webhookd.db")[-2:] == [
                ("endpoint.add", name),
                ("endpoint.pause", name),
            ]
            await running.start()
            assert (await operator.get(f"/endpoints/{name}"))["state"] == "paused"


async def test_at_whatever_moment_it_is_killed_a_change_is_there_with_its_row_or_neither_is(tmp_path: Path):
    """Requests are under way when it dies: which of them are kept does not matter, only that no row stands alone."""
    async with daemon(tmp_path) as running, desk(running) as operator:
        for name in ("a", "b"):
            await operator.done("POST", "/endpoints", {**SHOP, "name": name})
        for turn in range(5):
            asked = [
                asyncio.ensure_future(operator.ask("POST", "/tokens", {"name": f"t-{turn}-{number}", "scope": "read"}))
                for number in range(20)
            ]
            hook = event(f"evt_{turn}")
            asked.append(asyncio.ensure_future(send(running.port, post("stripe", hook, stripe(hook)))))
            await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            await running.kill()
            await asyncio.gather(*asked, return_exceptions=True)
            database = tmp_path / "data" / "webhookd.db"
            with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
                tokens = {name for (name,) in connection.execute("SELECT name FROM token")}
            on_record = [subject for action, subject in rows_on_disk(database) if action == "token.add"]
            assert len(on_record) == len(set(on_record))
            assert tokens == set(on_record)
            await running.start()


# --- Asked for


async def test_the_trail_is_listed_in_pages_with_every_row_once(operator: Desk):
    everything = [*reversed(await trail(operator))]
    met: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = await operator.get("/audit", limit="3", **cursor)
        met += page["data"]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert met == everything
    assert len(met) > 10


async def test_the_trail_is_narrowed_by_time(operator: Desk):
    everything = await trail(operator)
    at = everything[len(everything) // 2]["at"]
    assert await trail(operator, until=at) == [row for row in everything if row["at"] < at]
    assert await trail(operator, since=at) == [row for row in everything if row["at"] >= at]


async def test_a_filter_that_is_none_is_refused_by_its_name(operator: Desk):
    assert (await operator.ask("GET", "/audit", since="yesterday")).wrong.keys() == {"since"}
    assert (await operator.ask("GET", "/audit", colour="red")).wrong.keys() == {"colour"}


@pytest.mark.fault(53)
async def test_a_card_number_is_not_told():
    found = retold({"type": "4242424242424242", "ids": ["evt_1", "4242 4242 4242 4242"], "rate": 5})
    assert found is not None
    assert json.loads(found) == {"type": ELLIPSIS, "ids": ["evt_1", ELLIPSIS], "rate": 5}
    assert plain("4242424242424242") == ELLIPSIS
