"""Waiting for a payment costs the store one read for each payment that moves, however many wait."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import pytest

from tests.fake_clock import FakeClock
from tests.running import PATIENCE_S
from webhookd.admin.door.reasons import BusyError
from webhookd.admin.waiting import ANSWERED_MAX, READS_MAX, Lookout
from webhookd.core.ledger import RANKS, SETTLED
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.ledger import Ledger, PaymentRow

PAY = ("stripe", "pay_1")


class Books:
    """A ledger whose reads are counted, and go on when the test lets them; and who tells that a payment moved."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], PaymentRow] = {}
        self.commits: Counter[tuple[str, str]] = Counter()
        self.reads: Counter[tuple[str, str]] = Counter()
        self.under_way = self.under_way_max = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.failures: list[Exception] = []
        self.listener: Callable[[str, str], None]

    def watch_payments(self, listener: Callable[[str, str], None]) -> None:
        self.listener = listener

    async def payment(self, provider: str, payment_id: str) -> PaymentRow | None:
        """As it is when the read begins: what is committed while it is under way is not in it."""
        self.reads[provider, payment_id] += 1
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        row = self.rows.get((provider, payment_id))
        try:
            await self.gate.wait()
            await asyncio.sleep(0)
        finally:
            self.under_way -= 1
        if self.failures:
            raise self.failures.pop()
        return row

    def commit(self, status: str, key: tuple[str, str] = PAY) -> None:
        self.commits[key] += 1
        self.rows[key] = PaymentRow(*key, status, None, 1000, "USD", 2, 0, None, None, self.commits[key])
        self.listener(*key)


@pytest.fixture
async def books() -> Books:
    return Books()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def lookout(books: Books, clock: FakeClock) -> Lookout:
    return Lookout(cast(Ledger, books), books, clock)


def waits(lookout: Lookout, key: tuple[str, str] = PAY, wait_s: float = 30) -> asyncio.Task[PaymentRow | None]:
    return asyncio.create_task(lookout.settled(*key, wait_s))


async def until(true: Callable[[], Any]) -> None:
    """Let everything else go on until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0)


async def status(task: asyncio.Task[PaymentRow | None]) -> str | None:
    async with asyncio.timeout(PATIENCE_S):
        row = await task
    return row.status if row is not None else None


async def idle(books: Books) -> None:
    """Until what can go on without news has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)
    await until(lambda: books.under_way == 0 or not books.gate.is_set())


@pytest.mark.parametrize("found", sorted(SETTLED))
async def test_a_payment_that_is_settled_is_answered_at_once(books: Books, lookout: Lookout, found: str):
    books.commit(found)
    assert await status(waits(lookout)) == found
    assert books.reads == {PAY: 1}


@pytest.mark.parametrize("before", ["pending", "authorized", None])
async def test_who_waits_is_answered_the_moment_the_payment_settles(
    books: Books, lookout: Lookout, clock: FakeClock, before: str | None
):
    if before is not None:
        books.commit(before)
    waiting = waits(lookout)
    await idle(books)
    assert not waiting.done()
    books.commit("captured")
    assert await status(waiting) == "captured"
    assert books.reads == {PAY: 2}
    assert clock.next_timer_at() is None


async def test_who_waits_goes_on_waiting_while_the_payment_moves_without_settling(books: Books, lookout: Lookout):
    waiting = waits(lookout)
    for found in ("pending", "authorized"):
        books.commit(found)
        await idle(books)
        assert not waiting.done()
    books.commit("cancelled")
    assert await status(waiting) == "cancelled"


async def test_what_happens_to_other_payments_is_not_looked_at(books: Books, lookout: Lookout):
    waiting = waits(lookout)
    await idle(books)
    books.commit("captured", ("stripe", "pay_2"))
    books.commit("captured", ("paypal", "pay_1"))
    await idle(books)
    assert (waiting.done(), books.reads) == (False, {PAY: 1})
    waiting.cancel()


@pytest.mark.parametrize("before", ["pending", "authorized", None])
async def test_when_the_time_is_over_what_is_known_is_answered_without_another_read(
    books: Books, lookout: Lookout, clock: FakeClock, before: str | None
):
    waiting = waits(lookout)
    await idle(books)
    if before is not None:
        books.commit(before)
        await idle(books)
    reads = Counter(books.reads)
    books.gate.clear()
    began = clock.monotonic()
    assert clock.advance_to_next_timer()
    assert clock.monotonic() == began + 30
    assert await status(waiting) == before
    assert books.reads == reads


