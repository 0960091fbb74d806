"""What a second, a minute and a day were like, by what was counted in them."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.fake_clock import FakeClock
from webhookd.core.minute import KEPT, Minute
from webhookd.observe.hour import ENDPOINT_MINUTES, Hour
from webhookd.observe.metrics import Metrics
from webhookd.observe.pulse import MINUTE_MS, Pulse
from webhookd.observe.tallies import quantile

BEGAN = 1_800_000_000_000 // MINUTE_MS


class LostError(Exception):
    pass


class World:
    """`pass_s` lets seconds go by, with the duties at each."""

    def __init__(self, kept: Sequence[Minute] = ()) -> None:
        self.clock = FakeClock(BEGAN * MINUTE_MS)
        self.metrics = Metrics()
        self.kept = {minute.number: minute for minute in kept}
        self.pending, self.counted = 0, 0
        self.is_broken, self.cannot_count = False, False
        self.hangs = asyncio.Event()
        self.hangs.set()
        self.served = {"shop", "stock"}
        self.pulse = Pulse(
            *(self.metrics, self, self._backlog, lambda name: name in self.served),
            *(self.clock.now_ms, self.clock.monotonic, LostError),
        )

    async def all(self) -> Sequence[Minute]:
        if self.is_broken:
            raise LostError
        return [*self.kept.values()]

    async def keep(self, minute: Minute) -> None:
        if self.is_broken:
            raise LostError
        self.kept[minute.number] = minute

    async def _backlog(self) -> int:
        self.counted += 1
        await self.hangs.wait()
        if self.cannot_count:
            raise LostError
        return self.pending

    async def pass_s(self, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.clock.call_later(1, lambda: None)
            self.clock.advance_to_next_timer()
            await self.pulse.look()
            await self.pulse.keep()

    def accept(self, count: int = 1, seconds: float = 0.0015) -> None:
        for _ in range(count):
            self.metrics.hook("stripe", "accepted", seconds)
        self.metrics.committed(0.001, count)

    def deliver(self, count: int = 1, endpoint: str = "shop", seconds: float = 0.03) -> None:
        for _ in range(count):
            self.metrics.attempt(endpoint, "succeeded", 0.01)
            self.metrics.settled(endpoint, "delivered")
            self.metrics.delivered(seconds)
        self.metrics.committed(0.001, count)

    def fail(self, count: int = 1, endpoint: str = "shop") -> None:
        for _ in range(count):
            self.metrics.attempt(endpoint, "status", 0.01)


async def test_a_minute_that_is_over_is_kept_with_all_that_was_counted_in_it():
    world = World()
    world.accept(4)
    world.metrics.hook("stripe", "duplicate", 0.0015)
    world.metrics.hook("stripe", "bad_signature", 0.0001)
    world.deliver(2)
    world.fail(3)
    world.metrics.settled("shop", "dead")
    world.pending = 7
    await world.pass_s(59)
    assert world.kept == {}
    await world.pass_s(1)
    [minute] = world.kept.values()
    assert minute == Minute(
        *(BEGAN, 4, 1, 1, 2, 3, 1, 7),
        ack_p50_ms=1.5,
        ack_p99_ms=1.99,
        delivery_p50_ms=37.5,
        delivery_p99_ms=pytest.approx(49.75),
    )


async def test_the_next_minute_begins_at_nothing():
    world = World()
    world.accept(4)
    await world.pass_s(60)
    world.accept(1)
    await world.pass_s(60)
    assert [minute.accepted for minute in world.kept.values()] == [4, 1]


async def test_nothing_is_written_of_a_minute_in_which_nothing_happened():
    world = World()
    world.accept()
    world.pending = 3
    await world.pass_s(60)
    world.kept.clear()
    counted = world.counted
    await world.pass_s(600)
    assert world.kept == {}
    assert world.counted == counted, "what is pending is not counted where nothing was committed"


async def test_a_backlog_that_cannot_be_counted_stays_as_it_was_until_it_can():
    world = World()
    world.pending = 3
    world.accept()
    await world.pass_s(60)
    world.cannot_count = True
    world.accept()
    await world.pass_s(60)
    world.cannot_count, world.pending = False, 4
    await world.pass_s(60)
    assert [minute.backlog for minute in world.kept.values()] == [3, 3, 4]


async def test_what_was_taken_out_of_the_backlog_in_an_idle_minute_is_seen():
    world = World()
    world.pending = 3
    world.accept()
    await world.pass_s(60)
    world.pending = 0
    world.metrics.committed(0.001, 1)
    await world.pass_s(60)
    assert [minute.backlog for minute in world.kept.values()] == [3, 0]


async def test_the_minutes_of_before_a_restart_are_there_and_their_backlog_goes_on_until_something_happens():
    world = World([Minute(BEGAN - 5, accepted=8, backlog=2)])
    world.pending = 2
    await world.pass_s(1)
    assert [(each.number - BEGAN, each.accepted, each.backlog) for each in world.pulse.minutes(7)] == [
        *((-6, 0, 0), (-5, 8, 2), (-4, 0, 2), (-3, 0, 2), (-2, 0, 2), (-1, 0, 2), (0, 0, 2))
    ]


async def test_a_backlog_that_began_before_what_is_shown_is_shown():
    world = World([Minute(BEGAN - 500, accepted=8, backlog=2)])
    await world.pass_s(1)
    assert [each.backlog for each in world.pulse.minutes(3)][:2] == [2, 2]


async def test_the_minute_that_is_running_is_the_last_one_as_far_as_it_has_come():
    world = World()
    world.accept(2)
    await world.pass_s(1)
    assert world.pulse.minutes(60)[-1].accepted == 2
    assert len(world.pulse.minutes(60)) == 60


async def test_only_a_day_is_remembered():
    world = World([Minute(BEGAN - KEPT, accepted=1), Minute(BEGAN - KEPT + 1, accepted=2)])
    world.accept()
    await world.pass_s(60)
    assert [minute.accepted for minute in world.pulse.minutes(3 * KEPT) if minute.accepted] == [2, 1]


async def test_a_disk_that_fails_costs_the_minute_on_disk_and_nothing_else():
    world = World()
    await world.pass_s(1)
    world.is_broken = True
    world.accept(5)
    await world.pass_s(60)
    assert world.kept == {}
    world.is_broken = False
    world.accept(6)
    await world.pass_s(60)
    assert [minute.accepted for minute in world.kept.values()] == [6]
    assert [minute.accepted for minute in world.pulse.minutes(3)] == [5, 6, 0]


async def test_minutes_that_cannot_be_read_at_the_start_are_read_later():
    world = World([Minute(BEGAN - 1, accepted=9)])
    world.is_broken = True
    await world.pass_s(1)
    assert world.pulse.minutes(2)[0].accepted == 0
    world.is_broken = False
    await world.pass_s(1)
    assert world.pulse.minutes(2)[0].accepted == 9


async def test_a_clock_that_is_set_back_ends_the_minute_and_begins_another():
    world = World()
    world.accept(5)
    world.clock.step_wall_clock(-10 * MINUTE_MS)
    await world.pass_s(1)
    world.accept(1)
    assert [minute.accepted for minute in world.kept.values()] == [5]
    assert (world.pulse.minutes(1)[-1].number, world.pulse.minutes(1)[-1].accepted) == (BEGAN - 10, 1)


async def test_rates_are_those_of_the_last_seconds_and_success_that_of_five_minutes():
    world = World()
    await world.pass_s(10)
    world.accept(10)
    world.deliver(20)
    world.fail(5)
    await world.pass_s(1)
    rates = world.pulse.rates()
    assert (rates.accepted_per_s, rates.delivered_per_s) == (2, 4)
    assert rates.success_rate == 0.8
    assert rates.ack_p50_ms == 1.5
    await world.pass_s(60)
    rates = world.pulse.rates()
    assert (rates.accepted_per_s, rates.success_rate, rates.ack_p50_ms) == (0, 0.8, None)
    await world.pass_s(300)
    assert world.pulse.rates().success_rate is None


async def test_throughput_is_that_of_the_last_minute_however_seldom_it_is_asked_for():
    world = World()
    world.accept(1_000)
    await world.pass_s(600)
    world.accept(30)
    world.deliver(60)
    await world.pass_s(30)
    assert world.pulse.throughput() == (0.5, 1)
    await world.pass_s(60)
    assert world.pulse.throughput() == (0, 0)


async def test_nothing_is_counted_before_the_first_minute_is_over():
    world = World([Minute(BEGAN - 1, accepted=9, backlog=4)])
    await world.pass_s(1)
    assert world.counted == 0
    assert world.pulse.minutes(1)[0].backlog == 4


async def test_in_its_first_second_nothing_is_divided_by_nothing():
    world = World()
    assert world.pulse.rates().accepted_per_s == 0


async def test_of_an_endpoint_an_hour_is_known_oldest_first():
    world = World()
    world.deliver(2)
    await world.pass_s(60)
    await world.pass_s(60)
    world.deliver(1)
    world.fail(3)
    assert [*world.pulse.of_endpoint("shop")] == [(0, 0)] * (ENDPOINT_MINUTES - 3) + [(2, 0), (0, 0), (1, 3)]
    assert [*world.pulse.of_endpoint("stock")] == [(0, 0)] * ENDPOINT_MINUTES
    await world.pass_s(60 * ENDPOINT_MINUTES)
    assert [*world.pulse.of_endpoint("shop")] == [(0, 0)] * ENDPOINT_MINUTES


async def test_an_endpoint_that_was_removed_is_forgotten_and_begins_anew():
    world = World()
    world.deliver(2)
    await world.pass_s(60)
    world.served.remove("shop")
    await world.pass_s(60)
    assert "shop" not in world.metrics.tried
    world.served.add("shop")
    world.deliver(1)
    await world.pass_s(60)
    assert [each for each in world.pulse.of_endpoint("shop") if any(each)] == [(1, 0)]


async def test_an_endpoint_that_is_removed_and_added_again_within_a_minute_is_counted_on():
    world = World()
    world.deliver(100)
    await world.pass_s(60)
    world.metrics.keep_endpoints({"stock"})  # as somebody scrapes while there is no such endpoint
    world.deliver(1)
    assert world.pulse.of_endpoint("shop")[-1] == (1, 0)
    await world.pass_s(60)
    assert [each for each in world.pulse.of_endpoint("shop") if any(each)] == [(100, 0), (1, 0)]


async def test_while_the_store_hangs_the_minutes_that_are_over_are_seen_all_the_same():
    world = World()
    await world.pass_s(1)
    world.accept(5)
    world.hangs.clear()
    world.clock.step_wall_clock(MINUTE_MS)
    await world.pulse.look()
    keeping = asyncio.create_task(world.pulse.keep())
    await asyncio.sleep(0)
    assert [minute.accepted for minute in world.pulse.minutes(2)] == [5, 0]
    world.accept(6)
    world.clock.step_wall_clock(MINUTE_MS)
    await world.pulse.look()
    assert [minute.accepted for minute in world.pulse.minutes(3)] == [5, 6, 0]
    world.hangs.set()
    await keeping
    assert [minute.accepted for minute in world.kept.values()] == [5, 6]


async def test_a_minute_that_comes_again_as_the_clock_is_set_back_is_both_together():
    world = World()
    await world.pass_s(1)
    world.accept(5)
    await world.pass_s(60)
    world.clock.step_wall_clock(-MINUTE_MS)
    await world.pass_s(1)
    world.accept(2)
    await world.pass_s(60)
    assert [(minute.number - BEGAN, minute.accepted) for minute in world.kept.values()] == [(0, 7)]
    assert world.pulse.minutes(2)[0].accepted == 7


@pytest.mark.parametrize(
    ("counts", "share", "value"),
    [
        ((0, 0, 0), 0.5, None),
        ((10, 0, 0), 0.5, 0.5),
        ((0, 10, 0), 0.5, 1.5),
        ((5, 5, 0), 0.99, pytest.approx(1.98)),
        ((0, 0, 3), 0.5, 2),
        ((1, 0, 0), 1.0, 1),
    ],
)
def test_a_share_of_the_values_is_found_within_the_bounds(counts: tuple[int, ...], share: float, value: float | None):
    assert quantile((1, 2), counts, share) == value


@pytest.mark.parametrize("gap", [1, 2, 59, 60, 61, 500])
def test_an_hour_holds_sixty_minutes_whatever_lies_between(gap: int):
    hour = Hour(BEGAN)
    hour.put(BEGAN, 1, 2)
    hour.put(BEGAN + gap, 3, 4)
    found = hour.until(BEGAN + gap)
    assert len(found) == ENDPOINT_MINUTES
    assert found[-1] == (3, 4)
    assert [each for each in found[:-1] if any(each)] == ([(1, 2)] if gap < ENDPOINT_MINUTES else [])
    assert hour.until(BEGAN + gap + 1)[-2:] == [(3, 4), (0, 0)]
    assert not any(map(any, hour.until(BEGAN + gap + ENDPOINT_MINUTES)))


def test_an_hour_begins_anew_where_the_clock_was_set_back():
    hour = Hour(BEGAN)
    hour.put(BEGAN, 1, 2)
    hour.put(BEGAN - 30, 3, 4)
    assert [each for each in hour.until(BEGAN) if any(each)] == [(3, 4)]
    assert hour.until(BEGAN - 30)[-1] == (3, 4)


async def test_what_was_delivered_before_anybody_looked_is_in_the_first_minute():
    world = World()
    world.metrics.delivered_count = 3
    late = Pulse(
        *(world.metrics, world, world._backlog, lambda _name: True),
        *(world.clock.now_ms, world.clock.monotonic, LostError),
    )
    assert late.minutes(1)[-1].delivered == 3
