"""A payment's history: what each event said, what it did, and where the payment stood after it."""

import asyncio
import sqlite3
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.making import NOW_MS, event
from tests.store.raw import Database, ask
from tests.store.site import Store
from tests.store.statements import of
from tests.store.test_ledger import DAY_MS, facts_about_one_payment, paid, refund, says, usd
from webhookd.core.endpoint import EndpointSpec
from webhookd.core.event import Event
from webhookd.core.ledger import Fact, effect
from webhookd.store.protocol.chronicles import SaidRow
from webhookd.store.protocol.retention import Extent
from webhookd.store.sql.batch import write_all
from webhookd.store.sql.chronicle import chronicle
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.statements import schema

CHRONICLE = of("chronicle")


async def told(store: Store, *events: Event, payment: str = "pay_1") -> list[SaidRow]:
    for each in events:
        await store.append(each)
    return [*(await store.ledger.chronicle("stripe", payment)).events]


def stood(rows: list[SaidRow]) -> list[tuple[str, int | None, int]]:
    return [(row.after.status, row.after.amount, row.after.refunded) for row in rows if row.after is not None]


async def test_each_event_is_told_with_what_it_said_and_where_the_payment_stood_after_it(store: Store):
    sent = [
        paid("pending"),
        paid("captured", at=NOW_MS + 1, refunded=0),
        refund(1, 400),
        paid("captured", at=NOW_MS + 2, refunded=1000),
    ]
    rows = await told(store, *sent)
    assert [row.key for row in rows] == [each.key for each in sent]
    assert [(row.kind, row.object_id, row.status, row.amount, row.refunded) for row in rows] == [
        ("payment", "pay_1", "pending", 1000, None),
        ("payment", "pay_1", "captured", 1000, 0),
        ("refund", "re_1", "succeeded", 400, None),
        ("payment", "pay_1", "captured", 1000, 1000),
    ]
    assert stood(rows) == [
        ("pending", 1000, 0),
        ("captured", 1000, 0),
        ("partially_refunded", 1000, 400),
        ("refunded", 1000, 1000),
    ]
    assert [(row.effect, row.against, row.stands) for row in rows] == [
        ("first", None, False),
        ("moved", "pending", False),
        ("first", None, True),
        ("same", "captured", True),
    ]


async def test_what_came_late_is_told_why_it_moved_nothing(store: Store):
    rows = await told(
        store,
        paid("captured", at=NOW_MS + 5),
        paid("authorized", at=NOW_MS + 9),
        paid("captured", amount=900, at=NOW_MS + 4),
        paid("captured", at=NOW_MS + 5, reference="order 7"),
    )
    assert [row.effect for row in rows] == ["first", "behind", "earlier", "same"]
    assert [row.against for row in rows] == [None, "captured", "captured", "captured"]
    assert stood(rows) == [("captured", 1000, 0)] * 4
    assert [row.stands for row in rows] == [False, False, False, True]


async def test_of_two_facts_that_are_equal_the_lesser_id_does_not_stand(store: Store):
    greater, lesser = (
        says(Fact("payment", "pay_1", "captured", money=usd(amount)), provider_event_id=name)
        for amount, name in ((1000, "evt_b"), (900, "evt_a"))
    )
    rows = await told(store, greater, lesser)
    assert [(row.effect, row.stands) for row in rows] == [("first", True), ("tie", False)]
    assert stood(rows) == [("captured", 1000, 0)] * 2


@pytest.mark.parametrize(
    ("said", "before", "found"),
    [
        (("dispute", 5, 0), (9, 4), "earlier"),
        (("dispute", 9, 0), (9, 4), "behind"),
        (("payment", 2, 9), (4, 5), "behind"),
        (("payment", 4, 4), (4, 5), "earlier"),
        (("payment", 0, 0), (-1, 0), "first"),
    ],
    ids=lambda given: "_".join(map(str, given)) if isinstance(given, tuple) else given,
)
def test_what_goes_back_and_forth_is_decided_by_time_and_all_else_by_how_far_on_it_is(said, before, found):
    kind, major, minor = said
    assert effect(kind, (major, minor, "a"), (*before, "b"), is_other=True) == found


async def test_an_event_that_says_nothing_of_money_is_told_as_one(store: Store):
    silent = event(payment_id="pay_1", occurred_at=NOW_MS)
    first, second = await told(store, silent, paid())
    assert (first.kind, first.effect, first.after) == (None, None, None)
    assert second.effect == "first"


async def test_a_refund_that_came_without_its_payment_is_in_the_history_once_the_ledger_knows_whose_it_is(
    store: Store,
):
    first = paid()
    orphan = event(fact=Fact("refund", "re_1", "pending", money=usd(400)), occurred_at=NOW_MS)
    rows = await told(store, first, orphan, refund(1, 400, at=NOW_MS + 1))
    assert [(row.object_id, row.status) for row in rows] == [
        ("pay_1", "captured"),
        ("re_1", "pending"),
        ("re_1", "succeeded"),
    ]
    assert [each[0] for each in stood(rows)] == ["captured", "captured", "partially_refunded"]


