"""A week of which all may go is dropped: it leaves what is left of one whose events go one by one, a crash at any step
leaves nothing half taken, and what must stay stays.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from tests.making import NOW_MS, event, spec
from tests.postgres import Server
from tests.store.history import books, captured, counts, finished, refunded, reread, rows, settle, take, told
from tests.store.postgres_site import PostgresSite
from tests.store.raw import write
from tests.store.test_weeks import WEEK, partitions, somebody, these
from tests.store.verifying import verified
from webhookd.admin.broom import Broom, Sweep
from webhookd.core.event import Event
from webhookd.core.identifier import KeyMint, event_id, key_floor
from webhookd.store.postgres import leaving, weeks
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.postgres.transaction import TOGETHER
from webhookd.store.postgres.weeks import WEEK_MS, Weeks, tried, week_begins
from webhookd.store.protocol.replays import Selection
from webhookd.store.protocol.retention import Extent, Step, Tally, Whole

LATER_MS = NOW_MS + 5 * WEEK_MS
ALL = Extent(key_floor(LATER_MS), LATER_MS)
LEFT = ("event", "delivery", "attempt", "conflict", "leaving")
NOTHING = dict.fromkeys(LEFT, 0)
ITS = Whole(week_begins(WEEK), week_begins(WEEK + 1) - 1)


class Hours:
    """A clock on which nothing takes time but rests."""

    def __init__(self) -> None:
        self._s = 0.0

    def now_ms(self) -> int:
        return LATER_MS + int(self._s * 1_000)

    def monotonic(self) -> float:
        return self._s

    def call_later(self, delay_s: float, callback: object) -> Any:
        raise AssertionError

    async def sleep(self, delay_s: float) -> None:
        self._s += delay_s


class Count:
    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def pruned(self, what: str, rows: int) -> None:
        self.rows[what] = self.rows.get(what, 0) + rows


@pytest.fixture
def url(postgres: Server) -> str:
    return postgres.url()


@pytest.fixture
async def store(url: str) -> AsyncIterator[PostgresStore]:
    opened = await PostgresSite(url).open()
    await Weeks(opened._upkeep).make(NOW_MS)
    yield opened
    await opened.close()


@pytest.fixture
def in_small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "EVENTS", 2)
    monkeypatch.setattr(leaving, "DELIVERIES", 3)


async def swept(store: PostgresStore, extent: Extent = ALL) -> Sweep:
    await Broom(store.retention, Hours(), Count()).sweep(sweep := Sweep(extent))
    return sweep


async def step(store: PostgresStore, extent: Extent = ALL) -> Step:
    return await store.retention.take_whole(extent, ITS, LATER_MS)


async def to_its_end(store: PostgresStore, extent: Extent = ALL) -> Step:
    while (found := await step(store, extent)).state == "under way":
        pass
    return found


async def a_history(store: PostgresStore) -> list[Event]:
    """Of one week, and finished: what two endpoints were sent and one was not, what went nowhere, and a repeat."""
    await store.adopt([spec("shop"), spec("stock", sources=("stripe",))], NOW_MS - 1)
    events = [captured(), captured("pay_2"), refunded(), told(), captured("pay_3", source="eu"), told(source="eu")]
    for each in events:
        await store.append(each)
        for owed in await store.deliveries_of(each.key):
            await settle(store, each, owed.endpoint, "dead" if each is events[1] else "delivered")
    repeat = event(provider_event_id=events[0].provider_event_id, body=b"other")
    assert (await store.append(repeat)).conflict
    return events


async def visible(store: PostgresStore, events: Sequence[Event]) -> list[Any]:
    """All that can be asked of these events, but when they were taken."""
    found: list[Any] = [await books(store), await store.last_key(), await store.dead_letters.by_reason(0, 9)]
    for each in events:
        record = await store.stories.record(each.key, each.salt, None)
        assert record is not None
        past = await store.retention.past(each.key)
        found += [
            replace(record, taken_at=record.taken_at is not None),
            await store.event(each.key, each.salt),
            await store.body(each.key),
            await store.deliveries_of(each.key),
            None if past is None else past.received_at,
            await rows(store, "event", "count(*)", f"WHERE key = {each.key}"),
            await rows(store, "past", "count(*)", f"WHERE key = {each.key}"),
            await store.append(again(each)),
        ]
    for payment in ("pay_1", "pay_2"):
        said = await store.ledger.chronicle("stripe", payment)
        found += [replace(each, taken_at=each.taken_at is not None) for each in said.events]
    return found


def again(each: Event) -> Event:
    return event(provider_event_id=each.provider_event_id, source=each.source, provider=each.provider, body=each.body)


# --- What goes


@pytest.mark.usefixtures("in_small_steps")
async def test_a_week_that_is_dropped_leaves_what_one_leaves_whose_events_went_one_by_one(
    store: PostgresStore, postgres: Server
):
    events = await a_history(store)
    other = await PostgresSite(postgres.url()).open()
    await other.adopt([spec("shop"), spec("stock", sources=("stripe",))], NOW_MS - 1)
    for each in events:
        await other.append(each)
        for owed in await other.deliveries_of(each.key):
            await settle(other, each, owed.endpoint, "dead" if each is events[1] else "delivered")
    await other.append(event(provider_event_id=events[0].provider_event_id, body=b"other"))
    gone, gone_one_by_one = await swept(store), await swept(other)
    assert these(WEEK) & await partitions(store) == set()
    assert gone.tallies == gone_one_by_one.tallies
    assert gone.total.deliveries == 10
    assert gone.given_back > 0
    assert await visible(store, events) == await visible(other, events)
    assert await counts(store, *LEFT) == NOTHING
    await other.close()


@pytest.mark.usefixtures("in_small_steps")
async def test_whenever_it_is_killed_each_event_is_in_the_log_with_all_that_is_its_own_or_past(
    url: str, postgres: Server
):
    site = PostgresSite(url)
    store = await site.open()
    await Weeks(store._upkeep).make(NOW_MS)
    events = await a_history(store)
    before = await visible(store, events)
    seen, after = [before], None
    while after is None:
        now = await step(store)
        store = await site.kill(store)
        if (found := await visible(store, events)) != seen[-1]:
            seen.append(found)
        assert {each.check for each in await verified(store, reread)} <= {"payments"}
        if now.state == "gone":
            after = found
            assert now.tallies["stripe"].events == len(events)
    assert seen == [before, after]
    assert await swept(store)
    assert await counts(store, *LEFT) == NOTHING
    await store.close()


async def test_weeks_that_are_over_go_and_the_running_one_goes_event_by_event(store: PostgresStore):
    late_ms = NOW_MS + WEEK_MS
    await finished(
        store, event(), event(), event(key=(late := KeyMint()).next(late_ms)), event(key=late.next(late_ms + 9))
    )
    extent = Extent(key_floor(late_ms + 5), LATER_MS)
    assert (await swept(store, extent)).total.events == 3
    assert await rows(store, "event", "key") == [(key_floor(late_ms + 9),)]
    assert these(WEEK, WEEK + 1) & await partitions(store) == these(WEEK + 1)


async def test_what_may_wait_goes_with_its_week(store: PostgresStore):
    await finished(store, event(), event(key=KeyMint().next(NOW_MS + WEEK_MS)))
    within = Extent(key_floor(NOW_MS + WEEK_MS + 5), LATER_MS, may_wait=True)
    assert (await swept(store, replace(within, below=key_floor(NOW_MS + 5)))).total.events == 0
    assert (await swept(store, within)).total.events == 1
    # Also where the part of it that has come of age was looked at before.
    above = key_floor(NOW_MS + WEEK_MS + 4)
    assert (await swept(store, replace(ALL, above=above, may_wait=True))).total.events == 0
    assert (await swept(store, replace(ALL, above=above - 10**9, may_wait=True))).total.events == 1
    assert these(WEEK, WEEK + 1) & await partitions(store) == set()


async def test_what_may_wait_does_not_wait_for_a_week_that_is_not_there(store: PostgresStore):
    at_ms = NOW_MS + 20 * WEEK_MS
    await finished(store, event(key=key_floor(at_ms)), event(key=key_floor(at_ms + 9)))
    extent = Extent(key_floor(at_ms + 5), at_ms + WEEK_MS, may_wait=True)
    assert (await swept(store, extent)).total.events == 1


@pytest.mark.parametrize("narrowed", [{"provider": "stripe"}, {"bodies_only": True}, {"above": week_begins(WEEK)}])
async def test_what_is_not_all_of_a_week_goes_event_by_event(store: PostgresStore, narrowed: dict[str, Any]):
    await finished(store, event(), event(source="flw", provider="flutterwave"))
    await swept(store, replace(ALL, **narrowed))
    assert these(WEEK) & await partitions(store) == these(WEEK)


@pytest.mark.usefixtures("in_small_steps")
async def test_attempts_of_a_week_that_lie_in_no_week_go_too(store: PostgresStore):
    await write(store, f"DROP TABLE attempt_w{WEEK}")
    await finished(store, *(event() for _ in range(5)))
    assert (await swept(store)).total == Tally(5, 5, 5, 5 * event().size)
    assert await counts(store, "attempt", "delivery") == {"attempt": 0, "delivery": 0}


@pytest.mark.usefixtures("in_small_steps")
async def test_two_nodes_that_take_a_week_at_once_share_the_work_and_count_it_once(url: str, store: PostgresStore):
    events = [event() for _ in range(11)]
    await finished(store, *events)
    other = await PostgresSite(url).open()
    sweeps = await asyncio.gather(swept(store), swept(other))
    assert sum(each.total.events for each in sweeps) == 11
    assert await counts(store, *LEFT, "past") == {**NOTHING, "past": 11}
    await other.close()


# --- What stays


@pytest.mark.usefixtures("in_small_steps")
async def test_of_a_week_in_which_something_is_undelivered_the_rest_goes_event_by_event(store: PostgresStore):
    await finished(store, *(event() for _ in range(4)))
    await store.append(last := event())
    assert (await step(store)).state == "under way"
    assert (await to_its_end(store)).state == "stays"
    assert await counts(store, "event", "past") == {"event": 5, "past": 0}
    assert (await swept(store)).total.events == 4
    assert await rows(store, "event", "key") == [(last.key,)]
    assert await counts(store, "past", "leaving", "delivery") == {"past": 4, "leaving": 0, "delivery": 1}


async def test_a_week_in_which_something_was_settled_lately_stays(store: PostgresStore):
    await finished(store, event(), late := event())
    await write(store, f"UPDATE delivery SET settled_at = {LATER_MS} WHERE event = {late.key}")
    assert (await to_its_end(store)).state == "stays"


async def test_a_week_that_a_replay_may_come_to_stays(store: PostgresStore):
    await finished(store, event(), event())
    begun = await store.replays.begin(Selection(state="delivered", since_ms=NOW_MS), None, LATER_MS)
    assert (await to_its_end(store)).state == "stays"
    await store.replays.cancel(begun.number, LATER_MS)
    assert (await to_its_end(store)).state == "gone"


async def written(store: PostgresStore, events: int) -> None:
    """The lines of the week are there, and the next step would drop it."""
    for _ in range(1 + -(-events // leaving.EVENTS)):
        assert (await step(store)).state == "under way"


async def test_a_replay_that_begins_when_all_is_written_down_keeps_the_week(store: PostgresStore):
    await finished(store, event(), event())
    await written(store, 2)
    await store.replays.begin(Selection(state="delivered", since_ms=NOW_MS), None, LATER_MS)
    assert (await to_its_end(store)).state == "stays"
    assert await counts(store, "event", "past") == {"event": 2, "past": 0}


async def test_what_is_made_due_when_all_is_written_down_keeps_the_week(store: PostgresStore):
    await finished(store, event(), each := event())
    await written(store, 2)
    begun = await store.replays.begin(Selection((event_id(each.key, each.salt),)), None, LATER_MS)
    assert (await store.replays.step(begun.number, 9, LATER_MS)).over
    assert (await to_its_end(store)).state == "stays"
    assert (await swept(store)).total.events == 1
    assert await rows(store, "event", "key") == [(each.key,)]


async def test_an_event_that_comes_when_all_is_written_down_is_not_lost_with_its_week(store: PostgresStore):
    await finished(store, first := event(), event())
    await written(store, 2)
    late = event(key=first.key - 1)
    await store.append(late)
    assert (await to_its_end(store)).state == "stays"
    assert await store.body(late.key) == late.body


async def test_an_event_that_was_left_out_keeps_its_week(store: PostgresStore):
    await finished(store, event(), each := event())
    await written(store, 2)
    await write(store, f"DELETE FROM line WHERE key = {each.key}")
    assert (await to_its_end(store)).state == "stays"
    assert await store.body(each.key) == each.body


async def test_an_event_that_comes_at_the_last_moment_is_not_lost_with_its_week(store: PostgresStore):
    await finished(store, first := event(), event())
    await written(store, 2)
    drop = await store._upkeep.run(partial(leaving._part, week=WEEK, extent=ALL, now_ms=LATER_MS))
    assert not isinstance(drop, Step)
    await store.append(late := event(key=first.key - 1))
    assert (await tried(store._upkeep, partial(drop, week=WEEK))).state == "under way"
    assert await store.body(late.key) == late.body
    assert (await step(store)).state == "stays"


async def test_an_event_that_is_being_committed_keeps_a_week_from_being_begun(
    url: str, store: PostgresStore, monkeypatch: pytest.MonkeyPatch
):
    """What is not committed yet would be in no part that is written down, and nobody would notice."""
    monkeypatch.setattr(weeks, "LOG_MS_MAX", 20)
    monkeypatch.setattr(weeks, "TRIES", 2)
    await finished(store, each := event())
    copied = "salt, source, provider, 'x', type, state, received_at, headers, sha256, size, body"
    columns = copied.replace("'x'", "provider_event_id")
    async with somebody(
        url, TOGETHER, f"INSERT INTO event (key, {columns}) SELECT key + 1, {copied} FROM event WHERE key = {each.key}"
    ):
        assert (await step(store)).state == "not now"
    assert await counts(store, "leaving") == {"leaving": 0}
    assert (await to_its_end(store)).state == "stays"  # nobody has taken care of what it was owed


async def test_what_an_event_says_otherwise_when_all_is_written_down_is_what_stays_of_it(store: PostgresStore):
    await finished(store, each := captured(), event())
    await written(store, 2)
    await write(store, f"UPDATE event SET status = 'failed' WHERE key = {each.key}")
    assert (await to_its_end(store)).state == "stays"
    assert (await to_its_end(store)).state == "gone"
    assert await rows(store, "past", "status", f"WHERE key = {each.key}") == [("failed",)]


async def test_what_is_written_down_of_an_event_in_the_log_is_neither_past_nor_forgotten(store: PostgresStore):
    await finished(store, each := event())
    await written(store, 1)
    assert await store.retention.past(each.key) is None
    assert (await store.retention.forget(ALL.below, 10)).tallies == {}
    assert (await take(store, ALL)).events == 1
    assert await store.retention.past(each.key) is not None
    assert (await to_its_end(store)).state == "gone"


async def test_a_week_of_which_much_was_given_up_goes_event_by_event(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(leaving, "GIVEN_UP_MAX", 1)
    await finished(store, event(), event(), event())
    await write(store, "UPDATE delivery SET state = 'dead'")
    assert (await to_its_end(store)).state == "stays"
    assert (await swept(store)).total.events == 3


# --- Not now


async def test_a_week_that_somebody_reads_waits_if_it_may_and_goes_event_by_event_if_not(
    url: str, store: PostgresStore
):
    await finished(store, event(), event())
    async with somebody(url, f"SELECT 1 FROM event_w{WEEK} LIMIT 1"):
        assert (await swept(store, replace(ALL, may_wait=True))).total.events == 0
        assert (await swept(store, ALL)).total.events == 2
    assert await counts(store, "event", "past") == {"event": 0, "past": 2}


@pytest.mark.usefixtures("in_small_steps")
async def test_attempts_that_somebody_reads_are_dropped_by_the_next_sweep(url: str, store: PostgresStore):
    events = [event() for _ in range(3)]
    await finished(store, *events)
    async with somebody(url, f"SELECT 1 FROM attempt_w{WEEK} LIMIT 1"):
        assert (await swept(store)).total.events == 0
        for each in events:
            record = await store.stories.record(each.key, each.salt, None)
            assert record is not None
            assert (record.taken_at is None, record.owed, record.tried) == (False, [], [])
    assert (await swept(store)).total == Tally(3, 3, 3, 3 * events[0].size)
    assert await counts(store, "delivery", "attempt", "leaving") == {"delivery": 0, "attempt": 0, "leaving": 0}
