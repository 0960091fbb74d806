"""Captured payments that did not arrive are found, whatever page they are on, and no others."""

from collections import Counter

import pytest

from tests.making import NOW_MS, event, spec
from tests.store.site import Store
from webhookd.core.delivery import DeliveryKey, Outcome, Settlement
from webhookd.core.endpoint import Endpoint
from webhookd.core.event import Event
from webhookd.core.identifier import key_floor
from webhookd.core.ledger import Fact
from webhookd.core.money import Money
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.sql.stuck import SqlStuck
from webhookd.store.sqlite.store import SqliteStore

YEAR_MS = 365 * 86_400_000
LATER = key_floor(NOW_MS + YEAR_MS)
PAGES = pytest.mark.parametrize("rows", [1, 2, 2_000])


def capture(payment: str, **fields: object) -> Event:
    fact = Fact("payment", payment, "captured", money=Money(1050, "USD", 2))
    return event(payment_id=payment, fact=fact, **fields)


async def found(store: Store, rows: int, older_than: int = LATER) -> dict[tuple[int, str], int]:
    stuck = SqlStuck(store._history_reader.look, rows)  # type: ignore[attr-defined]
    counted: Counter[tuple[int, str]] = Counter()
    place: object | None = None
    while True:
        page = await stuck.stuck(older_than, place)
        for endpoint, state, count in page.found:
            counted[endpoint, state] += count
        if (place := page.then) is None:
            return {each: count for each, count in counted.items() if count}


async def settle(store: Store, made: Event, endpoint: Endpoint, state: str) -> None:
    ok = state == "delivered"
    outcome = Outcome(NOW_MS, 1, 200 if ok else 500, None if ok else "status")
    await store.settle(Settlement(DeliveryKey(made.key, endpoint.number), 1, outcome, False, state, None, 1))


@PAGES
async def test_what_is_dead_or_has_been_pending_too_long_is_stuck(store: Store, rows: int):
    shop, books = await store.adopt([spec("shop"), spec("books")], NOW_MS)
    events = [capture(f"pi_{number}") for number in range(5)]
    for each in events:
        await store.append(each)
        await settle(store, each, books, "delivered")
    await settle(store, events[0], shop, "dead")
    await settle(store, events[1], shop, "dead")
    await settle(store, events[2], shop, "delivered")
    assert await found(store, rows) == {(shop.number, "dead"): 2, (shop.number, "pending"): 2}
    assert await found(store, rows, older_than=events[4].key) == {(shop.number, "dead"): 2, (shop.number, "pending"): 1}


@PAGES
async def test_what_says_nothing_of_a_capture_is_not_stuck(store: Store, rows: int):
    [shop] = await store.adopt([spec("shop")], NOW_MS)
    plain = event()
    refund = event(payment_id="pi_1", fact=Fact("refund", "re_1", "succeeded", money=Money(5, "USD", 2)))
    failed = event(payment_id="pi_1", fact=Fact("payment", "pi_1", "failed", money=Money(5, "USD", 2)))
    for each in (plain, refund, failed):
        await store.append(each)
    await settle(store, plain, shop, "dead")
    assert await found(store, rows) == {}


@PAGES
async def test_what_another_event_has_told_the_endpoint_is_not_stuck(store: Store, rows: int):
    shop, books = await store.adopt([spec("shop"), spec("books")], NOW_MS)
    first, second = capture("pi_1"), capture("pi_1")
    for each in (first, second):
        await store.append(each)
        await settle(store, each, books, "dead")
    await settle(store, first, shop, "dead")
    assert await found(store, rows) == {(books.number, "dead"): 2, (shop.number, "pending"): 1}
    await settle(store, second, shop, "delivered")
    assert await found(store, rows) == {(books.number, "dead"): 2}


@PAGES
async def test_what_waits_for_an_earlier_one_of_its_payment_is_stuck_too(store: Store, rows: int):
    [shop] = await store.adopt([spec("shop", ordering="payment")], NOW_MS)
    created = event(payment_id="pi_1", fact=Fact("payment", "pi_1", "pending", money=Money(5, "USD", 2)))
    await store.append(created)
    await store.append(capture("pi_1"))
    assert await found(store, rows) == {(shop.number, "pending"): 1}


async def test_a_page_that_takes_too_long_is_given_up_so_that_others_can_read(
    sqlite_store: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    store = sqlite_store
    [shop] = await store.adopt([spec("shop")], NOW_MS)
    events = [capture("pi_1") for _ in range(200)]
    for each in events:
        await store.append(each)
        await settle(store, each, shop, "dead")
    monkeypatch.setattr("webhookd.store.sqlite.patience.READ_SECONDS_MAX", -1.0)
    with pytest.raises(StoreUnavailableError):
        await store.outbox_survey.stuck(LATER, None)
