"""What was given up is counted and found by the reason, however much else is dead, and replayed by it exactly."""

import re
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest

from tests.making import NOW_MS, spec
from tests.store.raw import blob, write
from tests.store.replaying import LATER_MS, Past
from tests.store.site import Store
from tests.store.statements import of
from webhookd.core.delivery import DeliveryKey, Outcome, Settlement
from webhookd.core.event import Event
from webhookd.core.identifier import key_floor
from webhookd.store.protocol.dead_letters import Reason
from webhookd.store.protocol.history import Filter
from webhookd.store.protocol.replays import Found, Selection
from webhookd.store.sql.dead import narrowing
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.statements import schema

DEAD = of("dead")
MANY = 120_000
REASONS: list[tuple[str, int | None]] = [("status", 500), ("status", 404), ("status", 500), ("timeout", None)]


@pytest.fixture
def past(store: Store) -> Past:
    return Past(store)


async def die(past: Past, made: Event, endpoint: int, error: str | None, status: int | None, number: int = 1) -> None:
    outcome = Outcome(NOW_MS, 5, status, error)
    key = DeliveryKey(made.key, endpoint)
    await past.store.settle(Settlement(key, number, outcome, number > 1, "dead", None, 2))


async def history(past: Past) -> tuple[int, int, list[Event]]:
    """Two endpoints, to which eight events died for REASONS in turn, to the second one for "tls"."""
    shop, audit = await past.adopt(spec("shop"), spec("audit"))
    made = [await past.append(type=("a", "b")[place % 2]) for place in range(8)]
    for place, each in enumerate(made):
        await die(past, each, shop, *REASONS[place % 4])
        await die(past, each, audit, "tls", None)
    return shop, audit, made


# --- Counted


async def test_each_reason_is_counted_with_its_oldest_and_newest_event_the_most_frequent_first(past: Past):
    _shop, _audit, made = await history(past)
    await past.settle(((await past.append()).key, 1), "delivered")
    [shop, audit] = await past.store.dead_letters.by_reason(0, 10)
    assert (shop.name, shop.in_service, audit.name) == ("shop", True, "audit")
    assert shop.reasons[0] == Reason("status", 500, 4, True, made[0].key, made[6].key)
    assert sorted(shop.reasons[1:], key=lambda each: each.oldest) == [
        Reason("status", 404, 2, True, made[1].key, made[5].key),
        Reason("timeout", None, 2, True, made[3].key, made[7].key),
    ]
    assert audit.reasons == [Reason("tls", None, 8, True, made[0].key, made[7].key)]


async def test_endpoints_come_page_by_page_and_by_name_and_those_without_any_do_not_come(past: Past):
    numbers = await past.adopt(*(spec(name) for name in ("one", "well", "three", "four")))
    made = await past.append()
    for number in (numbers[0], numbers[2], numbers[3]):
        await die(past, made, number, "status", 500)
    dead = past.store.dead_letters
    assert [each.name for each in await dead.by_reason(0, 2)] == ["one", "three"]
    assert [each.name for each in await dead.by_reason(numbers[2], 2)] == ["four"]
    assert [each.name for each in await dead.by_reason(0, 2, "three")] == ["three"]
    assert await dead.by_reason(0, 2, "well") == await dead.by_reason(0, 2, "never") == []


async def test_an_endpoint_that_was_removed_keeps_its_dead_and_is_told_from_others(past: Past):
    await history(past)
    await past.adopt(spec("shop"))
    assert [(each.name, each.in_service) for each in await past.store.dead_letters.by_reason(0, 10)] == [
        ("shop", True),
        ("audit", False),
    ]


async def test_beyond_what_is_counted_there_are_more(past: Past, monkeypatch: pytest.MonkeyPatch):
    await history(past)
    monkeypatch.setattr("webhookd.store.sql.dead.COUNTED_MAX", 3)
    monkeypatch.setattr("webhookd.store.sql.dead.COUNTED_MIN", 2)
    [shop, audit] = await past.store.dead_letters.by_reason(0, 10)
    found = [(each.error, each.status, each.deliveries, each.is_exact) for each in (*shop.reasons, *audit.reasons)]
    assert sorted(found, key=str) == [
        ("status", 404, 2, True),
        ("status", 500, 2, False),
        ("timeout", None, 2, True),
        ("tls", None, 2, False),
    ]


async def test_what_has_no_word_for_its_reason_is_counted_too(past: Past):
    [shop] = await past.adopt(spec("shop"))
    for error, status in ((None, None), (None, 200), ("x", None)):
        await die(past, await past.append(), shop, error, status)
    [found] = await past.store.dead_letters.by_reason(0, 10)
    assert {(each.error, each.status, each.deliveries) for each in found.reasons} == {
        (None, None, 1),
        (None, 200, 1),
        ("x", None, 1),
    }


