"""`webhookd replay`, as an operator types it, against one daemon in dev mode."""

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.cli.test_payments import at_a_terminal
from tests.dev_daemon import dev_daemon, stripe_event
from tests.shell import Shell
from webhookd.core.identifier import delivery_id, event_id, replay_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

NO_EVENT, NO_DELIVERY, NO_REPLAY = event_id(5, 5), delivery_id(5, 5), replay_id(2**40)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shell(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shell]:
    async with dev_daemon(tmp_path_factory.mktemp("dev")) as dev:
        for number in range(3):
            await dev.delivered(await dev.send(stripe_event(number)))
        yield Shell(dev, tmp_path_factory.mktemp("elsewhere"))


async def test_what_is_named_is_delivered_again(shell: Shell):
    sent = [await shell.dev.send(stripe_event(f"again-{number}")) for number in range(2)]
    first = (await shell.dev.delivered(sent[0]))["id"]
    await shell.dev.delivered(sent[1])
    assert (await shell.done("replay", first)).out == "1 delivery made due\n"
    found = await shell.done("replay", *sent, "--json")
    assert (found.json["state"], found.json["replayed"], found.json["selection"]) == ("done", 2, {"ids": sent})
    assert found.err == f"replaying {found.json['id']}\n"
    again = await shell.dev.delivered(sent[1])
    assert [each["replay"] for each in again["history"]] == [False, True]


async def test_it_can_be_run_from_a_shell(shell: Shell):
    found = await shell.process("replay", "--type", "no.such.type")
    assert (found.code, found.out) == (0, "0 deliveries made due\n")


async def test_a_dry_run_says_how_many_there_would_be(shell: Shell):
    before = (await shell.dev.get("/api/v1/deliveries", limit=500))["data"]
    found = await shell.done("replay", "--source", "stripe", "--since", "1h", "--dry-run")
    assert found.out == f"{len(before)} deliveries would be made due\n"
    assert (await shell.dev.get("/api/v1/deliveries", limit=500))["data"] == before
    counted = (await shell.done("replay", "--since", "2020-01-01", "--until", "2020-01-02", "--dry-run", "--json")).json
    assert (counted["total"], counted["dry_run"], counted["id"]) == (0, True, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say what to replay"),
        (("--rate", "5"), "say what to replay"),
        (("--dry-run",), "say what to replay"),
        ((NO_EVENT,), f"{NO_EVENT}: is no event of the log"),
        ((NO_DELIVERY,), f"{NO_DELIVERY}: is no delivery of the log"),
        (("evt_\x1b[31m",), "evt_\\x1b[31m: is neither an event's id"),
        ((NO_EVENT, "--state", "dead"), "--state: cannot be given with ids"),
        (("--endpoint", "nobody"), '--endpoint: there is no endpoint "nobody"'),
        (("--state", "lost"), "--state: must be one of"),
        (("--state", "dead", "--error", "bad luck"), "--error: must be one of status, redirect"),
        (("--state", "dead", "--status", "5"), "--status: must be a whole number"),
        (("--state", "pending", "--status", "500"), "--status: is why a delivery was given up"),
        (("--since", "yesterday"), "--since"),
        (("--until", "2026-01-31Tnoon"), "--until: must be an RFC 3339 time"),
        (("--state", "dead", "--rate", "0"), "--rate"),
        (("--state", "dead", "--rate", "fast"), "a second, like 5"),
        (("--state", "dead", "--rate", "nan"), "a second, like 5"),
        (("--state", "dead", "--rate", "5/m"), "a second, like 5"),
        (("--state", "dead", "--colour", "red"), "--colour"),
        (("--watch", NO_REPLAY, "--cancel", NO_REPLAY), "stand alone"),
        (("--watch", NO_REPLAY, "--state", "dead"), "stand alone"),
        (("--cancel", NO_REPLAY, NO_EVENT), "stand alone"),
        (("--list", "--watch", NO_REPLAY), "stand alone"),
    ],
)
async def test_wrong_usage_is_exit_2_and_says_what_is_wrong(shell: Shell, arguments: tuple[str, ...], said: str):
    found = await shell("replay", *arguments)
    assert (found.code, found.out) == (2, "")
    assert said in found.err


