"""Lists on the command line page by page, by what is at hand; the sources; and what is called off."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.dev_daemon import dev_daemon, stripe_event
from tests.running import PATIENCE_S
from tests.shell import Ended, Shell
from webhookd.core.identifier import delivery_id

pytestmark = pytest.mark.asyncio(loop_scope="module")
NO_DELIVERY = delivery_id(5, 5)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shell(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shell]:
    async with dev_daemon(tmp_path_factory.mktemp("dev")) as dev:
        yield Shell(dev, tmp_path_factory.mktemp("elsewhere"))


async def pending(shell: Shell, *names: str) -> list[str]:
    """The ids of deliveries that wait, for their endpoint is paused."""
    await shell.done("endpoints", "pause", "local")
    found = []
    for name in names:
        event = await shell.dev.get(f"/api/v1/events/{await shell.dev.send(stripe_event(name))}")
        found.append(event["deliveries"][0]["id"])
    return found


def cursor_of(listed: Ended) -> str:
    """What people are told to go on with."""
    assert listed.err.startswith("there is more: the same with ")
    return listed.err.split("--cursor ")[1].strip()


# --- Page by page


@pytest.mark.parametrize("verb", ["events", "deliveries"])
async def test_a_list_goes_on_with_the_cursor_that_it_told(shell: Shell, verb: str) -> None:
    kind = f"paged.{verb}"
    for number in range(3):
        await shell.dev.send(stripe_event(f"{kind}-{number}", kind))
    every = await shell.done(verb, "list", "--type", kind, "--json")
    first = await shell.done(verb, "list", "--type", kind, "--limit", "2")
    second = await shell.done(verb, "list", "--type", kind, "--limit", "2", "--cursor", cursor_of(first))
    ids = [each["id"] for each in every.json["data"]]
    assert [each in first.out for each in ids] == [True, True, False]
    assert [each in second.out for each in ids] == [False, False, True]
    assert second.err == ""


async def test_a_program_reads_the_cursor_from_the_document(shell: Shell) -> None:
    for number in range(2):
        await shell.dev.send(stripe_event(f"program-{number}", "program"))
    first = (await shell.done("events", "list", "--type", "program", "--limit", "1", "--json")).json
    again = ("--cursor", first["next_cursor"], "--json")
    second = (await shell.done("events", "list", "--type", "program", "--limit", "1", *again)).json
    assert {first["data"][0]["provider_event_id"], second["data"][0]["provider_event_id"]} == {
        "evt_program-0",
        "evt_program-1",
    }


async def test_an_age_is_told_as_the_time_that_it_meant(shell: Shell) -> None:
    for number in range(2):
        await shell.dev.send(stripe_event(f"aged-{number}", "aged"))
    narrowed = ("events", "list", "--type", "aged", "--limit", "1")
    first = await shell.done(*narrowed, "--since", "1h")
    since = first.err.split("--since ")[1].split()[0]
    second = await shell.done(*narrowed, "--since", since, "--cursor", cursor_of(first), "--json")
    assert second.json["data"][0]["provider_event_id"] == "evt_aged-0"


@pytest.mark.parametrize("narrowed", [("--type", "other"), ("--since", "1h"), ()])
async def test_a_cursor_of_other_filters_is_wrong_usage(shell: Shell, narrowed: tuple[str, ...]) -> None:
    for number in range(2):
        await shell.dev.send(stripe_event(f"filtered-{number}", "filtered"))
    first = await shell.done("events", "list", "--type", "filtered", "--limit", "1")
    found = await shell("events", "list", *narrowed, "--cursor", cursor_of(first))
    assert (found.code, "--cursor: is not one" in found.err) == (2, True)


# --- By what is at hand


async def test_events_and_deliveries_are_found_by_what_is_at_hand(shell: Shell) -> None:
    sent = await shell.dev.send(stripe_event("at-hand"))
    [delivery] = (await shell.dev.get(f"/api/v1/events/{sent}"))["deliveries"]
    for text in (sent, delivery["id"], "evt_at-hand", "pi_at-hand"):
        assert [each["id"] for each in (await shell.done("events", "list", "-q", text, "--json")).json["data"]] == [
            sent
        ]
        found = (await shell.done("deliveries", "list", "--q", text, "--json")).json
        assert [each["id"] for each in found["data"]] == [delivery["id"]]


# --- Sources


async def test_every_source_is_listed_with_its_path_and_what_became_of_its_hooks(shell: Shell) -> None:
    before = {each["name"]: each for each in (await shell.done("sources", "--json")).json["data"]}
    event = await shell.dev.get(f"/api/v1/events/{await shell.dev.send(stripe_event('sourced'))}")
    await shell.dev.send(stripe_event("sourced"))
    listed = {each["name"]: each for each in (await shell.done("sources", "--json")).json["data"]}
    assert listed.keys() == {"stripe", "paypal", "flutterwave", "paystack", "razorpay", "standard"} == before.keys()
    stripe = listed["stripe"]
    assert (stripe["provider"], stripe["path"]) == ("stripe", "/webhooks/stripe")
    assert stripe["last_event_at"] == event["received_at"]
    assert stripe["accepted"] == before["stripe"]["accepted"] + 1
    assert stripe["duplicates"] == before["stripe"]["duplicates"] + 1
    assert listed["paypal"]["last_event_at"] is None
    shown = await shell.done("sources")
    assert "/webhooks/stripe" in shown.out
    assert event["received_at"] in shown.out


# --- Called off


async def test_what_is_pending_is_cancelled_and_a_replay_makes_it_owed_again(shell: Shell) -> None:
    first, second = await pending(shell, "off-1", "off-2")
    found = await shell.done("deliveries", "cancel", first, second)
    assert found.out.count("cancelled after 0 attempts") == 2
    await shell.done("endpoints", "resume", "local")
    assert [(await shown(shell, each))["state"] for each in (first, second)] == ["cancelled", "cancelled"]
    await shell.done("replay", first, "--json")
    async with asyncio.timeout(PATIENCE_S):
        while (await shown(shell, first))["state"] != "delivered":
            pass
    assert (await shown(shell, second))["attempts"] == 0


async def test_what_cannot_be_cancelled_is_exit_1_and_the_others_are(shell: Shell) -> None:
    [waits] = await pending(shell, "one-of-them")
    found = await shell("deliveries", "cancel", NO_DELIVERY, waits, waits, "--json")
    assert (found.code, [each["state"] for each in found.json_lines]) == (1, ["cancelled"])
    assert f"{NO_DELIVERY} was not cancelled" in found.err
    assert "is cancelled already" in found.err
    await shell.done("endpoints", "resume", "local")


async def shown(shell: Shell, delivery: str) -> Any:
    return (await shell.done("deliveries", "show", delivery, "--json")).json
