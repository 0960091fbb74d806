"""One event's story as a store has it: all that is on record of it, and of what it is owed to."""

import pytest

from tests.making import NOW_MS, event, spec
from tests.store.history import captured, finished, refunded, take, told
from tests.store.site import Store
from webhookd.core.breaker import Health
from webhookd.core.delivery import Aftermath, DeliveryKey, Outcome, Settlement
from webhookd.core.event import QUARANTINED_TYPE, Event
from webhookd.core.identifier import delivery_id
from webhookd.store.protocol.replays import Selection
from webhookd.store.protocol.stories import (
    ChangeRow,
    ConflictRow,
    MovedRow,
    OwedRow,
    Record,
    ReplayRow,
    RouteRow,
    TriedRow,
)
from webhookd.store.protocol.trail import Deed
from webhookd.store.sql import story

LATER_MS = NOW_MS + 60_000
FAILING = Health("open", LATER_MS + 5, 2, NOW_MS)


async def record(store: Store, of: Event, endpoint: int | None = None) -> Record:
    found = await store.stories.record(of.key, of.salt, endpoint)
    assert found is not None
    return found


async def fail(store: Store, key: DeliveryKey, number: int) -> None:
    outcome = Outcome(NOW_MS + number, 7, 500, "status")
    await store.settle(
        Settlement(key, number, outcome, False, "pending", LATER_MS, 2, Aftermath(FAILING, gives_up=False))
    )


async def test_what_an_event_is_owed_and_each_attempt_are_told_and_narrowed_to_one_endpoint(store: Store):
    shop, audit = await store.adopt([spec("shop", ordering="payment"), spec("audit")], NOW_MS)
    first, second = captured(), refunded()
    for each in (first, second):
        await store.append(each)
    for number in (1, 2):
        await fail(store, DeliveryKey(first.key, shop.number), number)
    found = await record(store, first)
    assert found.event == await store.event(first.key, first.salt)
    assert (found.body, found.has_body, found.taken_at, found.routes) == (None, True, None, ())
    to_shop = OwedRow(
        shop.number,
        "shop",
        "pending",
        LATER_MS,
        2,
        False,
        500,
        "status",
        NOW_MS,
        None,
        is_held=False,
        behind=None,
        endpoint_state="active",
        why=None,
        health=FAILING,
    )
    assert [found.owed[0], found.owed[1].endpoint_name, found.owed_left_out] == [to_shop, "audit", 0]
    tried = [TriedRow(shop.number, number, NOW_MS + number, 7, 500, "status", False, "pending") for number in (1, 2)]
    assert (found.tried, found.tried_left_out) == (tried, 0)
    alone = await record(store, first, audit.number)
    assert ([each.endpoint for each in alone.owed], alone.tried) == ([audit.number], [])
    [held, free] = (await record(store, second)).owed
    assert (held.is_held, held.behind) == (True, (first.key, first.salt))
    assert (free.is_held, free.behind) == (False, None)
    assert await store.stories.record(first.key, first.salt, 99) is None
    assert await store.stories.record(first.key, first.salt + 1, None) is None
    assert await store.stories.record(first.key, None, None) == found