@pytest.mark.parametrize("option", ["--watch", "--cancel"])
@pytest.mark.parametrize("wrong", [NO_REPLAY, "rpl_1", "../status"])
async def test_a_replay_that_is_not_there_is_exit_1(shell: Shell, option: str, wrong: str):
    found = await shell("replay", option, wrong)
    assert (found.code, found.out) == (1, "")


async def slow(shell: Shell) -> str:
    """A replay that is under way while a test looks at it."""
    selection: dict[str, Any] = {"state": "delivered", "rate": 0.01}
    url, headers = f"{shell.dev.running.admin}/api/v1/replays", {"Authorization": f"Bearer {shell.dev.running.token}"}
    async with shell.dev.session.post(url, json=selection, headers=headers) as response:
        return str((await response.json())["id"])


async def test_a_replay_can_be_watched_and_cancelled_by_others(shell: Shell):
    begun = await slow(shell)
    watching = asyncio.create_task(shell.process("replay", "--watch", begun))
    cancelled = await shell.done("replay", "--cancel", begun)
    assert cancelled.out in ("0 deliveries made due, then cancelled\n", "1 delivery made due, then cancelled\n")
    assert (await watching).out == cancelled.out
    assert (await shell.done("replay", "--cancel", begun)).out == f"it was over already: {cancelled.out}"
    assert (await shell.done("replay", "--watch", begun, "--json")).json["state"] == "cancelled"


async def test_an_id_that_was_lost_is_found_again(shell: Shell):
    begun = await slow(shell)
    listed = (await shell.done("replay", "--list")).out
    assert re.search(rf"^ *{begun} +running +[01] +\d+ +0\.01 +\S+Z +state delivered *$", listed, re.MULTILINE)
    assert (await shell.done("replay", "--list", "--json")).json["data"][0]["id"] == begun
    await shell.done("replay", "--cancel", begun)


async def test_a_dry_run_says_why_what_went_nowhere_stays_there(tmp_path: Path):
    wants_little = '[endpoints.local]\nurl = "http://127.0.0.1:10999/"\nevents = ["no.such.type"]\n'
    counting = ("replay", "--state", "unrouted", "--dry-run")
    async with dev_daemon(tmp_path, wants_little) as dev:
        shell, none = Shell(dev, tmp_path), "0 deliveries would be made due"
        assert (await shell.done(*counting)).out == f"{none}\n"
        await dev.send(stripe_event(1))
        assert (await shell.done(*counting)).out == f"{none} (1 event is unrouted; no endpoint asks for it)\n"
        await dev.send(stripe_event(2))
        reason = "(2 events are unrouted; local does not ask for them)"
        assert (await shell.done(*counting, "--endpoint", "local")).out == f"{none} {reason}\n"
        assert (await shell.done(*counting, "--type", "other.*")).out == f"{none}\n"


async def test_what_is_over_has_no_bar(shell: Shell):
    async with at_a_terminal(shell, "replay", "--state", "delivered", "--dry-run") as (process, terminal):
        assert await terminal.all_said() == b""
        assert await process.wait() == 0


async def test_ctrl_c_leaves_the_replay_going_on_and_says_how_to_look(shell: Shell):
    async with at_a_terminal(shell, "replay", "--state", "delivered", "--rate", "0.01/s") as (process, terminal):
        await terminal.says("replaying rpl_")
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        said = (await process.stdout.read()).decode()
        assert await process.wait() == 0
    [begun] = re.findall(r"made due, and it goes on: see webhookd replay --watch (rpl_[0-9a-f]{16})\n", said)
    assert (await shell.dev.get(f"/api/v1/replays/{begun}"))["state"] == "running"
    await shell.done("replay", "--cancel", begun)
