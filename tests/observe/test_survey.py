"""What is counted on disk is counted no more often than it is worth, and what cannot be counted ages visibly."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from webhookd.observe.survey import CHEAP_S, REST, STUCK_MAX, Survey


class Page(NamedTuple):
    found: Sequence[tuple[int, str, int]]
    then: object | None


class BusyError(Exception):
    pass


class World:
    def __init__(self) -> None:
        self.now = 100.0
        self.takes = 0.0
        self.is_busy = False
        self.counted = 0
        self.pages: list[Page] = [Page([(1, "dead", 2)], 1), Page([(1, "dead", 3), (2, "pending", 1)], None)]
        self.asked: list[object | None] = []
        self.survey = Survey(self, self, lambda: 5_000_000, lambda: self.now, BusyError)

    def _read(self) -> None:
        self.now += self.takes
        if self.is_busy:
            raise BusyError

    async def endpoints(self, after: int = 0, limit: int = -1, *, removed: bool) -> Sequence[Any]:
        assert not removed
        self._read()
        self.counted += 1
        return [self.counted]

    async def odd_events(self) -> Mapping[str, int]:
        return {"unrouted": self.counted}

    async def stuck(self, older_than: int, place: object | None) -> Page:
        self._read()
        self.asked.append(place)
        return self.pages[int(str(place or 0))]


async def test_a_cheap_count_is_made_for_everybody_who_asks():
    world = World()
    for _ in range(3):
        await world.survey.look()
    assert world.counted == 3


async def test_a_count_that_took_long_is_kept_for_many_times_as_long():
    world = World()
    world.takes = 2 * CHEAP_S
    await world.survey.look()
    world.now += REST * world.takes - 0.01
    await world.survey.look()
    assert world.counted == 1
    world.now += 0.01
    await world.survey.look()
    assert world.counted == 2
    assert world.survey.odd == {"unrouted": 2}


async def test_a_count_that_cannot_be_had_leaves_the_last_one_which_ages():
    world = World()
    await world.survey.look()
    world.is_busy = True
    world.now += 60
    await world.survey.look()
    await world.survey.look_for_stuck()
    assert (world.survey.rows, world.survey.age_s, world.survey.stuck_age_s) == ([1], 60, 60)


async def test_the_outbox_is_looked_through_page_by_page_and_added_up():
    world = World()
    await world.survey.look_for_stuck()
    assert world.asked == [None, 1]
    assert world.survey.stuck == {(1, "dead"): 5, (2, "pending"): 1}


async def test_counting_ends_where_there_is_more_than_anybody_can_look_at():
    world = World()
    world.pages[0] = Page([(1, "dead", STUCK_MAX)], 1)
    await world.survey.look_for_stuck()
    assert world.asked == [None]
    assert world.survey.stuck == {(1, "dead"): STUCK_MAX}


async def test_a_count_that_was_cut_off_is_no_count():
    world = World()
    await world.survey.look_for_stuck()
    world.pages[1] = Page([(9, "dead", 9)], None)
    world.is_busy = True
    await world.survey.look_for_stuck()
    assert world.survey.stuck == {(1, "dead"): 5, (2, "pending"): 1}
