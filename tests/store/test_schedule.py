"""Times at which deliveries are due, when the wall clock by which they were written down is another one now."""

import asyncio

import pytest

from tests.making import NOW_MS, TEN_OF_EACH, event, spec
from tests.store.site import Store
from webhookd.core.delivery import Outcome, settle
from webhookd.core.endpoint import Endpoint
from webhookd.core.retry import RetryPolicy
from webhookd.store.protocol.history import Filter
from webhookd.store.protocol.log import LATEST_MS
from webhookd.store.sql import schedule
from webhookd.store.sqlite.statements import STATEMENTS
from webhookd.store.sqlite.store import SqliteStore

DAY_MS = 86_400_000
NO_BOUND = 2**30


async def owed(store: Store, *due_at: int, ordering: str = "none") -> Endpoint:
    """An endpoint that is owed an event at each of these times after NOW_MS."""
    [endpoint] = await store.adopt([spec(waits_ms=(0,), ordering=ordering)], NOW_MS)
    await asyncio.gather(*(store.append(event(received_at=NOW_MS + at, payment_id="pi_1")) for at in due_at))
    return endpoint


async def due_at(store: Store) -> list[int]:
    rows = (await store.deliveries(Filter(), 500)).rows
    return sorted(row.due_at - NOW_MS for row in rows if row.due_at is not None)


async def test_what_would_have_to_wait_longer_than_anything_does_is_due(store: Store):
    endpoint = await owed(store, 0, 500, 1_000, 1_001, 180 * DAY_MS)
    batch = await store.due(endpoint.number, NOW_MS, [], TEN_OF_EACH, NO_BOUND, 1_000)
    assert [due.due_at - NOW_MS for due in batch.due] == [0, 1_001, 180 * DAY_MS]
    assert batch.next_due_at == NOW_MS + 500
    batch = await store.due(endpoint.number, NOW_MS, [], {2: 2}, NO_BOUND, 1_000)
    assert [due.due_at - NOW_MS for due in batch.due] == [0, 1_001]
    assert batch.behind == {2}


@pytest.mark.parametrize("at_once", [1, 3, 1_000])
@pytest.mark.parametrize("by_ms", [DAY_MS, 2, -DAY_MS, -2])
async def test_of_a_stretch_of_time_all_is_moved_once_and_only_that(
    store: Store, by_ms: int, at_once: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(schedule, "RETIMED_MAX", at_once)
    endpoint = await owed(store, 1, 2, 3, 3, 3, 3, 4, 5, 9, 10)
    steps, stretch = 0, (NOW_MS + 2, NOW_MS + 9)
    while (left := await store.retime(endpoint.number, stretch, by_ms, LATEST_MS)) is not None:
        assert left != stretch
        steps, stretch = steps + 1, left
    assert await due_at(store) == sorted([1, *(at + by_ms for at in (2, 3, 3, 3, 3, 4, 5, 9)), 10])
    assert steps > 0 or at_once == 1_000


async def test_what_has_come_since_the_clock_was_set_stays_and_what_is_tried_again_does_not(store: Store):
    endpoint = await owed(store, 5, 6, 7, 8)
    failed = Outcome(NOW_MS, 1, 500, "status")
    for due in (await store.due(endpoint.number, NOW_MS + 8, [], TEN_OF_EACH, NO_BOUND)).due[2:]:
        await store.settle(settle(due, failed, RetryPolicy((0, 10)), due.due_at, 0.0))
    assert await due_at(store) == [5, 6, 17, 18]
    assert await store.retime(endpoint.number, (NOW_MS + 5, LATEST_MS), DAY_MS, NOW_MS + 6) is None
    assert await due_at(store) == [6, *(DAY_MS + at for at in (5, 17, 18))]


async def test_what_is_held_behind_another_of_its_chain_is_moved_too(store: Store):
    endpoint = await owed(store, 5, 6, 7, ordering="payment")
    assert await store.retime(endpoint.number, (NOW_MS, LATEST_MS), -DAY_MS, LATEST_MS) is None
    assert await due_at(store) == [at - DAY_MS for at in (5, 6, 7)]


async def test_what_is_owed_to_another_endpoint_or_settled_stays_as_it_is(store: Store):
    endpoint, all_of_it = await owed(store, 5), (NOW_MS, LATEST_MS)
    assert await store.retime(endpoint.number + 1, all_of_it, -DAY_MS, LATEST_MS) is None
    assert await due_at(store) == [5]
    [due] = (await store.due(endpoint.number, NOW_MS + 5, [], TEN_OF_EACH, NO_BOUND)).due
    await store.cancels.cancel(due.key, NOW_MS)
    assert await store.retime(endpoint.number, all_of_it, -DAY_MS, LATEST_MS) is None
    assert await due_at(store) == []


async def test_times_are_looked_up_and_no_table_is_scanned(sqlite_store: SqliteStore):
    for name in ("waits_until", "waits_from", "retime", "retime_held"):
        explain = "EXPLAIN QUERY PLAN " + STATEMENTS[f"log.{name}"]
        rows = await sqlite_store._history_reader.query(explain, (1,) * STATEMENTS[f"log.{name}"].count("?"))
        assert [row[3] for row in rows if not row[3].startswith("SEARCH delivery USING")] == []
