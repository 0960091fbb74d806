"""A page of a list looks at a bounded number of rows, however rare what is wanted; page by page all of it is found."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec
import pytest

from tests.making import event
from tests.store.conftest import KINDS
from tests.store.heap import AT, CANCELLED, DEAD, DELIVERED, MANY, PENDING, heap, make_heap
from tests.store.raw import blob, write
from tests.store.site import Site, Store
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.protocol.history import DeliveryRow, EventRow, Filter, Looked
from webhookd.store.protocol.ledger import LedgerFilter, ObjectRow, PaymentRow
from webhookd.store.sql import dead, looks, lookup
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.ledger import LOOKS as LEDGER_LOOKS
from webhookd.store.sql.looks import LOOKS
from webhookd.store.sqlite.statements import Speaking
from webhookd.store.sqlite.store import SqliteStore

T = TypeVar("T")
LIMIT = 50
INSTRUCTIONS_MAX = 800_000
"""Of SQLite's machine, for one page: some 40 ms."""
AnyStore = SqliteStore | PostgresStore
Page = Callable[[Store, Any, int], Awaitable[Looked[Any]]]


@pytest.fixture(scope="module", params=KINDS)
def long_past(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], AnyStore]:
    """A store of each kind with HEAP in it, which no test here changes."""
    if request.param == "sqlite":
        make_heap(path := tmp_path_factory.mktemp("heap") / "webhookd.db")
        return partial(SqliteStore, path)
    url = request.getfixturevalue("postgres").url()
    asyncio.run(fill(PostgresStore(url)))
    return partial(PostgresStore, url)


KNOWN = (
    "INSERT INTO identity (source, provider_event_id, key, salt, sha256) "
    "SELECT source, provider_event_id, key, salt, sha256 FROM event"
)


async def fill(store: PostgresStore) -> None:
    await store.open()
    await write(store, *heap(partial(blob, store)), KNOWN, "ANALYZE")
    await store.close()


@pytest.fixture
async def store(long_past: Callable[[], AnyStore]) -> AsyncIterator[AnyStore]:
    opened = long_past()
    await opened.open()
    yield opened
    await opened.close()


class Counted:
    """A reader that counts what SQLite does. PostgreSQL reads a table of this size to its end where that is cheaper."""

    def __init__(self, reader: Any) -> None:
        self._reader, self.instructions = reader, 0

    async def look(self, function: Callable[[Connection], T]) -> T:
        def within(connection: sqlite3.Connection) -> T:
            connection.set_progress_handler(self._count, 100)
            try:
                return function(Speaking(connection))
            finally:
                connection.set_progress_handler(None, 0)

        self.instructions = 0
        found: T = await self._reader.run(within)
        return found

    def _count(self) -> int:
        self.instructions += 100
        return 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)


def events(store: Store, narrowed: Any, limit: int) -> Awaitable[Looked[Any]]:
    return store.events(narrowed, limit)


def deliveries(store: Store, narrowed: Any, limit: int) -> Awaitable[Looked[Any]]:
    return store.deliveries(narrowed, limit)


def pending(store: Store, narrowed: Any, limit: int) -> Awaitable[Looked[Any]]:
    return store.lookup.pending(narrowed, limit)


def dead_letters(store: Store, narrowed: Any, limit: int) -> Awaitable[Looked[Any]]:
    return store.dead_letters.deliveries(narrowed, limit)


def payments(store: Store, narrowed: Any, limit: int) -> Awaitable[Looked[Any]]:
    return store.ledger.payments(narrowed, limit)


def refunds(store: Store, narrowed: Any, limit: int) -> Awaitable[Looked[Any]]:
    return store.ledger.objects("refund", narrowed, limit)


