"""How history is swept out: how much at a time, how long the rests are, and what happens when the store says no."""

from collections.abc import Callable, Sequence

import pytest

from webhookd.admin import broom as brooms
from webhookd.admin.broom import (
    CROWDED_S_MAX,
    RETRY_S,
    SHARE_MAX,
    SHARE_MIN,
    SLOW_S,
    STEP_BYTES_MAX,
    STEP_EVENTS_MAX,
    Broom,
    Stride,
    Sweep,
)
from webhookd.admin.pruner import PASS_S, WHOLE_PASS_S, Pruner
from webhookd.core.identifier import key_floor
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.retention import Extent, Found, Freed, Limits, Look, PastEvent, Stays, Taken, Tally

NOW_MS = 1_800_000_000_000
DAY_MS = 86_400_000
EXTENT = Extent(2**60, NOW_MS)
STEP_S = 0.003


class Hours:
    """A clock on which nothing takes time but what says so."""

    def __init__(self) -> None:
        self.s = 0.0
        self.ahead_ms = 0
        self.rests_s: list[float] = []
        self.after_sleep: Callable[[float], None] = lambda _delay_s: None

    def now_ms(self) -> int:
        return NOW_MS + self.ahead_ms + int(self.s * 1_000)

    def monotonic(self) -> float:
        return self.s

    def call_later(self, delay_s: float, callback: object) -> object:
        raise AssertionError

    async def sleep(self, delay_s: float) -> None:
        self.rests_s.append(delay_s)
        self.s += delay_s
        self.after_sleep(delay_s)


class Log:
    """A store with so many finished events, each of which takes so long to take out."""

    def __init__(self, clock: Hours, count: int, each_s: float = 0.0001, size: int = 100) -> None:
        self.clock, self.each_s, self.size = clock, each_s, size
        self.events: dict[int, Stays | None] = dict.fromkeys(range(1, count + 1))
        self.steps: list[int] = []
        self.extents: list[Extent] = []
        self.forgotten: list[int] = []
        self.trail = [2, 1, 0]
        self.queued = 0
        self.free = 0
        self.refusals = 0
        self.after_step = lambda: None

    step_s = STEP_S

    async def look(self, extent: Extent, after: int, *, counted: bool, whole: bool = False) -> Look:
        if not self.extents or self.extents[-1] != extent:
            self.extents.append(extent)
        keys = [key for key in sorted(self.events) if max(after, extent.above) < key < extent.below][:500]
        found = [Found(key, "stripe", self.size, self.events[key], 2 * counted, 3 * counted) for key in keys]
        return Look(found, keys[-1] if keys else after, over=len(keys) < 500)

    async def take(self, extent: Extent, keys: Sequence[int], now_ms: int) -> Taken:
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailableError
        took_s = len(keys) * self.each_s
        self.clock.s += took_s
        self.steps.append(len(keys))
        for key in keys:
            if not extent.bodies_only:
                del self.events[key]
        self.after_step()
        return Taken({"stripe": Tally(len(keys), 2 * len(keys), 3 * len(keys), self.size * len(keys))}, took_s)

    async def forget(self, below: int, limit: int) -> Taken:
        self.forgotten.append(below)
        return Taken({}, 0)

    async def forget_trail(self, before_ms: int, limit: int) -> int:
        return self.trail.pop(0)

    async def give_back(self, pages: int, kept: float) -> Freed:
        freed = min(pages, self.free)
        self.free -= freed
        return Freed(freed, self.free, 4096, 0.0001)

    async def past(self, key: int, salt: int | None = None) -> PastEvent | None:
        raise AssertionError


class Count:
    def __init__(self) -> None:
        self.rows: dict[str, int] = {}

    def pruned(self, what: str, rows: int) -> None:
        self.rows[what] = self.rows.get(what, 0) + rows


def a_broom(count: int, each_s: float = 0.0001, size: int = 100) -> tuple[Broom, Log, Hours, Count]:
    clock, meter = Hours(), Count()
    log = Log(clock, count, each_s, size)
    return Broom(log, clock, meter), log, clock, meter


async def test_all_that_is_finished_goes_and_is_counted():
    broom, log, _, meter = a_broom(1_234)
    log.events[7], log.events[600], log.events[601] = "undelivered", "recent", "undelivered"
    await broom.sweep(sweep := Sweep(EXTENT))
    assert set(log.events) == {7, 600, 601}
    assert sweep.total == Tally(1_231, 2_462, 3_693, 123_100)
    assert sweep.stay == {"undelivered": 2, "recent": 1}
    assert meter.rows == {"events": 1_231, "deliveries": 2_462, "attempts": 3_693}


