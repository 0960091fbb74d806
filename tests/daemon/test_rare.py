"""What is rare in a long log, asked of the API, on the command line and in the dashboard: found, a look at a time."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest
import pytest_asyncio

from tests.admin.desk import Desk, desk
from tests.dashboard.plain import plain
from tests.dev_daemon import DevDaemon, dev_daemon
from tests.shell import Shell
from tests.store.heap import AT, MANY, make_heap
from webhookd.core.identifier import delivery_id, event_id
from webhookd.core.units import time_text
from webhookd.store.sql.looks import LOOKS

pytestmark = pytest.mark.asyncio(loop_scope="module")
RARE = [event_id(AT[place], place) for place in (3, 2, 1, 0)]
LISTS: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "events": ("/events", {"type": "rare"}, RARE),
    "newer-events": ("/events", {"type": "last", "after": RARE[-1]}, [event_id(AT[-1], MANY - 1)]),
    "deliveries": ("/deliveries", {"type": "rare", "source": "other"}, RARE),
    "dead": ("/deliveries", {"state": "dead", "type": "rare"}, RARE[3:]),
    "payments": ("/payments", {"status": "refunded"}, ["pay_0"]),
    "refunds": ("/refunds", {"status": "failed"}, ["re_0"]),
}
"""A list, how it is narrowed, and the ids that it has so: of the event, of a delivery."""
PAGES = {
    "events": ("/events", "type=rare", RARE[0]),
    "deliveries": ("/deliveries", "source=other", RARE[0]),
    "dead": ("/dead", "endpoint=shop&type=rare", RARE[3]),
    "payments": ("/payments", "status=refunded", "pay_0"),
    "refunds": ("/ledger/refunds", "status=failed", "re_0"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevDaemon]:
    directory = tmp_path_factory.mktemp("rare")
    (directory / "data").mkdir(mode=0o700)
    await asyncio.to_thread(make_heap, directory / "data" / "webhookd.db")
    async with dev_daemon(directory) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def operator(dev: DevDaemon) -> AsyncIterator[Desk]:
    async with desk(dev.running) as found:
        yield found


@pytest.mark.parametrize("name", LISTS)
async def test_a_page_may_be_empty_and_only_null_is_the_end(operator: Desk, name: str):
    path, narrowed, ids = LISTS[name]
    first = page = await operator.get(path, **narrowed)
    assert (first["data"], first["next_cursor"] is None) == ([], False)
    found: list[Any] = []
    looked_to = []
    while True:
        found += page["data"]
        if page["next_cursor"] is None:
            break
        assert page["looked_to"] not in looked_to, "each page goes further"
        looked_to.append(page["looked_to"])
        page = await operator.get(path, **narrowed, cursor=page["next_cursor"])
    assert "looked_to" not in page, "that was all"
    assert [each.get("event_id", each["id"]) for each in found] == ids
    assert looked_to == sorted(looked_to, reverse=name != "newer-events")


async def test_a_page_says_how_far_was_looked_only_where_that_is_not_its_last_row(operator: Desk):
    page = await operator.get("/events", type="rare")
    assert page["looked_to"] == time_text(AT[MANY - LOOKS] >> 21)
    assert "looked_to" not in await operator.get("/events", type="usual")
    assert "looked_to" not in await operator.get("/events", q=RARE[0])


@pytest.mark.parametrize("limit", [2, 500])
async def test_the_command_line_asks_on_until_it_has_what_was_asked_for_or_the_end(
    dev: DevDaemon, tmp_path_factory: pytest.TempPathFactory, limit: int
):
    shell = Shell(dev, tmp_path_factory.mktemp("elsewhere"))
    found = (await shell.done("events", "list", "--type", "rare", "--limit", str(limit), "--json")).json
    assert [each["id"] for each in found["data"]] == RARE[:limit]
    assert (found["next_cursor"] is None) == (limit > len(RARE))
    tail = await shell.done("events", "tail", "--type", "rare", "--limit", str(limit), "--json")
    assert [each["id"] for each in tail.json_lines] == RARE[:limit][::-1]
    owed = await shell.done("deliveries", "list", "--endpoint", "audit", "--limit", str(limit), "--json")
    assert [each["id"] for each in owed.json["data"]] == [delivery_id(AT[3], 2)]
    for verb in (("payments", "list", "--status", "refunded"), ("ledger", "list", "refunds", "--status", "failed")):
        [one] = (await shell.done(*verb, "--limit", str(limit), "--json")).json["data"]
        assert one["id"] in ("pay_0", "re_0")


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_of_the_dashboard_says_how_far_it_has_looked_and_leads_further(dev: DevDaemon, name: str):
    path, query, wanted = PAGES[name]
    async with plain(dev.running) as visitor:
        seen = await visitor.get(f"{path}?{query}")
        assert seen.status == 200
        assert "None found so far." in seen.words
        assert re.search(r"looked back to .* · look further »", seen.words)
        while wanted not in seen.text:
            further = re.search(r'<a rel="next" href="([^"]*)">look further »</a>', seen.text)
            assert further is not None
            seen = await visitor.get(unescape(further[1]))
        assert "None found so far." not in seen.words