# --- Found


@pytest.mark.parametrize(
    ("narrowed", "expected"),
    [
        (Filter(state="dead", endpoint="shop", error="status", status=500), "shop 6420"),
        (Filter(state="dead", endpoint="shop", error="status"), "shop 654210"),
        (Filter(state="dead", error="timeout"), "shop 73"),
        (Filter(state="dead", status=404), "shop 51"),
        (Filter(state="dead", endpoint="audit"), "audit 76543210"),
        (Filter(state="dead", endpoint="audit", status=404), ""),
        (Filter(state="dead", error="status", type="b"), "shop 51"),
        (Filter(state="dead", error="status", source="paypal"), ""),
        (Filter(state="dead", error="dns"), ""),
    ],
)
async def test_deliveries_are_listed_by_reason_newest_first_also_page_by_page(
    past: Past, narrowed: Filter, expected: str
):
    _shop, _audit, made = await history(past)
    place = {each.key: number for number, each in enumerate(made)}
    name, _, places = expected.partition(" ")
    for limit in (1, 3, 100):
        found: list[str] = []
        before = None
        while rows := (await past.store.dead_letters.deliveries(_before(narrowed, before), limit)).rows:
            assert len(rows) <= limit
            found += [f"{row.endpoint_name} {place[row.event]}" for row in rows]
            before = (rows[-1].event, rows[-1].endpoint)
        assert found == [f"{name} {each}" for each in places]


def _before(narrowed: Filter, before: tuple[int, int] | None) -> Filter:
    given = {name: getattr(narrowed, name) for name in ("state", "endpoint", "error", "status", "type", "source")}
    return Filter(**given, before=before)


async def test_what_two_endpoints_are_owed_of_one_event_is_not_lost_between_two_pages(past: Past):
    await history(past)
    dead, found, before = past.store.dead_letters, 0, None
    while rows := (await dead.deliveries(Filter(state="dead", before=before), 3)).rows:
        found += len(rows)
        before = (rows[-1].event, rows[-1].endpoint)
    assert found == 16


# --- Replayed


