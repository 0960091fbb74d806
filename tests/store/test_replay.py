"""Replays: a step at a time, each delivery once, whatever happens in between."""

import asyncio

import pytest

from tests.making import spec
from tests.store.replaying import LATER_MS, Past
from tests.store.site import Site, Store
from webhookd.core.identifier import delivery_id
from webhookd.store.protocol.replays import RUNNING_MAX, Found, SelectedState, Selection, Step, TooManyReplaysError
from webhookd.store.sql.selection import Page, Scope, Search


@pytest.fixture
def past(store: Store) -> Past:
    return Past(store)


@pytest.fixture(params=[1, 2, 5])
def stretch(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many rows one read looks through."""
    monkeypatch.setattr("webhookd.store.sql.selection.LOOKS", request.param)
    return int(request.param)


@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_stretch_by_stretch_and_step_by_step_nothing_is_missed_and_nothing_comes_twice(
    past: Past, stretch: int, limit: int
):
    one, two = await past.adopt(spec("one", sources=("stripe",)), spec("two", sources=("stripe",)))
    made = [await past.append(type=("a", "b", "c")[place % 3]) for place in range(12)]
    for each in made:
        await past.settle((each.key, one), "dead")
        await past.settle((each.key, two), "dead" if each.type == "a" else "delivered")
    lost = [await past.append(source="late") for _ in range(5)]
    await past.adopt(spec("one"), spec("two"), at_ms=LATER_MS)
    expected: dict[Selection, set[tuple[int, int]]] = {
        Selection(state="dead", endpoint="two"): {(each.key, two) for each in made if each.type == "a"},
        Selection(state="dead", type="b"): {(each.key, one) for each in made if each.type == "b"},
        Selection(type="b", source="stripe"): {(each.key, n) for each in made if each.type == "b" for n in (one, two)},
        Selection(endpoint="two", source="late"): {(each.key, two) for each in lost},
    }
    so_far = set()
    for selection, due in expected.items():
        steps = await past.replay(selection, limit)
        so_far |= due
        assert await past.due_again() == so_far
        assert len(steps) > 1 or limit == 100


async def test_a_source_that_the_log_knows_may_have_left_the_configuration(past: Past):
    await past.append(source="left")
    assert [await past.store.replays.has_source(name) for name in ("left", "lef", "never")] == [True, False, False]


async def test_events_that_come_later_are_not_meant(past: Past):
    await past.append()
    replays = past.store.replays
    await past.adopt(spec(events=("charge.*",)))
    begun = await replays.begin(Selection(endpoint="shop"), None, LATER_MS)
    await past.append(type="charge.refunded")
    assert (await replays.step(begun.number, 100, LATER_MS)).over
    assert await past.due_again() == set()


async def test_a_step_says_to_whom_something_is_due(past: Past):
    one, two, _ = await past.adopt(spec("one"), spec("two"), spec("three"))
    made = [await past.append() for _ in range(3)]
    begun = await past.store.replays.begin(
        Selection((delivery_id(made[0].key, one), delivery_id(made[1].key, two), delivery_id(made[2].key, two))),
        None,
        LATER_MS,
    )
    first, second, third = [await past.store.replays.step(begun.number, 2, LATER_MS) for _ in range(3)]
    assert (first.replayed, set(first.endpoints), first.over) == (2, {one, two}, False)
    assert (second.replayed, set(second.endpoints), second.over) == (1, {two}, True)
    assert (third.replayed, set(third.endpoints), third.over) == (0, set(), True)


async def test_two_at_work_on_one_replay_do_not_make_anything_due_twice(past: Past):
    """As when a commit was not heard of in time, and is made all the same."""
    [number] = await past.adopt(spec())
    made = [await past.append() for _ in range(4)]
    for each in made:
        await past.settle((each.key, number), "delivered")
    replays = past.store.replays
    begun = await replays.begin(Selection(source="stripe"), None, LATER_MS)
    steps = await asyncio.gather(*(replays.step(begun.number, 2, LATER_MS) for _ in range(5)))
    now = await replays.get(begun.number)
    assert now is not None
    assert now.replayed == sum(step.replayed for step in steps)
    assert len(await past.due_again()) == now.replayed


@pytest.mark.parametrize("state", ["dead", "unrouted"])
async def test_what_has_changed_since_it_was_found_is_looked_at_once_more(
    past: Past, state: SelectedState, monkeypatch: pytest.MonkeyPatch
):
    [number] = await past.adopt(spec(sources=("stripe",) if state == "dead" else ("none",)))
    made = await past.append()
    if state == "dead":
        await past.settle((made.key, number), "dead")
    await past.adopt(spec(), at_ms=LATER_MS)
    begun = await past.store.replays.begin(Selection(state=state), None, LATER_MS)
    found = Search.page

    async def then_another_replays_it(self: Search, scope: Scope, limit: int) -> Page:
        page = await found(self, scope, limit)
        monkeypatch.setattr(Search, "page", found)
        assert len(page.pairs) == 1
        await past.replay(Selection((made.id,)), now_ms=LATER_MS + 1)
        await past.settle((made.key, number), "delivered", number=2 if state == "dead" else 1)
        return page

    monkeypatch.setattr(Search, "page", then_another_replays_it)
    assert await past.store.replays.step(begun.number, 10, LATER_MS) == Step(0, set(), over=True)
    assert await past.rows("state") == [("delivered",)]


async def test_a_replay_goes_on_where_it_was_when_the_database_is_opened_again(site: Site):
    past = Past(await site.open())
    [number] = await past.adopt(spec())
    made = [await past.append() for _ in range(5)]
    for each in made:
        await past.settle((each.key, number), "dead")
    begun = await past.store.replays.begin(Selection(state="dead", type="*"), 2.5, LATER_MS)
    await past.store.replays.step(begun.number, 2, LATER_MS)
    await past.settle((made[0].key, number), "dead", number=2)  # dead once more, behind it
    await past.store.close()
    again = await site.open()
    try:
        [found] = await again.replays.running()
        assert (found.selection, found.per_s, found.replayed) == (Selection(state="dead", type="*"), 2.5, 2)
        step = await again.replays.step(found.number, 100, LATER_MS)
        assert (step.replayed, step.over) == (3, True)
        assert await again.replays.running() == []
    finally:
        await again.close()


async def test_a_cancelled_replay_makes_nothing_more_due(past: Past):
    [number] = await past.adopt(spec())
    made = [await past.append() for _ in range(3)]
    for each in made:
        await past.settle((each.key, number), "dead")
    replays = past.store.replays
    begun = await replays.begin(Selection(state="dead"), None, LATER_MS)
    await replays.step(begun.number, 1, LATER_MS)
    await replays.cancel(begun.number, LATER_MS + 5)
    assert await replays.step(begun.number, 1, LATER_MS) == Step(0, (), over=True)
    cancelled = await replays.get(begun.number)
    assert cancelled is not None
    assert (cancelled.state, cancelled.replayed, cancelled.ended_at) == ("cancelled", 1, LATER_MS + 5)
    await replays.cancel(begun.number, LATER_MS + 9)
    assert await replays.get(begun.number) == cancelled


async def test_only_so_many_are_under_way_at_once_and_those_over_are_forgotten_in_time(
    past: Past, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("webhookd.store.sql.replay.KEPT", 10)
    replays = past.store.replays
    running = [await replays.begin(Selection(state="dead"), None, LATER_MS) for _ in range(RUNNING_MAX)]
    with pytest.raises(TooManyReplaysError):
        await replays.begin(Selection(state="dead"), None, LATER_MS)
    assert await replays.running() == running
    assert await replays.count(Selection(state="dead")) == Found(0, is_exact=True), "counting is no replay"
    await replays.cancel(running[0].number, LATER_MS)
    for _ in range(11):
        last = await replays.begin(Selection(state="dead"), None, LATER_MS)
        await replays.cancel(last.number, LATER_MS)
    assert await replays.get(running[0].number) is None
    assert await replays.get(last.number - 9) is not None
    assert await replays.get(last.number - 10) is None
    assert await replays.running() == running[1:]


async def test_counting_ends_in_time_and_says_that_there_was_more(
    past: Past, stretch: int, monkeypatch: pytest.MonkeyPatch
):
    [number] = await past.adopt(spec())
    for _ in range(12):
        await past.settle(((await past.append()).key, number), "dead")
    monkeypatch.setattr("webhookd.store.sql.replay.COUNT_S_MAX", -1.0)
    assert await past.store.replays.count(Selection(state="dead")) == Found(stretch, False, {"shop": stretch})
    begun = await past.store.replays.begin(Selection(state="dead"), None, LATER_MS)
    assert (begun.total, begun.total_is_exact) == (stretch, False)
