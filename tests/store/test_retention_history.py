"""Whatever is received, settled, taken out and counted again in whatever order: the books are those of a log that was
never shortened, and a repeat is a repeat.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making import MINT, NOW_MS, spec
from tests.store.history import BODIES, books, captured, refunded, reread, settle, take, told
from tests.store.site import NewSite, Store
from webhookd.core.event import Event
from webhookd.core.ledger import Fact
from webhookd.core.money import Money
from webhookd.store.protocol.history import Filter
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.store import SqliteStore


class Step(NamedTuple):
    do: str
    which: int


def _events() -> list[Event]:
    """What a provider has to tell: of two payments, some of it twice and in odd order, and some of no money at all."""
    failed = Fact("payment", "pay_2", "failed", money=Money(500, "EUR", 2))
    part = Fact("payment", "pay_1", "partially_refunded", money=Money(1000, "USD", 2), refunded=300)
    return [
        captured(),
        refunded(),
        told(part, "pay_1"),
        told(failed, "pay_2"),
        captured("pay_2", alias="transmission:1"),
        refunded("pay_2", "re_2"),
        told(),
        told(alias="sha256:1"),
    ]


STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(["receive", "receive", "repeat", "settle", "settle", "take", "empty", "forget", "rebuild"]),
        st.integers(0, 7),
    ),
    min_size=10,
    max_size=30,
)


@settings(max_examples=25)
@given(steps=STEPS)
def test_a_log_that_is_shortened_tells_the_same_of_money_as_one_that_never_was(
    new_site: NewSite, steps: Sequence[Step]
):
    async def live() -> None:
        with tempfile.TemporaryDirectory() as directory:
            async with _opened(new_site, Path(directory)) as (shortened, whole):
                world = _World(shortened, whole)
                for step in steps:
                    await getattr(world, step.do)(step.which)
                assert await books(shortened) == await books(whole)
                await world.rebuild(0)
                if isinstance(shortened, SqliteStore):
                    assert [each for each in audit(shortened._path, reread) if each.check != "payments"] == []

    asyncio.run(live())


@asynccontextmanager
async def _opened(new_site: NewSite, directory: Path) -> AsyncIterator[list[Store]]:
    stores = [await new_site(directory / name).open() for name in ("shortened", "whole")]
    try:
        for store in stores:
            await store.adopt([spec()], NOW_MS - 1)
        yield stores
    finally:
        for store in stores:
            await store.close()


class _World:
    """One store that is shortened, one that never is; both are told the same."""

    def __init__(self, shortened: Store, whole: Store) -> None:
        self._shortened, self._stores = shortened, (shortened, whole)
        self._events = _events()
        self._received: dict[int, Event] = {}
        self._expired: set[int] = set()
        """Those that nobody repeats any more."""

    async def receive(self, which: int) -> None:
        if which in self._received:
            await self.repeat(which)
            return
        self._received[which] = each = msgspec.structs.replace(self._events[which], key=MINT.next(NOW_MS))
        for store in self._stores:
            assert (await store.append(each)).status == "accepted"

    async def repeat(self, which: int) -> None:
        if which not in self._received or which in self._expired:
            return
        first = self._received[which]
        again = msgspec.structs.replace(first, key=MINT.next(NOW_MS), salt=first.salt + 1)
        for store in self._stores:
            answer = await store.append(again)
            assert (answer.status, answer.event_id, answer.conflict) == ("duplicate", first.id, False)

    async def settle(self, which: int) -> None:
        """All that is pending of the events up to this one."""
        for number, each in self._received.items():
            for store in self._stores:
                if number <= which and [row.state for row in await store.deliveries_of(each.key)] == ["pending"]:
                    await settle(store, each, 1)

    async def take(self, _which: int) -> None:
        pending = await self._pending()
        await take(self._shortened)
        assert await self._pending() == pending
        assert len((await self._shortened.events(Filter(), 100)).rows) == len(pending), "all that is finished is gone"

    async def empty(self, _which: int) -> None:
        await take(self._shortened, BODIES)

    async def forget(self, which: int) -> None:
        if (each := self._received.get(which)) is None:
            return
        await self._shortened.retention.forget(each.key + 1, 100)
        for number, other in self._received.items():
            is_there = await self._shortened.event(other.key, other.salt) is not None
            if not is_there and await self._shortened.retention.past(other.key) is None:
                assert (other.fact, other.payment_id) == (None, None)
                self._expired.add(number)

    async def rebuild(self, _which: int) -> None:
        """Only SQLite can."""
        if isinstance(self._shortened, SqliteStore):
            assert await self._shortened.rebuild_ledger(reread, lambda _done, _total: None) == 0

    async def _pending(self) -> list[int]:
        return [row.event for row in (await self._shortened.deliveries(Filter(state="pending"), 100)).rows]
