"""Lists in pages, by what is at hand: cursors that nobody can make up, and what a text names."""

import base64
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.admin.desk import Desk, desk
from tests.dev_daemon import DevDaemon, dev_daemon, stripe_event
from tests.running import configuration, daemon
from webhookd.core.identifier import parse_event_id

pytestmark = pytest.mark.asyncio(loop_scope="module")
COUNT = 5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevDaemon]:
    async with dev_daemon(tmp_path_factory.mktemp("pages")) as found:
        for number in range(COUNT):
            await found.send(stripe_event(number, "paged"))
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def operator(dev: DevDaemon) -> AsyncIterator[Desk]:
    async with desk(dev.running) as found:
        yield found


async def cursor(operator: Desk, path: str = "/events", **query: str) -> str:
    return str((await operator.get(path, limit="2", **query))["next_cursor"])


def refused(answer: Any) -> bool:
    return bool(answer.wrong == {"cursor": "is not one that this list has given for these filters"})


# --- Cursors


@pytest.mark.parametrize("at", range(0, 32, 3))
async def test_a_cursor_with_any_part_changed_is_refused(operator: Desk, at: int):
    given = await cursor(operator)
    other = given[:at] + ("A" if given[at] != "A" else "B") + given[at + 1 :]
    assert refused(await operator.ask("GET", "/events", cursor=other))


@pytest.mark.parametrize(
    "change", [lambda text: text[:-1], lambda text: text + "A", lambda text: text + "=", lambda _: "A"]
)
async def test_a_cursor_that_is_shorter_or_longer_is_refused(operator: Desk, change: Any):
    assert refused(await operator.ask("GET", "/events", cursor=change(await cursor(operator))))


async def test_a_cursor_made_by_hand_is_refused(operator: Desk):
    for numbers in ([2**62], [1, 1]):
        for mac in (b"", b"\x00" * 16):
            raw = struct.pack(f">{len(numbers)}Q", *numbers) + mac
            text = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
            assert refused(await operator.ask("GET", "/events", cursor=text))
            assert refused(await operator.ask("GET", "/deliveries", cursor=text))


@pytest.mark.parametrize(
    "other",
    [{"type": "other"}, {"source": "stripe"}, {"until": "2100-01-01T00:00:00Z"}, {"type": "paged", "q": "x"}, {}],
)
async def test_a_cursor_is_for_the_filters_that_it_was_given_with(operator: Desk, other: dict[str, str]):
    given = await cursor(operator, type="paged")
    assert refused(await operator.ask("GET", "/events", cursor=given, **other))
    assert len(await operator.get("/events", cursor=given, type="paged")) == 2


async def test_a_cursor_is_for_its_list(operator: Desk):
    paths = ("/events", "/deliveries", "/payments", "/refunds", "/endpoints", "/replays", "/audit")
    given = {path: await cursor(operator, path) for path in ("/events", "/deliveries", "/payments")}
    for path, text in given.items():
        for other in paths:
            if other != path:
                assert refused(await operator.ask("GET", other, cursor=text))


async def test_the_next_page_may_be_of_another_length(operator: Desk):
    given = await cursor(operator, type="paged")
    rest = await operator.get("/events", cursor=given, type="paged", limit="500")
    assert (len(rest["data"]), rest["next_cursor"]) == (COUNT - 2, None)


async def test_a_cursor_is_good_over_a_restart_and_no_good_to_another_daemon(tmp_path: Path, operator: Desk):
    async with daemon(tmp_path, configuration()) as running, desk(running) as here:
        for number in range(3):
            body = {"state": "dead", "until": f"2020-01-0{number + 1}T00:00:00Z"}
            assert (await here.ask("POST", "/replays", body)).status == 202
        first = await here.get("/replays", limit="2")
        await running.stop()
        await running.start()
        second = await here.get("/replays", limit="2", cursor=first["next_cursor"])
        assert len(second["data"]) == 1
        assert refused(await operator.ask("GET", "/replays", limit="2", cursor=first["next_cursor"]))


# --- By what is at hand


async def found(operator: Desk, text: str, **query: str) -> set[str]:
    events = {each["id"] for each in (await operator.get("/events", q=text, **query))["data"]}
    owed = {each["event_id"] for each in (await operator.get("/deliveries", q=text, **query))["data"]}
    assert owed == events, "each is owed to the one endpoint"
    return events


def checkout(name: str, payment: str, reference: str) -> dict[str, Any]:
    session = {"id": f"cs_{name}", "object": "checkout.session", "payment_intent": payment, "payment_status": "paid"}
    made = {"id": f"evt_cs_{name}", "type": "checkout.session.completed", "created": 1_700_000_000}
    return {**made, "data": {"object": {**session, "status": "complete", "client_reference_id": reference}}}


async def test_an_event_is_found_by_whatever_names_it(dev: DevDaemon, operator: Desk):
    sent = await dev.send(stripe_event("named"))
    session = await dev.send(checkout("named", "pi_named", "order 7"))
    [delivery] = (await operator.get(f"/events/{sent}"))["deliveries"]
    for text in (sent, delivery["id"], "evt_named"):
        assert await found(operator, text) == {sent}
    assert await found(operator, "cs_named") == {session, sent}, "a name of the payment is a name of its events"
    assert await found(operator, "pi_named") == {sent, session}
    assert await found(operator, "order 7") == {sent, session}


@pytest.mark.parametrize(
    "text", ["evt_", "paged", "%", "*", "pi_", "EVT_1", "' OR 1=1 --", "é", "{", "evt_" + "0" * 32]
)
async def test_what_names_nothing_finds_nothing(operator: Desk, text: str):
    assert await found(operator, text) == set()


async def test_what_is_found_can_be_narrowed_and_paged(dev: DevDaemon, operator: Desk):
    sent = [await dev.send(checkout(f"many-{number}", "pi_many", "order 8")) for number in range(3)]
    assert await found(operator, "pi_many", source="stripe", type="checkout.*") == set(sent)
    assert await found(operator, "pi_many", type="charge.*") == set()
    assert await found(operator, "pi_many", until="2000-01-01T00:00:00Z") == set()
    for path, field in (("/events", "id"), ("/deliveries", "event_id")):
        first = await operator.get(path, q="pi_many", limit="2")
        second = await operator.get(path, q="pi_many", limit="2", cursor=first["next_cursor"])
        assert [each[field] for each in first["data"] + second["data"]] == sent[::-1]
    after = await operator.get("/events", q="pi_many", after=sent[0])
    assert [each["id"] for each in after["data"]] == sent[1:]
    assert [each["id"] for each in (await operator.get("/events", q="pi_many", state="unrouted"))["data"]] == []
    dead = await operator.get("/deliveries", q="pi_many", state="dead")
    assert dead["data"] == []


async def test_an_id_of_ours_is_whole_or_it_is_none(dev: DevDaemon, operator: Desk):
    sent = await dev.send(stripe_event("whole"))
    key, salt = parse_event_id(sent)
    assert (key >= 0, salt >= 0) == (True, True)
    assert await found(operator, sent[:-1] + ("0" if sent[-1] != "0" else "1")) == set()


async def test_nothing_is_looked_for_in_bodies(dev: DevDaemon, operator: Desk):
    await dev.send(stripe_event("hidden", note="a word that stands in the body"))
    assert await found(operator, "a word that stands in the body") == set()