@pytest.mark.parametrize("reads", [1, 2])
async def test_a_time_that_is_over_during_a_read_waits_for_that_read(
    books: Books, lookout: Lookout, clock: FakeClock, reads: int
):
    books.commit("pending")
    first = waits(lookout) if reads == 2 else None
    await idle(books)
    books.gate.clear()
    books.commit("authorized")
    waiting = waits(lookout, wait_s=5)
    await idle(books)
    clock.advance_to_next_timer()
    await idle(books)
    assert not waiting.done()
    books.gate.set()
    assert await status(waiting) == "authorized"
    assert books.reads == {PAY: reads}
    if first is not None:
        first.cancel()


@pytest.mark.parametrize(("read", "committed"), [("pending", "captured"), ("failed", "captured"), (None, "failed")])
async def test_a_commit_during_a_read_makes_another_read_follow(
    books: Books, lookout: Lookout, read: str | None, committed: str
):
    if read is not None:
        books.commit(read)
    books.gate.clear()
    waiting = waits(lookout)
    await idle(books)
    assert books.reads == {PAY: 1}
    books.commit(committed)
    books.commit(committed)
    books.gate.set()
    assert await status(waiting) == committed
    assert books.reads == {PAY: 2}


async def test_ten_thousand_who_wait_cost_as_many_reads_as_payments_move(books: Books, lookout: Lookout):
    keys = [("stripe", f"pay_{number}") for number in range(100)]
    for key in keys:
        books.commit("pending", key)
    waiting = [waits(lookout, keys[number % 100]) for number in range(10_000)]
    await idle(books)
    assert books.reads == dict.fromkeys(keys, 1)
    for key in keys[:40]:
        books.commit("captured", key)
    for task in (task for number, task in enumerate(waiting) if number % 100 < 40):
        assert await status(task) == "captured"
    await idle(books)
    assert books.reads == {**dict.fromkeys(keys, 1), **dict.fromkeys(keys[:40], 2)}
    assert lookout.waiting == 6_000
    lookout.close()
    assert {await status(task) for task in waiting[40:100]} == {"pending"}
    await asyncio.wait(waiting)
    assert lookout.waiting == 0


async def test_many_who_are_answered_leave_turns_to_everything_else(books: Books, lookout: Lookout):
    waiting = [waits(lookout) for _ in range(1_000)]
    await idle(books)
    books.commit("captured")
    answered = [0]
    async with asyncio.timeout(PATIENCE_S):
        while answered[-1] < len(waiting):
            await asyncio.sleep(0)
            answered.append(sum(task.done() for task in waiting))
    assert max(after - before for before, after in itertools.pairwise(answered)) <= ANSWERED_MAX
    assert {await status(task) for task in waiting} == {"captured"}


async def test_ten_thousand_payments_that_move_at_once_leave_turns_to_other_reads(books: Books, lookout: Lookout):
    keys = [("stripe", f"pay_{number}") for number in range(10_000)]
    waiting = [waits(lookout, key) for key in keys]
    await idle(books)
    for key in keys:
        books.commit("captured", key)
    assert {await status(task) for task in waiting} == {"captured"}
    assert books.under_way_max == READS_MAX
    assert max(books.reads.values()) == 2


async def test_who_comes_later_learns_what_is_known_without_a_read(books: Books, lookout: Lookout, clock: FakeClock):
    books.commit("pending")
    first = waits(lookout)
    await idle(books)
    second = waits(lookout, wait_s=0.5)
    await idle(books)
    clock.advance_to_next_timer()
    assert (await status(second), first.done(), books.reads) == ("pending", False, {PAY: 1})
    first.cancel()


async def test_who_leaves_frees_the_place_at_once(books: Books, lookout: Lookout, clock: FakeClock):
    waiting = [waits(lookout) for _ in range(3)]
    await idle(books)
    waiting.pop().cancel()
    await idle(books)
    assert lookout.waiting == 2
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert (lookout.waiting, clock.next_timer_at()) == (0, None)
    books.commit("captured")
    await idle(books)
    assert books.reads == {PAY: 1}


async def test_who_leaves_during_the_first_read_takes_it_from_nobody(books: Books, lookout: Lookout):
    books.gate.clear()
    first, second = waits(lookout), waits(lookout)
    await idle(books)
    first.cancel()
    await idle(books)
    books.gate.set()
    await idle(books)
    books.commit("captured")
    assert await status(second) == "captured"
    assert books.reads == {PAY: 2}


async def test_who_asks_again_after_all_have_left_begins_with_a_read_of_its_own(books: Books, lookout: Lookout):
    books.gate.clear()
    first = waits(lookout)
    await idle(books)
    first.cancel()
    await idle(books)
    books.commit("captured")
    second = waits(lookout)
    books.gate.set()
    assert await status(second) == "captured"


async def one_at_each_turn(lookout: Lookout) -> list[asyncio.Task[PaymentRow | None]]:
    """So that one of them comes at every moment there is."""
    waiting = []
    for _ in range(20):
        waiting.append(waits(lookout))
        await asyncio.sleep(0)
    return waiting


