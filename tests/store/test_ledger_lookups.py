"""Looking things up in the ledger costs what is found, not what is there; and each row names its events."""

import sqlite3

import pytest

from tests.making import NOW_MS, event
from tests.store.site import Store
from tests.store.statements import of
from webhookd.core.event import Event
from webhookd.core.ledger import Fact, Kind
from webhookd.core.money import Money
from webhookd.store.protocol.ledger import LedgerFilter
from webhookd.store.sql.ledger import _parameters
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.statements import schema

SQL = of("log", "ledger")
ALL = LedgerFilter(reference="order 7", payment="pay_1", provider="stripe", status="captured")


def told(
    kind: Kind, object_id: str, payment: str | None, reference: str | None = None, names: tuple[str, ...] = ()
) -> Event:
    status = {"payment": "captured", "refund": "succeeded", "subscription": "active"}.get(kind, "paid")
    fact = Fact(kind, object_id, status, money=Money(1000, "USD", 2), reference=reference, references=names)
    return event(fact=fact, occurred_at=NOW_MS, payment_id=payment)


def plan(query: str) -> list[str]:
    connection: sqlite3.Connection = driver.connect(":memory:")
    connection.executescript(schema())
    marks = SQL[query].count("?")
    parameters = (1,) * marks if marks else {**_parameters(ALL, 50), "kind": "order"}
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {SQL[query]}", parameters)]


@pytest.mark.parametrize("query", ["payment", "payments_by_reference", "objects_looked_up"])
def test_a_lookup_walks_through_no_table_and_through_no_index_of_all(query: str):
    steps = plan(query)
    assert not [
        step for step in steps if step.startswith("SCAN") and "subquery" not in step and "json_each" not in step
    ]
    assert not [step for step in steps if "ledger_recent" in step or "ledger_counted" in step]
    assert any("PRIMARY KEY (provider=? AND kind=? AND id=?)" in step for step in steps)


@pytest.mark.parametrize("query", ["payments", "payments_by_shared_reference", "objects"])
def test_a_page_is_read_in_its_order_and_no_further_than_its_end(query: str):
    steps = plan(query)
    assert any("ledger_recent" in step for step in steps)
    assert not [step for step in steps if "TEMP B-TREE" in step]


@pytest.mark.parametrize(
    ("query", "step"),
    [
        ("gross", "USING COVERING INDEX ledger_counted (counted_at>? AND counted_at<?)"),
        ("refunded", "USING COVERING INDEX ledger_given_back (counted_at>? AND counted_at<?)"),
        ("disputed", "USING COVERING INDEX ledger_counted (counted_at>? AND counted_at<?)"),
        ("unitemised", "USING COVERING INDEX ledger_refunded (refunded_at>? AND refunded_at<?)"),
    ],
)
def test_a_piece_of_the_revenue_costs_what_counted_in_its_time_and_not_all_there_is(query: str, step: str):
    steps = plan(query)
    assert any(step in each for each in steps), steps
    assert not [each for each in steps if "ledger_recent" in each or each.startswith("SCAN ledger")]


async def test_a_row_names_the_events_that_spoke_of_it_in_log_order(store: Store):
    sent = [
        told("payment", "pay_1", "pay_1"),
        told("refund", "re_1", "pay_1"),
        told("payment", "pay_2", "pay_2"),
        told("payment", "pay_1", "pay_1"),
        told("refund", "re_1", "pay_1"),
    ]
    for each in sent:
        await store.append(each)
    ids = [each.id for each in sent]
    rows = (await store.ledger.payments(LedgerFilter(), 10)).rows
    assert {row.id: row.events for row in rows} == {"pay_1": [*ids[:2], *ids[3:]], "pay_2": [ids[2]]}
    assert [row.events for row in (await store.ledger.payments(LedgerFilter(reference="pay_2"), 10)).rows] == [[ids[2]]]
    for narrowed in (LedgerFilter(), LedgerFilter(payment="pay_1")):
        assert [row.events for row in (await store.ledger.objects("refund", narrowed, 10)).rows] == [[ids[1], ids[4]]]
    one = await store.ledger.payment("stripe", "pay_1")
    assert one is not None
    assert one.events == [*ids[:2], *ids[3:]]


async def test_a_row_names_no_more_than_the_first_hundred_events(store: Store):
    sent = [told("payment", "pay_1", "pay_1") for _ in range(103)]
    for each in sent:
        await store.append(each)
    [row] = (await store.ledger.payments(LedgerFilter(), 10)).rows
    assert row.events == [each.id for each in sent[:100]]


async def test_a_row_names_no_event_of_another_providers_object_with_the_same_id(store: Store):
    theirs = event(fact=Fact("payment", "pay_1", "failed"), payment_id="pay_1", provider="paypal", source="paypal")
    ours = told("payment", "pay_1", "pay_1")
    for each in (theirs, ours):
        await store.append(each)
    rows = (await store.ledger.payments(LedgerFilter(), 10)).rows
    assert {row.provider: row.events for row in rows} == {"paypal": [theirs.id], "stripe": [ours.id]}


async def test_objects_are_found_by_their_own_reference_and_by_their_payment(store: Store):
    for each in (
        told("order", "cs_1", "pay_1", "order 7"),
        told("order", "cs_2", "pay_1", "order 8"),
        told("subscription", "sub_1", None, "order 7"),
    ):
        await store.append(each)

    async def ids(kind: Kind, **narrowed: str) -> list[str]:
        return [row.id for row in (await store.ledger.objects(kind, LedgerFilter(**narrowed), 10)).rows]

    assert await ids("order", reference="order 7") == ["cs_1"]
    assert await ids("order", payment="pay_1") == ["cs_2", "cs_1"]
    assert await ids("order", payment="pay_1", reference="order 8") == ["cs_2"]
    assert await ids("order", payment="pay_2", reference="order 8") == []
    assert await ids("order", reference="cs_1") == ["cs_1"]
    assert await ids("order", payment="pay_1", reference="cs_2") == ["cs_2"]
    assert await ids("order", reference="sub_1") == []
    assert await ids("subscription", reference="order 7") == ["sub_1"]
    assert await ids("subscription", reference="order 7", provider="paypal") == []
    assert await ids("subscription", reference="order 7", status="paused") == []


async def test_a_name_that_very_many_payments_bear_is_paged_like_one_that_few_bear(store: Store, monkeypatch):
    for number in range(7):
        await store.append(told("payment", f"pay_{number}", f"pay_{number}", names=("gold", f"order {number}")))
    await store.append(told("payment", "pay_plain", "pay_plain"))
    pages = []
    for looked_up_max in (1000, 6):
        monkeypatch.setattr("webhookd.store.sql.ledger.LOOKED_UP_MAX", looked_up_max)
        seen, before = [], None
        while page := (await store.ledger.payments(LedgerFilter(reference="gold", before=before), 3)).rows:
            seen.append([row.id for row in page])
            before = page[-1].first_event
        pages.append(seen)
    assert pages[0] == [["pay_6", "pay_5", "pay_4"], ["pay_3", "pay_2", "pay_1"], ["pay_0"]]
    assert pages[1] == pages[0]
