"""The revenue is counted for who wants it as it is now, and no more often than it is cheap for those who look at it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.fake_clock import FakeClock
from webhookd.admin.kept import REST
from webhookd.admin.takings import TIMES_MAX, Takings
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.ledger import RevenueRow


class Books:
    """Counting takes `takes` seconds, and gives how often it was done."""

    def __init__(self, takes: float = 1.0) -> None:
        self.clock = FakeClock()
        self.takes, self.asked, self.is_busy = takes, list[tuple[int, int]](), False
        self.go = asyncio.Event()
        self.go.set()
        ledger: Any = self
        self.takings = Takings(ledger, self.clock)

    async def revenue(self, since_ms: int, until_ms: int) -> Sequence[RevenueRow]:
        self.asked.append((since_ms, until_ms))
        await self.go.wait()
        self.passes(self.takes)
        if self.is_busy:
            raise StoreUnavailableError
        return [RevenueRow(0, "stripe", "USD", 2, len(self.asked), 0, 0, 0)]

    def passes(self, seconds: float) -> None:
        self.clock.call_later(seconds, lambda: None)
        self.clock.advance_to_next_timer()

    async def look(self, age_s_max: float = 60.0, since_ms: int = 0, until_ms: int | None = None) -> int:
        [row] = (await self.takings.counted(since_ms, until_ms, age_s_max)).rows
        return row.gross


async def test_who_does_not_say_that_an_older_count_will_do_has_it_counted_now():
    books = Books()
    assert [await books.look(0), await books.look(0)] == [1, 2]
    until = books.asked[1][1]
    assert until == books.clock.now_ms() - 1_000 + 1  # when it was begun


async def test_a_count_will_do_for_as_long_as_it_took_and_a_multiple_of_that():
    books = Books(takes=0.5)
    assert await books.look() == 1
    books.passes(REST * 0.5 - 0.5 - 0.01)
    assert await books.look() == 1
    books.passes(0.02)
    assert await books.look() == 2


async def test_a_count_is_never_older_than_was_asked_for():
    books = Books(takes=10)
    assert await books.look() == 1
    books.passes(49)
    assert await books.look(60) == 1
    books.passes(2)
    assert await books.look(60) == 2


async def test_a_cheap_count_is_always_a_new_one():
    books = Books(takes=0)
    assert [await books.look(), await books.look()] == [1, 2]


async def test_all_who_look_at_once_are_told_of_one_count():
    books = Books()
    books.go.clear()
    looking = [asyncio.ensure_future(books.look()) for _ in range(5)]
    await asyncio.sleep(0)
    books.go.set()
    assert await asyncio.gather(*looking) == [1] * 5


async def test_who_leaves_does_not_leave_the_others_without_an_answer():
    books = Books()
    books.go.clear()
    first, second = asyncio.ensure_future(books.look()), asyncio.ensure_future(books.look())
    await asyncio.sleep(0)
    first.cancel()
    books.go.set()
    assert await second == 2


async def test_what_could_not_be_counted_is_an_error_and_not_kept():
    books = Books()
    books.is_busy = True
    with pytest.raises(StoreUnavailableError):
        await books.look()
    books.is_busy = False
    assert await books.look() == 2


async def test_each_stretch_of_time_is_counted_by_itself_and_few_are_kept():
    books = Books()
    assert await books.look(since_ms=0) == 1
    assert await books.look(since_ms=0, until_ms=9) == 2
    assert await books.look(since_ms=0) == 1
    for number in range(TIMES_MAX):
        books.takes = 0
        await books.look(since_ms=100 + number)
    assert await books.look(since_ms=0) == TIMES_MAX + 3