async def test_a_refund_that_was_said_to_be_of_two_payments_counts_where_the_ledger_has_it(store: Store):
    first, own = paid(), refund(1, 400)
    second = event(fact=Fact("refund", "re_1", "succeeded", money=usd(400)), occurred_at=NOW_MS + 1, payment_id="pay_2")
    rows = await told(store, first, own, second)
    assert [each[0] for each in stood(rows)] == ["captured", "partially_refunded", "captured"]
    payment = await store.ledger.payment("stripe", "pay_1")
    assert payment is not None
    assert payment.status == "captured"


async def test_what_another_provider_or_another_payment_is_about_is_not_told(store: Store):
    theirs = says(Fact("payment", "pay_1", "failed"), provider="paypal", source="paypal")
    other = says(Fact("payment", "pay_2", "failed"))
    ours = paid()
    assert [row.key for row in await told(store, theirs, ours, other)] == [ours.key]
    assert await told(store, payment="pay_3") == []


async def test_the_deliveries_of_each_event_are_told_by_their_endpoints(store: Store):
    await store.adopt([EndpointSpec(f"shop-{number:02}", "https://shop.example/") for number in range(23)], NOW_MS)
    [row] = await told(store, paid())
    assert [(each.name, each.state) for each in row.deliveries] == [
        (f"shop-{number:02}", "pending") for number in range(20)
    ]
    assert row.deliveries_left_out == 3


async def test_what_retention_has_taken_is_told_all_the_same(store: Store):
    sent = [paid("pending"), paid(at=NOW_MS + 1), refund(1, 400)]
    before = await told(store, *sent)
    extent = Extent(above=0, below=2**63 - 1, finished_before_ms=NOW_MS + DAY_MS, provider=None, bodies_only=False)
    await store.retention.take(extent, [sent[0].key, sent[2].key], NOW_MS + 7)
    rows = await told(store)
    assert [row.taken_at for row in rows] == [NOW_MS + 7, None, NOW_MS + 7]
    assert stood(rows) == stood(before)
    assert [row.effect for row in rows] == [row.effect for row in before]


async def test_a_history_that_is_longer_than_anybody_reads_says_how_much_more_there_is(store: Store):
    for number in range(203):
        await store.append(paid("pending", at=NOW_MS + number))
    found = await store.ledger.chronicle("stripe", "pay_1")
    assert (len(found.events), found.left_out) == (200, 3)
    assert not any(row.stands for row in found.events)


@st.composite
def stories(draw: st.DrawFn) -> list[Event]:
    """Facts about one payment, some of whose refunds are said to be another's, or nobody's."""
    events = draw(st.lists(facts_about_one_payment(), min_size=1, max_size=8))
    for place, each in enumerate(events):
        if each.fact is not None and each.fact.kind == "refund":
            fields = {name: getattr(each, name) for name in each.__struct_fields__}
            events[place] = Event(**{**fields, "payment_id": draw(st.sampled_from(["pay_1", "pay_1", "pay_2", None]))})
    return events


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=stories())
def test_after_each_event_it_stood_as_the_ledger_had_it_and_ends_as_the_ledger_has_it(
    database: Database, events: list[Event]
):
    ledger: list[object] = []
    query = (
        "SELECT status, amount, currency, exponent, refunded FROM payment WHERE provider = 'stripe' AND id = 'pay_1'"
    )
    with database() as connection:
        for each in events:
            write_all(connection, [each])
            ledger += ask(connection, query) or [None]

        async def read(statement: str, given: Any) -> list[object]:
            return await asyncio.to_thread(lambda: connection.execute(statement, given).fetchall())

        rows = asyncio.run(chronicle(read, "stripe", "pay_1")).events
    found = [
        None if row.after is None else tuple(getattr(row.after, name) for name in row.after.__struct_fields__)
        for row in rows
    ]
    place = {each.key: number for number, each in enumerate(events)}
    if rows:
        assert found[-1] == ledger[-1]
    if all(each.payment_id == "pay_1" for each in events):
        assert found == [ledger[place[row.key]] for row in rows]


@pytest.mark.parametrize("query", ["said", "stood", "payment_stood"])
def test_a_history_is_read_through_indexes_alone(query: str):
    connection: sqlite3.Connection = driver.connect(":memory:")
    connection.executescript(schema())
    names = ("provider", "payment", "limit", "counted", "deliveries", "kind", "object_id")
    given = ("stripe", "pay_1") if "?" in CHRONICLE[query] else dict.fromkeys(names, 1)
    steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {CHRONICLE[query]}", given)]
    made = ("subquery", "its_refund", "spoke", "first", " t")
    assert not [step for step in steps if step.startswith("SCAN") and not any(each in step for each in made)], steps
    assert not [step for step in steps if "ledger_recent" in step or "past_without_money" in step]
