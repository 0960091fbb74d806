"""What the pulse says of what is counted on disk: never that it is newer than it is, nor of another day."""

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

from tests.fake_clock import FakeClock
from webhookd.admin.pulse import DAY_MS, Counted, Now, PulseApi
from webhookd.admin_door import counted, news
from webhookd.observe.survey import Survey
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.ledger import RevenueRow

MIDNIGHT = 1_800_000_000_000 // DAY_MS * DAY_MS


class Rates:
    accepted_per_s = delivered_per_s = 0.0
    success_rate = ack_p50_ms = ack_p99_ms = delivery_p50_ms = delivery_p99_ms = None


class World:
    """All that a PulseApi asks, with a store that is busy where it is said to be."""

    in_flight = commits = count = 0

    def __init__(self) -> None:
        self.clock = FakeClock(MIDNIGHT + DAY_MS - 60_000)
        self.is_busy = False
        self.rows: list[Any] = []
        self.count_s = 0.0
        self.asked: list[tuple[int, int]] = []
        self.survey = Survey(self, cast(Any, self), self.clock.now_ms, self.clock.monotonic, StoreUnavailableError)
        self.refusals = me = cast(Any, self)
        self.api = PulseApi(me, self._count, self._revenue, self.clock, me, me, me)

    async def now(self) -> Now:
        return await self.api.now()

    async def told(self) -> int:
        """By which a page knows whether anything is another than before."""
        me = cast(Any, self)
        return (await news(me, me, self.api, self.clock)).commits

    def pass_s(self, seconds: float) -> None:
        self.clock.call_later(seconds, lambda: None)
        self.clock.advance_to_next_timer()

    async def _count(self) -> Counted | None:
        return await counted(self.survey)

    async def _revenue(self, since_ms: int, until_ms: int) -> Sequence[RevenueRow]:
        self._read()
        self.asked.append((since_ms, until_ms))
        return []

    async def endpoints(self, after: int = 0, limit: int = -1, *, removed: bool) -> Sequence[Any]:
        self._read()
        if self.count_s:
            self.pass_s(self.count_s)
        return [*self.rows]

    async def odd_events(self) -> Mapping[str, int]:
        return {}

    def _read(self) -> None:
        if self.is_busy:
            raise StoreUnavailableError

    def rates(self) -> Rates:
        return Rates()

    def unready(self) -> None:
        return None


async def test_what_could_not_be_counted_since_the_start_is_not_said_to_be_nothing():
    world = World()
    world.is_busy = True
    now = await world.now()
    assert (now.counted_s, now.captured_today) == (None, None)


async def test_a_store_that_does_not_answer_leaves_the_last_count_which_gets_older():
    world = World()
    assert (await world.now()).counted_s == 0
    world.is_busy = True
    world.pass_s(40)
    assert (await world.now()).counted_s == 40


async def test_pages_are_told_of_what_was_counted_late_though_nothing_was_committed_since():
    world = World()
    world.count_s = 0.4
    first = await world.told()
    world.rows = [SimpleNamespace(pending=0, dead=0, oldest_pending_at=None)]
    assert await world.told() == first
    world.pass_s(20 * world.count_s)
    assert await world.told() != first
    assert await world.told() == await world.told()


async def test_what_was_captured_yesterday_is_not_shown_as_of_today():
    world = World()
    assert (await world.now()).captured_today == []
    world.is_busy = True
    world.pass_s(59)
    assert (await world.now()).captured_today == []
    world.pass_s(2)
    assert (await world.now()).captured_today is None
    world.is_busy = False
    world.pass_s(10)
    assert (await world.now()).captured_today == []
    assert [since for since, _until in world.asked] == [MIDNIGHT, MIDNIGHT + DAY_MS]