async def test_who_comes_at_the_very_moment_it_settles_is_answered_at_once(books: Books, lookout: Lookout):
    waiting = [waits(lookout) for _ in range(3)]
    await idle(books)
    books.commit("captured")
    waiting += await one_at_each_turn(lookout)
    assert [await status(task) for task in waiting] == ["captured"] * 23


async def test_who_comes_at_the_very_moment_a_read_fails_is_told_so_or_waits_on(books: Books, lookout: Lookout):
    failing = [waits(lookout) for _ in range(3)]
    await idle(books)
    books.failures.append(StoreUnavailableError("not now"))
    books.commit("pending")
    waiting = await one_at_each_turn(lookout)
    await asyncio.wait(failing)
    books.commit("captured")
    async with asyncio.timeout(PATIENCE_S):
        found = await asyncio.gather(*waiting, return_exceptions=True)
    told = ["captured" if isinstance(each, PaymentRow) else type(each).__name__ for each in found]
    assert set(told) == {"captured", "StoreUnavailableError"}


async def test_who_leaves_before_its_read_has_its_turn_costs_none(books: Books, lookout: Lookout):
    books.gate.clear()
    waiting = [waits(lookout, ("stripe", f"pay_{number}")) for number in range(READS_MAX + 1)]
    await idle(books)
    assert books.reads.total() == READS_MAX
    waiting[-1].cancel()
    await idle(books)
    books.gate.set()
    await idle(books)
    assert books.reads.total() == READS_MAX
    lookout.close()
    await asyncio.wait(waiting)
    assert all(task.cancelled() or isinstance(task.exception(), BusyError) for task in waiting)


async def test_no_more_wait_than_may(books: Books, clock: FakeClock):
    lookout = Lookout(cast(Ledger, books), books, clock, waiting_max=2)
    waiting = [waits(lookout), waits(lookout, ("stripe", "pay_2"))]
    await idle(books)
    with pytest.raises(BusyError):
        await lookout.settled(*PAY, 30)
    assert books.reads.total() == 2
    waiting.pop().cancel()
    await idle(books)
    third = waits(lookout)
    books.commit("captured")
    assert [await status(task) for task in (*waiting, third)] == ["captured", "captured"]


async def test_at_the_end_everybody_is_answered_with_what_is_known(books: Books, lookout: Lookout):
    books.commit("pending")
    known, unknown = waits(lookout), waits(lookout, ("stripe", "pay_2"))
    await idle(books)
    books.gate.clear()
    unread = waits(lookout, ("stripe", "pay_3"))
    await idle(books)
    lookout.close()
    assert await status(known) == "pending"
    for task in (unknown, unread, waits(lookout)):
        with pytest.raises(BusyError):
            await status(task)
    assert lookout.waiting == 0


async def test_a_read_that_fails_is_told_to_all_who_wait_and_the_next_one_begins_anew(books: Books, lookout: Lookout):
    waiting = [waits(lookout) for _ in range(3)]
    await idle(books)
    books.failures.append(StoreUnavailableError("not now"))
    books.commit("captured")
    for task in waiting:
        with pytest.raises(StoreUnavailableError):
            await status(task)
    assert lookout.waiting == 0
    assert await status(waits(lookout)) == "captured"


@pytest.mark.parametrize("seed", range(40))
async def test_whatever_comes_between_nobody_is_forgotten_or_told_what_was_past_when_it_asked(
    books: Books, lookout: Lookout, clock: FakeClock, seed: int
):
    """People come and go, payments move, reads are slow and time passes, in any order."""
    dice = random.Random(seed)
    keys = [("stripe", f"pay_{number}") for number in range(3)]
    asked: list[tuple[int, asyncio.Task[PaymentRow | None]]] = []
    for _ in range(300):
        key, step = dice.choice(keys), dice.randrange(8)
        if step == 0:
            asked.append((books.commits[key], waits(lookout, key, dice.choice([0.5, 5, 60]))))
        elif step == 1:
            books.commit(dice.choice(sorted(RANKS["payment"])), key)
        elif step == 2:
            books.gate.set() if dice.random() < 0.7 else books.gate.clear()
        elif step == 3 and asked:
            dice.choice(asked)[1].cancel()
        elif step == 4:
            clock.advance_to_next_timer()
        else:
            await asyncio.sleep(0)
    books.gate.set()
    for key in keys:
        books.commit("refunded", key)
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.wait([task for _, task in asked])
    answered = [(commits, task.result()) for commits, task in asked if not task.cancelled()]
    assert len(answered) > 10
    for commits, row in answered:
        assert (row.first_event if row is not None else 0) >= commits
    assert lookout.waiting == 0
    assert [await status(waits(lookout, key)) for key in keys] == ["refunded"] * 3