async def test_a_dry_run_takes_nothing_and_counts_the_same():
    broom, log, _, meter = a_broom(1_234)
    log.events[7] = "undelivered"
    await broom.sweep(sweep := Sweep(EXTENT, is_dry=True))
    assert len(log.events) == 1_234
    assert sweep.total == Tally(1_233, 2_466, 3_699, 123_300)
    assert (log.steps, meter.rows) == ([], {})


async def test_a_step_grows_and_shrinks_to_the_time_it_may_take():
    broom, log, _, _ = a_broom(5_000, each_s=STEP_S / 40)
    await broom.sweep(Sweep(EXTENT))
    settled = log.steps[20:-20]
    assert max(log.steps) * log.each_s <= 2 * STEP_S
    assert sum(settled) / len(settled) * log.each_s >= STEP_S / 4


async def test_a_slow_disk_is_given_one_at_a_time():
    broom, log, _, _ = a_broom(60, each_s=10 * STEP_S)
    await broom.sweep(Sweep(EXTENT))
    assert log.steps[-1] == 1


def test_a_stride_that_was_not_used_up_says_nothing():
    stride = Stride(100, STEP_S)
    before = stride.now
    stride.took(0.0, was_full=False)
    assert stride.now == before
    stride.took(0.0, was_full=True)
    assert stride.now == 2 * before


