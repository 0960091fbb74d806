"""What is committed when there is room for a part of it only."""

import asyncio

import pytest

from tests.making import NOW_MS, event, spec
from webhookd.core.delivery import DeliveryKey, Outcome, Settlement
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.sqlite.store import SqliteStore


@pytest.fixture
def store(sqlite_store: SqliteStore) -> SqliteStore:
    return sqlite_store


@pytest.mark.fault(8)
async def test_who_is_owed_an_event_looks_for_it_if_only_the_settlements_after_it_found_no_room(store: SqliteStore):
    """It is in the log then, and when its provider sends it again it is a duplicate, of which nobody would hear."""
    [shop] = await store.adopt([spec()], NOW_MS)
    await store.append(delivered := event())
    answer = Outcome(NOW_MS, 5, 200, response=b"x" * 4_096)
    settlement = Settlement(DeliveryKey(delivered.key, shop.number), 1, answer, False, "delivered", None, 1)
    heard: list[tuple[int, bool]] = []
    store.announce(lambda owed, complete: heard.append((len(owed), complete)))
    [(pages,)] = await store._writer.query("PRAGMA page_count")
    await store._writer.query(f"PRAGMA max_page_count = {pages}")
    made = event()
    batch = [store._writes.submit(each) for each in (made, settlement)]
    answers = await asyncio.gather(*batch, return_exceptions=True)
    assert [type(each) for each in answers] == [StoreUnavailableError] * 2
    assert await store.event(made.key, made.salt) is not None
    assert heard == [(0, False)]