async def test_more_attempts_than_are_told_are_counted_and_the_newest_are_told(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(story, "ATTEMPTS_MAX", 2)
    [shop] = await store.adopt([spec()], NOW_MS)
    await store.append(made := event())
    for number in (1, 2, 3):
        await fail(store, DeliveryKey(made.key, shop.number), number)
    found = await record(store, made)
    assert ([each.number for each in found.tried], found.tried_left_out) == ([2, 3], 1)


async def test_what_it_moved_is_told_with_whether_that_still_stands_and_how_the_payment_stands(store: Store):
    paid, refund, silent = captured(), refunded(), told(payment="pay_9")
    for each in (paid, later := captured(provider_event_id="zz"), refund, silent):
        await store.append(each)
    assert (await record(store, paid)).moved == MovedRow("payment", "pay_1", "captured", stands=False)
    assert (await record(store, later)).moved == MovedRow("payment", "pay_1", "captured", stands=True)
    assert (await record(store, refund)).moved == MovedRow("refund", "re_1", "succeeded", stands=True)
    assert (await record(store, refund)).payment_status == "partially_refunded"
    nothing = await record(store, silent)
    assert (nothing.moved, nothing.payment_status) == (None, None)


async def test_other_bodies_replays_and_what_people_did_are_told(store: Store):
    [shop, _] = await store.adopt([spec("shop"), spec("other", sources=("none",))], NOW_MS)
    await store.append(made := event(body=b"one"))
    for at_ms in (NOW_MS + 1, NOW_MS + 9):
        await store.append(event(provider_event_id=made.provider_event_id, body=b"two", received_at=at_ms))
    begun = await store.replays.begin(Selection((made.id,)), None, LATER_MS)
    subjects = (made.id, delivery_id(made.key, shop.number), "shop", "other")
    for place, subject in enumerate(subjects):
        await store.trail.record(Deed(LATER_MS + place, "alice", "endpoint.pause", subject=subject))
    await store.trail.record(Deed(NOW_MS - 1, "alice", "endpoint.pause", subject="shop"))
    await store.trail.record(Deed(LATER_MS, "alice", "endpoint.ping", subject="shop"))
    found = await record(store, made)
    assert found.conflicts == [ConflictRow(NOW_MS + 1, NOW_MS + 9, 2)]
    assert found.replays == [ReplayRow(begun.number, LATER_MS)]
    assert found.changes == [
        ChangeRow(LATER_MS + place, "alice", "endpoint.pause", subject) for place, subject in enumerate(subjects[:3])
    ]


async def test_of_what_went_nowhere_the_routes_that_came_near_are_told_the_nearest_first(store: Store):
    await store.append(early := event(type="charge.paid"))
    await store.adopt(
        [
            spec("hits", sources=("stripe",), events=("charge.*",)),
            spec("source", sources=("stripe",), events=("refund.?",)),
            spec("type", sources=("other",), events=("charge.paid",)),
            spec("neither", sources=("other",), events=("refund.*",)),
        ],
        LATER_MS,
    )
    assert (await record(store, early)).routes == [
        RouteRow("hits", "stripe", "charge.*", LATER_MS, is_its_source=True, is_its_type=True),
        RouteRow("type", "other", "charge.paid", LATER_MS, is_its_source=False, is_its_type=True),
        RouteRow("source", "stripe", "refund.?", LATER_MS, is_its_source=True, is_its_type=False),
    ]


async def test_a_quarantined_event_is_told_with_its_body(store: Store):
    await store.append(made := event(state="quarantined", type=QUARANTINED_TYPE, body=b"\x00\xff"))
    assert (await record(store, made)).body == b"\x00\xff"


async def test_of_what_retention_has_taken_there_is_what_it_was_and_what_it_moved(store: Store):
    await finished(store, paid := captured())
    await take(store)
    found = await record(store, paid)
    assert (found.event.key, found.event.headers, found.has_body, found.owed, found.tried) == (
        paid.key,
        [],
        False,
        [],
        [],
    )
    assert found.taken_at is not None
    assert (found.moved, found.payment_status) == (MovedRow("payment", "pay_1", "captured", stands=True), "captured")


async def test_events_are_found_by_what_their_provider_calls_them_or_their_payment_or_object_the_newest_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(story, "CANDIDATES_MAX", 3)
    await finished(store, gone := captured())
    await take(store)
    for each in (paid := captured(), refund := refunded(), again := captured(), last := refunded(refund="re_2")):
        await store.append(each)
    same = event(provider_event_id=paid.provider_event_id, source="another")
    await store.append(same)

    async def found(name: str) -> list[int]:
        return [each.key for each in await store.stories.bearing(name)]

    assert await found(gone.provider_event_id) == [gone.key]
    assert await found(paid.provider_event_id) == [same.key, paid.key]
    assert await found("pay_1") == [last.key, again.key, refund.key]
    assert await found("re_1") == [refund.key]
    assert await found("never") == []
