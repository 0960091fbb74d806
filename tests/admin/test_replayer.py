"""The replayer: every replay in turn, each at its rate, on a real store and with a clock that only the test moves."""

import asyncio
from collections.abc import AsyncIterator, Collection
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_clock import FakeClock
from tests.making import SEAL, spec
from tests.store.replaying import Past
from webhookd.admin.replayer import LOOK_S, RETRY_S, STEP_MAX, Allowance, Replayer
from webhookd.core.event import Event
from webhookd.service import Service
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.replays import Replay, Selection, Step
from webhookd.store.sql.replay import SqlReplays
from webhookd.store.sqlite.store import SqliteStore


class World:
    def __init__(self, store: SqliteStore) -> None:
        self.past = Past(store)
        self.replays = store.replays
        self.clock = FakeClock()
        self.told: list[Collection[int]] = []
        self.replayer = Replayer(self.replays, self.clock, self.told.append)

    async def deliveries(self, count: int) -> list[Event]:
        """Dead ones, to one endpoint."""
        [number] = await self.past.adopt(spec())
        made = [await self.past.append() for _ in range(count)]
        for each in made:
            await self.past.settle((each.key, number), "dead")
        return made

    async def begin(self, per_s: float | None = None, selection: Selection = Selection(state="dead")) -> int:  # noqa: B008
        begun = await self.replays.begin(selection, per_s, self.clock.now_ms())
        return begun.number

    async def replay(self, number: int) -> Replay:
        found = await self.replays.get(number)
        assert found is not None
        return found

    async def turn(self) -> None:
        """One turn; where it waits, time passes."""
        turn = asyncio.create_task(self.replayer.turn())
        while not turn.done():
            await asyncio.sleep(0)
            self.clock.advance_to_next_timer()
        await turn

    async def progress(self, number: int) -> list[tuple[float, int]]:
        """Turn until it is over: after each turn, the seconds that have passed and the deliveries made due."""
        began = self.clock.monotonic()
        found = []
        while (replay := await self.replay(number)).state == "running":
            found.append((self.clock.monotonic() - began, replay.replayed))
            await self.turn()
        return [*found, (self.clock.monotonic() - began, replay.replayed)]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    await store.unlock(SEAL)
    yield World(store)
    await store.close()


async def test_a_replay_without_a_rate_is_over_as_fast_as_it_goes_some_deliveries_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("webhookd.admin.replayer.STEP_MAX", 4)
    await world.deliveries(10)
    progress = await world.progress(await world.begin())
    assert [replayed for _, replayed in progress] == [0, 4, 8, 10]
    assert {seconds for seconds, _ in progress} == {0}
    assert world.told == [{1}] * 3


@pytest.mark.parametrize("per_s", [0.5, 1, 20, 25])
async def test_a_replay_with_a_rate_keeps_to_it(world: World, per_s: float):
    await world.deliveries(40)
    progress = await world.progress(await world.begin(per_s))
    portion = max(1, per_s / 10)
    for seconds, replayed in progress:
        assert replayed <= portion + per_s * seconds + 1e-6
    (seconds, replayed) = progress[-1]
    assert replayed == 40
    assert seconds == pytest.approx((40 - portion) / per_s, abs=2 * portion / per_s)


async def test_a_slow_replay_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("webhookd.admin.replayer.STEP_MAX", 2)
    await world.deliveries(12)
    slow = await world.begin(0.01, Selection(endpoint="shop"))
    fast = await world.begin()
    progress = await world.progress(fast)
    assert progress[-1][0] == 0
    assert (await world.replay(slow)).replayed == 1
    await world.progress(slow)
    assert (await world.replay(slow)).replayed == 12


async def test_of_nodes_that_share_a_log_one_carries_out_what_any_began_and_the_next_goes_on_when_it_is_gone(
    world: World,
):
    await world.deliveries(40)
    number = await world.begin(10)
    leads = {"first": True, "second": False}
    first, second = (
        Replayer(world.replays, world.clock, world.told.append, partial(leads.__getitem__, name)) for name in leads
    )
    world.replayer = second
    await world.turn()
    assert (await world.replay(number)).replayed == 0
    world.replayer = first
    for _ in range(10):
        await world.turn()
    replayed = (await world.replay(number)).replayed
    assert 0 < replayed < 40
    leads |= {"first": False, "second": True}
    for world.replayer in (first, second):
        await world.turn()
    assert (await world.replay(number)).replayed > replayed
    assert (await world.progress(number))[-1][1] == 40