LISTS: dict[str, tuple[Page, Any, Sequence[int], int]] = {
    "events by type": (events, Filter(type="rare"), (3, 2, 1, 0), MANY // LOOKS),
    "events by source": (events, Filter(source="other"), (3, 2, 1, 0), MANY // LOOKS),
    "accepted events": (events, Filter(state="accepted", type="rare"), (2, 0), MANY // LOOKS),
    "unrouted events": (events, Filter(state="unrouted", type="rare"), (3, 1), MANY // 2 // LOOKS),
    "newer events": (events, Filter(type="last", after=0), (MANY - 1,), MANY // LOOKS),
    "deliveries by type": (deliveries, Filter(type="rare"), (3, 2, 1, 0), MANY // LOOKS),
    "deliveries to one": (deliveries, Filter(endpoint="audit"), (DELIVERED,), MANY // LOOKS),
    "cancelled": (deliveries, Filter(state="cancelled", type="rare"), (CANCELLED,), MANY // 4 // LOOKS),
    "dead": (dead_letters, Filter(state="dead", type="rare"), (DEAD,), MANY // 16 * 3 // (LOOKS // 2)),
    "dead by error": (dead_letters, Filter(state="dead", type="rare", error="tls"), (DEAD,), MANY // 16 * 3 // LOOKS),
    "pending": (pending, Filter(state="pending", type="rare"), (PENDING,), MANY // 4 // LOOKS),
    "payments by status": (payments, LedgerFilter(status="refunded"), (0,), MANY // LEDGER_LOOKS),
    "payments by provider": (payments, LedgerFilter(provider="paypal"), (1,), MANY // LEDGER_LOOKS),
    "payments by name": (payments, LedgerFilter(reference="gold", status="refunded"), (0,), MANY // LEDGER_LOOKS),
    "refunds by status": (refunds, LedgerFilter(status="failed"), (0,), MANY // LEDGER_LOOKS),
    "refunds by name": (refunds, LedgerFilter(reference="gold", status="failed"), (0,), MANY // LEDGER_LOOKS),
}
"""How a list is asked for, the rows at its far end that are wanted, in order, and after how many looks it is there."""


def further(narrowed: Any, then: Sequence[int]) -> Any:
    if isinstance(narrowed, LedgerFilter):
        return msgspec.structs.replace(narrowed, before=then[0])
    if narrowed.after is not None:
        return msgspec.structs.replace(narrowed, after=then[0])
    return msgspec.structs.replace(narrowed, before=(then[0], then[1] if len(then) > 1 else 0))


def _key(row: EventRow | DeliveryRow | PaymentRow | ObjectRow) -> int:
    match row:
        case EventRow():
            return row.key
        case DeliveryRow():
            return row.event
        case _:
            return row.first_event


async def walked(store: Store, ask: Page, narrowed: Any, limit: int = LIMIT) -> list[list[int]]:
    """The keys on each page, to the end; none of which took long."""
    reader = Counted(store._history_reader)  # type: ignore[attr-defined]
    if isinstance(store, SqliteStore):
        store._history_reader = reader  # type: ignore[assignment]
    pages: list[list[int]] = []
    while True:
        found = await ask(store, narrowed, limit)
        assert reader.instructions < INSTRUCTIONS_MAX
        pages.append([_key(row) for row in found.rows])
        if found.then is None:
            return pages
        narrowed = further(narrowed, found.then)


@pytest.mark.parametrize("name", LISTS)
async def test_what_is_rare_is_found_once_by_going_on_and_no_page_looks_far(store: Store, name: str):
    ask, narrowed, places, looks = LISTS[name]
    pages = await walked(store, ask, narrowed)
    assert [key for page in pages for key in page] == [AT[place] for place in places]
    assert len(pages) in (looks, looks + 1), "each page looks as far as it may"
    assert pages[0] == [], "and ends there, though nothing was found"


@pytest.mark.parametrize("name", LISTS)
async def test_a_page_of_one_row_goes_on_right_behind_it(store: Store, name: str):
    ask, narrowed, places, _looks = LISTS[name]
    pages = await walked(store, ask, narrowed, 1)
    assert [key for page in pages for key in page] == [AT[place] for place in places]


async def test_a_list_of_everything_is_read_in_full_pages(store: Store):
    for ask in (events, deliveries, payments, refunds):
        narrowed = Filter() if ask in (events, deliveries) else LedgerFilter()
        pages = await walked(store, ask, narrowed, 2_500)
        assert [len(page) for page in pages] == [2_500] * (MANY // 2_500) + [0]
        assert len({key for page in pages for key in page}) == MANY


async def test_a_time_is_the_end_of_the_list_wherever_a_look_would_end(store: Store):
    since_ms = AT[MANY - LOOKS - 10] >> 21
    assert await walked(store, events, Filter(type="rare", since_ms=since_ms)) == [[], []]
    assert await walked(store, deliveries, Filter(type="rare", since_ms=since_ms + 20)) == [[]]
    assert await walked(store, payments, LedgerFilter(status="failed", since_ms=AT[-10] >> 21)) == [[]]
    until_ms = AT[3] >> 21
    assert await walked(store, events, Filter(type="rare", until_ms=until_ms)) == [[AT[2], AT[1], AT[0]]]
    assert await walked(store, events, Filter(type="rare", until_ms=until_ms, after=AT[0])) == [[AT[1], AT[2]]]


async def test_very_much_that_is_owed_is_looked_for_along_the_outbox(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lookup, "PENDING_MAX", 1_000)
    ask, narrowed, places, _looks = LISTS["pending"]
    pages = await walked(store, ask, narrowed)
    assert len(pages) in (MANY // LOOKS, MANY // LOOKS + 1)
    assert [key for page in pages for key in page] == [AT[place] for place in places]
    everything = await walked(store, ask, Filter(), 500)
    assert [key for page in everything for key in page] == AT[PENDING::4][::-1]


async def test_what_is_dead_for_very_many_reasons_is_looked_for_among_all_that_is_dead(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dead, "REASONS_MAX", 1)
    ask, narrowed, places, _looks = LISTS["dead"]
    pages = await walked(store, ask, narrowed)
    assert [key for page in pages for key in page] == [AT[place] for place in places]
    assert len(pages) == MANY // 4 // LOOKS + 1


async def test_what_comes_meanwhile_shifts_nothing(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(looks, "LOOKS", 10)
    store = await site.open()
    made = [event(type="rare" if place < 4 else "usual") for place in range(30)]
    for each in made:
        await store.append(each)
    found: list[int] = []
    narrowed = Filter(type="rare")
    while True:
        await store.append(event(type="rare"))
        page = await store.events(narrowed, 3)
        found += [row.key for row in page.rows]
        if page.then is None:
            break
        narrowed = further(narrowed, page.then)
    newer = found[: len(found) - 4]
    assert len(newer) == 1, "what was there when the first page was read"
    assert found[-4:] == [made[place].key for place in (3, 2, 1, 0)]
    await store.close()