async def test_large_bodies_go_few_at_a_time_and_one_that_is_too_large_alone():
    broom, log, _, _ = a_broom(20, each_s=0.0, size=STEP_BYTES_MAX // 2)
    await broom.sweep(Sweep(EXTENT))
    assert set(log.steps) == {2}
    broom, log, _, _ = a_broom(5, size=2 * STEP_BYTES_MAX)
    await broom.sweep(Sweep(EXTENT))
    assert set(log.steps) == {1}


async def test_it_rests_in_proportion_to_what_it_took():
    broom, log, clock, _ = a_broom(20_000, each_s=STEP_S / STEP_EVENTS_MAX)
    await broom.sweep(Sweep(EXTENT))
    worked_s = sum(log.steps) * log.each_s
    assert worked_s / clock.s <= 1.1 * SHARE_MIN


async def test_the_longer_a_sweep_takes_the_more_of_the_time_it_gets():
    broom, _, clock, _ = a_broom(50)
    sweep = Sweep(EXTENT)
    sweep.begun_at = -SLOW_S
    await broom.give_back(sweep)
    [rest_s] = clock.rests_s
    assert rest_s == brooms.REST_S_MIN  # nothing took any time

    async def work() -> None:
        clock.s += 1.0

    clock.s, sweep.begun_at = 0.0, -SLOW_S
    await broom._step(sweep, work)
    assert clock.rests_s[-1] == pytest.approx(1 / SHARE_MAX - 1)
    clock.s = sweep.begun_at = 0.0

    async def short() -> None:
        clock.s += 0.01

    await broom._step(sweep, short)
    assert clock.rests_s[-1] == pytest.approx(0.01 * (1 / SHARE_MIN - 1), rel=0.01)


async def test_one_that_is_stopped_while_the_store_says_no_ends():
    broom, log, clock, _ = a_broom(3)
    log.refusals, sweep = 1_000, Sweep(EXTENT)

    def stop_after_a_while(delay_s: float) -> None:
        sweep.is_stopped = clock.s > 10 * delay_s

    clock.after_sleep = stop_after_a_while
    with pytest.raises(StoreUnavailableError):
        await broom.sweep(sweep)
    assert log.steps == []


async def test_while_many_wait_for_a_commit_it_waits_too_but_not_for_ever():
    broom, log, clock, _ = a_broom(3)
    log.queued = brooms.QUEUED_MAX + 1
    await broom.sweep(Sweep(EXTENT))
    assert not log.events
    assert CROWDED_S_MAX <= clock.s <= 2 * CROWDED_S_MAX
    broom, log, clock, _ = a_broom(3)
    log.queued = brooms.QUEUED_MAX
    await broom.sweep(Sweep(EXTENT))
    assert clock.s < CROWDED_S_MAX


async def test_a_store_that_says_not_now_is_asked_again():
    broom, log, clock, _ = a_broom(30)
    log.refusals = 2
    await broom.sweep(sweep := Sweep(EXTENT))
    assert sweep.total.events == 30
    assert clock.rests_s.count(RETRY_S) == 2


async def test_one_that_is_stopped_ends_after_the_step_under_way():
    broom, log, _, _ = a_broom(5_000)
    sweep = Sweep(EXTENT)

    def stop() -> None:
        sweep.is_stopped = True

    log.after_step = stop
    await broom.sweep(sweep)
    await broom.forget(5, sweep)
    await broom.give_back(sweep)
    assert len(log.steps) == 1
    assert sweep.then == log.steps[0]
    assert log.forgotten == []


async def test_space_is_given_back_until_there_is_none_to_spare():
    broom, log, _, _ = a_broom(0)
    log.free = 5_000
    await broom.give_back(sweep := Sweep(EXTENT))
    assert (log.free, sweep.given_back) == (0, 5_000 * 4096)


# --- Passes


def a_pruner(count: int, *, events_ms: int = 2, bodies_ms: int = 2) -> tuple[Pruner, Log, Hours]:
    broom, log, clock, _ = a_broom(count)
    limits = Limits(events_ms * DAY_MS, bodies_ms * DAY_MS, 1 * DAY_MS, 9 * DAY_MS)
    return Pruner(broom, clock, lambda: limits), log, clock


async def test_a_pass_looks_at_all_once_a_day_and_else_only_at_what_has_come_of_age():
    pruner, log, clock = a_pruner(5)
    first = NOW_MS - 2 * DAY_MS
    await pruner.turn()
    assert clock.rests_s[-1] == PASS_S
    log.trail = [0]
    second = clock.now_ms() - 2 * DAY_MS
    await pruner.turn()
    assert [(each.above, each.below, each.finished_before_ms) for each in log.extents] == [
        (0, key_floor(first), first),
        (key_floor(first) - 1, key_floor(second), second),
    ]
    log.trail, clock.s = [0], WHOLE_PASS_S
    await pruner.turn()
    assert log.extents[-1].above == 0


async def test_a_clock_that_was_set_a_year_forward_makes_nothing_old_at_once():
    pruner, log, clock = a_pruner(5)
    await pruner.run()
    before = log.extents[-1].finished_before_ms
    log.trail, clock.ahead_ms = [0], 365 * DAY_MS
    clock.s += PASS_S
    await pruner.run()
    assert 0 < log.extents[-1].finished_before_ms - before <= 2_001 * clock.s
    # And once it was set right again it is as if nothing had been.
    log.trail, clock.ahead_ms = [0], 0
    clock.s += PASS_S
    await pruner.run()
    assert abs(log.extents[-1].finished_before_ms - (clock.now_ms() - 2 * DAY_MS)) < 1_000


async def test_a_clock_that_is_a_year_ahead_from_the_start_makes_nothing_old_at_once():
    pruner, log, clock = a_pruner(5)
    log_ends_ms = clock.now_ms() - 365 * DAY_MS
    pruner.begin(log_ends_ms)
    clock.s += PASS_S
    await pruner.run()
    assert log.extents[-1].finished_before_ms <= log_ends_ms + 2_001 * clock.s - 2 * DAY_MS


@pytest.mark.parametrize("silent_days", [0, 29])
async def test_a_log_in_which_nothing_came_for_some_days_is_no_reason_to_doubt_the_clock(silent_days: int):
    pruner, log, clock = a_pruner(5)
    pruner.begin(clock.now_ms() - silent_days * DAY_MS)
    await pruner.run()
    assert log.extents[-1].finished_before_ms == NOW_MS - 2 * DAY_MS


async def test_bodies_are_taken_apart_only_where_they_go_first():
    pruner, log, _ = a_pruner(5, bodies_ms=1)
    await pruner.turn()
    assert [each.bodies_only for each in log.extents] == [False, True]
    pruner, log, _ = a_pruner(5, bodies_ms=3)
    await pruner.turn()
    assert [each.bodies_only for each in log.extents] == [False]


async def test_an_id_is_never_forgotten_before_the_event_itself_may_go():
    pruner, log, _ = a_pruner(5)  # dedupe: 1 day; events: 2
    await pruner.turn()
    assert log.forgotten == [key_floor(NOW_MS - 2 * DAY_MS)]


async def test_a_pass_that_fails_is_told_and_the_next_one_finds_the_rest(monkeypatch: pytest.MonkeyPatch):
    pruner, log, _ = a_pruner(5)
    take = log.take

    async def fail(*_given: object) -> Taken:
        raise ValueError

    monkeypatch.setattr(log, "take", fail)
    log.events = {1: None}
    await pruner.turn()
    assert log.events == {1: None}
    monkeypatch.setattr(log, "take", take)
    await pruner.turn()
    assert log.events == {}