async def test_a_node_that_leads_looks_for_what_another_has_begun(world: World):
    world.replayer = Replayer(world.replays, world.clock, world.told.append, lambda: True)
    began = world.clock.monotonic()
    await world.turn()
    assert world.clock.monotonic() - began == LOOK_S


async def test_a_store_that_cannot_answer_now_is_asked_again(world: World, monkeypatch: pytest.MonkeyPatch):
    await world.deliveries(1)
    number = await world.begin()
    step = SqlReplays.step

    async def not_now(*_given: object) -> Step:
        raise StoreUnavailableError

    monkeypatch.setattr(SqlReplays, "step", not_now)
    await world.turn()
    assert world.clock.monotonic() - FakeClock().monotonic() == RETRY_S
    monkeypatch.setattr(SqlReplays, "step", step)
    assert (await world.progress(number))[-1][1] == 1


async def test_one_that_takes_too_long_to_look_for_holds_up_no_other(world: World, monkeypatch: pytest.MonkeyPatch):
    await world.deliveries(3)
    stuck, other = await world.begin(), await world.begin()
    step = world.replays.step

    async def step_or_not(number: int, limit: int, now_ms: int) -> Step:
        if number == stuck:
            raise StoreUnavailableError("SQLITE_INTERRUPT")
        return await step(number, limit, now_ms)

    monkeypatch.setattr(world.replays, "step", step_or_not)
    for _ in range(3):
        await world.turn()
    assert (await world.replay(other)).state == "done"
    assert (await world.replay(stuck)).state == "running"


async def test_another_replayer_goes_on_where_the_first_was_and_no_faster(world: World):
    await world.deliveries(10)
    number = await world.begin(1)
    for _ in range(3):
        await world.turn()
    assert (await world.replay(number)).replayed == 3
    world.replayer = Replayer(world.replays, world.clock, world.told.append)
    progress = await world.progress(number)
    assert all(later[1] - earlier[1] <= 1 for earlier, later in pairwise(progress))
    assert progress[-1][1] == 10


async def test_it_waits_for_a_replay_and_begins_at_once(world: World):
    await world.deliveries(3)
    faults: list[Exception] = []
    duty = Service("replayer", 0, world.replayer.turn, lambda _name, error: faults.append(error))
    duty.start()
    for per_s in (None, 0.01, None):  # the last while the one before sleeps for long
        number = await world.begin(per_s, Selection(endpoint="shop"))
        world.replayer.wake()
        while not (await world.replay(number)).replayed and not faults:
            await asyncio.sleep(0)
    await duty.stop()
    assert faults == []


@given(
    st.floats(0.01, 10_000),
    st.lists(st.tuples(st.floats(0, 30), st.floats(0, 1)), max_size=50),
)
def test_no_stretch_of_time_sees_more_than_the_rate_allows(per_s: float, looks: list[tuple[float, float]]):
    pace, now = Allowance(per_s, 0.0), 0.0
    used = [(0.0, 0)]
    for after_s, share in looks:
        now += after_s
        allowed = pace.allowed(now)
        deliveries = int(allowed * share)
        pace.use(deliveries)
        used.append((now, deliveries))
        assert pace.wait_s() * per_s <= STEP_MAX + max(1, per_s / 10)
    portion = min(max(1, per_s / 10), STEP_MAX)
    for first in range(len(used)):
        for last in range(first, len(used)):
            within = sum(deliveries for _, deliveries in used[first : last + 1])
            assert within <= 2 * portion + per_s * (used[last][0] - used[first][0]) + 1e-3


def test_what_is_allowed_comes_in_portions_however_often_one_looks():
    pace = Allowance(100, 0.0)
    assert pace.allowed(0.0) == 10
    pace.use(10)
    assert [pace.allowed(now) for now in (0.01, 0.05, 0.09, 0.11)] == [0, 0, 0, 11]