@pytest.mark.parametrize("looks", [1, 2, 100])
@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(state="dead", endpoint="shop", error="status", status=500), {0, 2, 4, 6}),
        (Selection(state="dead", error="status"), {0, 1, 2, 4, 5, 6}),
        (Selection(state="dead", status=404), {1, 5}),
        (Selection(state="dead", error="timeout", type="b"), {3, 7}),
        (Selection(state="dead", error="timeout", type="a"), set()),
        (Selection(state="dead", endpoint="audit", error="status"), set()),
    ],
    ids=["one", "all-answers", "any-word", "of-a-type", "of-none", "of-another"],
)
async def test_a_reason_is_replayed_exactly(
    past: Past, selection: Selection, expected: set[int], limit: int, looks: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("webhookd.store.sql.selection.LOOKS", looks)
    shop, _audit, made = await history(past)
    assert await past.store.replays.count(selection) == Found(
        len(expected), True, {"shop": len(expected)} if expected else {}
    )
    await past.replay(selection, limit)
    assert await past.due_again() == {(made[place].key, shop) for place in expected}


async def test_a_stretch_of_time_narrows_a_reason(past: Past):
    [shop] = await past.adopt(spec())
    made = []
    for at_ms in (NOW_MS, NOW_MS + 1, NOW_MS + 2, NOW_MS + 3):
        made.append(await past.append(key=key_floor(at_ms) + 2**20, received_at=at_ms))
        await die(past, made[-1], shop, "dns", None)
    await past.replay(Selection(state="dead", error="dns", since_ms=NOW_MS + 1, until_ms=NOW_MS + 3))
    assert await past.due_again() == {(made[1].key, shop), (made[2].key, shop)}


async def test_what_cannot_be_sent_is_passed_over(past: Past):
    _shop, _audit, made = await history(past)
    await write(past.store, f"UPDATE event SET body = NULL WHERE key = {made[0].key}")
    await past.adopt(spec("shop"))
    assert await past.replay(Selection(state="dead", error="tls")) == [0]
    assert sum(await past.replay(Selection(state="dead", status=500))) == 3


async def test_what_died_for_another_reason_meanwhile_is_left_alone(past: Past):
    shop, _audit, made = await history(past)
    replays = past.store.replays
    begun = await replays.begin(Selection(state="dead", endpoint="shop", status=500), None, LATER_MS)
    await replays.step(begun.number, 1, LATER_MS)
    await die(past, made[0], shop, "status", 500, number=2)  # once more, behind it
    await past.replay(Selection((made[2].id,)), now_ms=LATER_MS + 1)
    await die(past, made[2], shop, "timeout", None, number=2)
    while not (await replays.step(begun.number, 1, LATER_MS)).over:
        pass
    assert await past.due_again() == {(made[4].key, shop), (made[6].key, shop)}
    done = await replays.get(begun.number)
    assert done is not None
    assert done.replayed == 3


async def test_what_is_found_for_a_reason_is_looked_at_once_more_when_it_is_made_due(
    past: Past, monkeypatch: pytest.MonkeyPatch
):
    shop, _audit, made = await history(past)
    begun = await past.store.replays.begin(Selection(state="dead", endpoint="shop", status=404), None, LATER_MS)
    found = past.store.replays._search.__class__.page

    async def then_it_dies_of_another(self: Any, scope: Any, limit: int) -> Any:
        page = await found(self, scope, limit)
        monkeypatch.undo()
        assert len(page.pairs) == 2
        await past.replay(Selection((made[1].id,)), now_ms=LATER_MS + 1)
        await die(past, made[1], shop, "timeout", None, number=2)
        return page

    monkeypatch.setattr("webhookd.store.sql.selection.Search.page", then_it_dies_of_another)
    assert (await past.store.replays.step(begun.number, 10, LATER_MS)).replayed == 1
    assert await past.due_again() == {(made[5].key, shop)}


# --- With very many


def very_many(no_hash: str) -> Sequence[str]:
    """So many that are dead for REASONS in turn, one in a thousand of them for a rare one, as SQL."""
    places = f"""
        WITH RECURSIVE places(place) AS (
          SELECT CAST(1 AS bigint) UNION ALL SELECT place + 1 FROM places WHERE place < {MANY})
    """
    return [
        f"""
        INSERT INTO event (key, salt, source, provider, provider_event_id, type, state, received_at, headers, sha256,
                           size)
        {places}
        SELECT place * {2**21}, 0, 's', 'p', 'evt_' || place, 't', 'unrouted', 0, '[]', {no_hash}, 0 FROM places
        """,
        f"""
        INSERT INTO delivery (event, endpoint, state, last_error, last_status, created_at)
        {places}
        SELECT place * {2**21}, CASE place % 1000 WHEN 0 THEN 2 ELSE 1 END, 'dead',
               CASE WHEN place % 1000 = 0 THEN 'tls' WHEN place % 4 = 3 THEN 'timeout' ELSE 'status' END,
               CASE WHEN place % 1000 = 0 THEN NULL WHEN place % 4 = 1 THEN 404 WHEN place % 4 < 3 THEN 500 END, 0
        FROM places
        """,
    ]


async def test_very_many_are_counted_exactly(store: Store):
    await store.adopt([spec("shop"), spec("audit")], NOW_MS)
    await write(store, *very_many(blob(store, bytes(32))))
    found = await store.dead_letters.by_reason(0, 10)
    counted = {(each.name, its.error, its.status): its.deliveries for each in found for its in each.reasons}
    expected = Counter(
        ("audit", "tls", None) if place % 1_000 == 0 else ("shop", *REASONS[place % 4]) for place in range(1, MANY + 1)
    )
    assert counted == expected


@pytest.mark.parametrize("name", DEAD)
def test_no_query_looks_through_the_log_or_the_outbox(name: str):
    """Nor does any go through more of the index of the dead than it finds."""
    given: dict[str, Any] = {
        **narrowing(endpoint="shop", error="tls", status=500),
        **dict.fromkeys(("after", "name", "source", "provider", "type", "its_error", "its_status"), None),
        **dict.fromkeys(("before", "before_endpoint", "since", "next_event", "next_endpoint", "last_event"), 1),
        **dict.fromkeys(("until", "looks", "limit", "of"), 1),
        "reasons": '[[1, "tls", null]]',
    }
    asked: Any = (1,) * DEAD[name].count("?") or given
    with closing(driver.connect(":memory:")) as connection:
        connection.executescript(schema())
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {DEAD[name]}", asked)]
    assert [step for step in plan if re.match(r"SCAN (event|delivery|d|e)\b", step)] == []
    found = {match[1] for step in plan if (match := re.search(r"delivery_dead \((.*)\)", step))}
    one = "endpoint=? AND last_error=? AND last_status=?"
    expected = {
        "endpoints": {"endpoint=?"},
        "reasons": {"endpoint=? AND last_error>?", "endpoint=? AND last_error=? AND last_status>?", one},
    }
    if name in ("deliveries", "back_to", "until", "between"):
        one += " AND event>? AND event<?"
    assert found == expected.get(name, {one})
    assert all("SEARCH e USING INTEGER PRIMARY KEY (rowid=?)" in step for step in plan if " e " in step), plan
