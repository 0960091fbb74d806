"""`webhookd why` as people run it: against a real daemon, with endpoints that fail in their ways."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.daemon.merchant import Merchant, merchant
from tests.dev_daemon import dev_daemon, stripe_event
from tests.running import endpoint
from tests.shell import Shell
from webhookd.cli.why import drawn
from webhookd.core.story import Attempted

pytestmark = pytest.mark.asyncio(loop_scope="module")
COLUMNS = 80


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def parties(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Shell, Merchant]]:
    async with merchant() as shop:
        directory = tmp_path_factory.mktemp("why")
        endpoints = endpoint("shop", shop.port, schedule=["0s", "1ms", "1ms"], events=["charge.*"])
        config = f'[delivery]\nallow_networks = ["127.0.0.0/8"]\n{endpoints}'
        async with dev_daemon(directory, config) as dev:
            yield Shell(dev, tmp_path_factory.mktemp("elsewhere")), shop


async def settled(shell: Shell, event_id: str) -> Any:
    """The story once nothing in it waits: asked for again and again, for nothing announces it."""
    while True:
        story = (await shell.done("why", event_id, "--json")).json["story"]
        if not any(each["kind"] == "waits" for each in story["entries"]):
            return story


async def test_a_dead_delivery_fits_a_screen_and_its_advice_makes_it_delivered(
    parties: tuple[Shell, Merchant], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    shell, shop = parties
    shop.answer = lambda _got: 503
    sent = await shell.dev.send(stripe_event("dead", "charge.failed"))
    await settled(shell, sent)
    shown = await shell.process("why", sent)
    assert (shown.code, shown.err) == (0, "")
    lines = shown.out.splitlines()
    assert max(map(len, lines)) <= COLUMNS
    assert len(lines) < 24
    assert lines[0] == "charge.failed: dead for shop; delivered to local"
    assert "3 to shop: answered 503" in shown.out
    assert "→ shop was given up on: answered 503. Put that right, then send it again:" in lines
    shop.answer = lambda _got: 200
    await shell.done(*lines[-1].split()[1:])
    story = await settled(shell, sent)
    assert story["summary"] == "delivered to local, shop"
    assert "replayed" in [each["kind"] for each in story["entries"]]


async def test_what_it_prints_as_json_is_what_the_api_answers(parties: tuple[Shell, Merchant]):
    shell, _ = parties
    sent = await shell.dev.send(stripe_event("json", "customer.created"))
    await settled(shell, sent)
    assert (await shell.done("why", sent, "--json")).json == await shell.dev.get(f"/api/v1/why/{sent}")


async def test_a_name_that_several_have_lists_them_and_ends_with_1(parties: tuple[Shell, Merchant]):
    shell, _ = parties
    subject = {"id": "pi_twice", "object": "payment_intent", "amount": 5, "currency": "usd", "status": "succeeded"}
    for number in (1, 2):
        event = {"id": f"evt_twice_{number}", "type": "payment_intent.succeeded", "created": 1_700_000_000}
        await shell.dev.send({**event, "object": "event", "data": {"object": subject}})
    found = await shell("why", "pi_twice")
    assert found.code == 1
    assert "2 events have this name" in found.err
    assert found.out.count("payment_intent.succeeded") == 2
    assert (await shell.done("why", "evt_twice_1")).out.startswith("payment_intent.succeeded: delivered to local")


@pytest.mark.parametrize("name", ["evt_nobody", "a/b", "%2F", "x" * 300])
async def test_a_name_that_nothing_has_ends_with_1_and_says_so(parties: tuple[Shell, Merchant], name: str):
    found = await parties[0]("why", name)
    assert (found.code, found.out) == (1, "")
    assert "nothing with this name or id" in found.err
    assert "`webhookd sources` counts those" in found.err


async def test_what_a_stranger_wrote_does_not_reach_the_terminal(parties: tuple[Shell, Merchant]):
    shell, _ = parties
    sent = await shell.dev.send(stripe_event("[red]", "[bold]x\u202e"))
    shown = await shell("why", sent)
    assert "\u202e" not in shown.out
    assert "[bold]" in shown.out or "quarantined" in shown.out


def tries(count: int) -> list[Attempted]:
    given = {"at": "2026-11-21T12:00:00.000Z", "endpoint": "shop", "delivery_id": "dlv_1", "duration_ms": 5}
    last = {"status": 200, "error": None, "replay": False, "state": "delivered"}
    failed = {"status": None, "error": "timeout", "replay": False, "state": "pending"}
    numbers = range(1, count + 1)
    return [Attempted(**given, number=each, **(last if each == count else failed)) for each in numbers]  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "shown"), [(1, 1), (6, 6), (7, 6), (200, 6)])
async def test_of_many_attempts_the_middle_ones_are_one_line(count: int, shown: int):
    lines = [text for _, _, text, _ in drawn(tries(count))]
    assert len(lines) == shown
    assert lines[-1].startswith(f"{count} to shop: answered 200")
    if count > shown:
        assert lines[2] == f"3 to {count - 3} to shop: {count - 5} × no answer in time"
