"""The ledger that the log's own triggers keep: any order of the same events, some of them twice, makes the same one."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making import NOW_MS, event
from tests.store.raw import Database, ask
from tests.store.site import Store
from webhookd.core.event import Event
from webhookd.core.ledger import RANKS, Fact, Kind
from webhookd.core.money import Money
from webhookd.store.protocol.ledger import LedgerFilter, PaymentRow
from webhookd.store.sql.batch import write_all
from webhookd.store.sql.connection import Connection

DAY_MS = 86_400_000
USD = Money(1000, "USD", 2)


def usd(amount: int | None) -> Money:
    return Money(amount, "USD", 2)


def says(fact: Fact | None, at: int | None = NOW_MS, payment: str | None = None, **fields: Any) -> Event:
    """An event with this fact; a payment's own id is its payment."""
    if payment is None and fact is not None:
        payment = fact.id if fact.kind == "payment" else "pay_1"
    return event(fact=fact, occurred_at=at, payment_id=payment, **fields)


def paid(status: str = "captured", amount: int | None = 1000, at: int | None = NOW_MS, **fields: Any) -> Event:
    return says(Fact("payment", "pay_1", status, money=usd(amount), **fields), at)


def refund(number: int, amount: int, status: str = "succeeded", at: int | None = NOW_MS, **fields: Any) -> Event:
    return says(Fact("refund", f"re_{number}", status, money=usd(amount), **fields), at)


def ledger_of(database: Database, events: Sequence[Event], batch: int = 3) -> list[Any]:
    """What the tables hold after these events, without the order in which they were heard of."""
    with database() as connection:
        return _ledger_of(connection, events, batch)


def _ledger_of(connection: Connection, events: Sequence[Event], batch: int) -> list[Any]:
    for number, first in enumerate(range(0, len(events), batch)):
        again = [
            # A key of its own for each hook, as the intake mints them.
            _with_key(each, (number * batch + place + 1) << 21)
            for place, each in enumerate(events[first : first + batch])
        ]
        write_all(connection, again)
    rows = ask(
        connection,
        "SELECT provider, kind, id, status, detail, major, minor, tie, occurred_at, amount, currency, exponent,"
        " payment_id, reference, refunded, refunded_at, counted_at FROM ledger ORDER BY 1, 2, 3",
    )
    payments = ask(connection, "SELECT id, status, refunded FROM payment ORDER BY 1")
    return [rows, payments, ask(connection, "SELECT * FROM reference ORDER BY 1, 2, 3")]


def _with_key(each: Event, key: int) -> Event:
    fields = {name: getattr(each, name) for name in each.__struct_fields__}
    return Event(**{**fields, "key": key, "salt": key % 1000})


TIMES = st.sampled_from([None, NOW_MS, NOW_MS + 1_000, NOW_MS + DAY_MS])
AMOUNTS = st.sampled_from([None, 0, 400, 600, 1000])


@st.composite
def facts_about_one_payment(draw: st.DrawFn) -> Event:
    kind: Kind = draw(st.sampled_from(["payment", "payment", "refund", "dispute", "order", "transfer"]))
    object_id = "pay_1" if kind == "payment" else f"{kind}_{draw(st.integers(1, 2))}"
    fact = Fact(
        kind,
        object_id,
        draw(st.sampled_from(sorted(RANKS[kind]))),
        draw(st.sampled_from([None, "a word"])),
        usd(draw(AMOUNTS)),
        draw(AMOUNTS),
        draw(st.sampled_from([None, "order 7", "order 8"])),
        draw(st.sampled_from([(), ("cs_1",), ("cs_1", "cs_2")])),
    )
    return says(fact, draw(TIMES), "pay_1")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_order_and_any_repetition_of_the_same_events_make_one_ledger(database: Database, data: st.DataObject):
    events = data.draw(st.lists(facts_about_one_payment(), min_size=1, max_size=7))
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=5))
    shuffled = data.draw(st.permutations([*events, *repeated]))
    assert ledger_of(database, shuffled, data.draw(st.integers(1, 5))) == ledger_of(database, events)


def test_of_one_event_that_two_sources_tell_differently_the_same_one_stands_in_either_order(database: Database):
    """As two endpoints of one account do that have each a version of the API, or a provider that sends what is now."""
    one = says(Fact("payment", "pay_1", "captured", "succeeded", usd(1000)), provider_event_id="evt_1", source="a")
    other = says(Fact("payment", "pay_1", "captured", "paid", usd(900)), provider_event_id="evt_1", source="b")
    heard = [
        says(Fact(*fact), payment="pay_2", provider_event_id="evt_2", source=source)
        for source, fact in (
            ("a", ("refund", "re_1", "succeeded", None, usd(5))),
            ("b", ("refund", "re_1", "succeeded", None, Money(5, "EUR", 2))),
        )
    ]
    assert ledger_of(database, [one, other, *heard]) == ledger_of(database, [*reversed(heard), other, one])


@pytest.mark.parametrize(
    ("told", "status"),
    [
        (["pending", "authorized", "captured"], "captured"),
        (["failed", "captured"], "captured"),
        (["failed", "authorized"], "authorized"),
        (["authorized", "cancelled"], "cancelled"),
    ],
)
def test_rank_decides_and_not_arrival(database: Database, told: list[str], status: str):
    for order in itertools.permutations(told):
        [_rows, payments, _references] = ledger_of(database, [paid(each) for each in order])
        assert payments == [("pay_1", status, 0)]


def test_a_late_authorized_changes_nothing_although_its_time_is_later(database: Database):
    [[row], _, _] = ledger_of(database, [paid("captured", 1000), paid("authorized", 5000, NOW_MS + DAY_MS)])
    assert (row[3], row[8], row[9]) == ("captured", NOW_MS, 1000)


async def payment(store: Store, *events: Event) -> PaymentRow:
    for each in events:
        await store.append(each)
    found = await store.ledger.payment("stripe", "pay_1")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("events", "status", "refunded"),
    [
        ([paid()], "captured", 0),
        ([paid(), refund(1, 400)], "partially_refunded", 400),
        ([paid(), refund(1, 400), refund(2, 600)], "refunded", 1000),
        ([paid(), refund(1, 400, "pending")], "captured", 0),
        ([paid(), refund(1, 400), refund(1, 400, "failed")], "captured", 0),
        # The payment reports what its refunds also say one by one: it counts once.
        ([paid(), paid(refunded=400), refund(1, 400)], "partially_refunded", 400),
        ([paid(), paid(refunded=1000), refund(1, 400)], "refunded", 1000),
        # Reported while it had succeeded, and taken back since.
        ([paid(), paid(refunded=400), refund(1, 400), refund(1, 400, "failed")], "captured", 0),
        # Reported while it was under way, by the payment or by the refund beside it; it came to nothing.
        ([paid(), paid(refunded=400), refund(1, 400, "failed")], "captured", 0),
        (
            [paid(), refund(1, 100, refunded=300), refund(2, 200, "pending"), refund(2, 200, "failed")],
            "partially_refunded",
            100,
        ),
        # It never succeeded, and what was reported holds without it.
        ([paid(), paid(refunded=400), refund(1, 400), refund(2, 600, "failed")], "partially_refunded", 400),
        ([paid(), refund(1, 400, refunded=400)], "partially_refunded", 400),
        # What is reported after a refund has failed is without it.
        (
            [paid(), paid(refunded=400), refund(1, 400, "failed", NOW_MS + 1), paid(refunded=1000, at=NOW_MS + 2)],
            "refunded",
            1000,
        ),
        ([paid("refunded")], "refunded", 1000),
        ([paid("authorized"), refund(1, 1000)], "refunded", 1000),
        ([paid("failed"), refund(1, 1000)], "failed", 1000),
        ([refund(1, 400)], "pending", 400),
        ([refund(1, 400), paid()], "partially_refunded", 400),
    ],
)
async def test_a_payment_stands_with_its_refunds_in_whatever_order_they_come(
    store: Store, events: list[Event], status: str, refunded: int
):
    found = await payment(store, *events)
    assert (found.status, found.refunded) == (status, refunded)


async def test_a_refund_before_its_payment_makes_a_placeholder(store: Store):
    found = await payment(store, refund(1, 400))
    assert (found.status, found.amount, found.currency, found.occurred_at) == ("pending", None, "USD", None)


async def test_a_captured_payment_keeps_the_time_of_its_capture(store: Store):
    found = await payment(store, paid(), paid(at=NOW_MS + 3 * DAY_MS, refunded=200))
    assert found.occurred_at == NOW_MS


async def test_a_payment_is_found_by_what_any_of_its_events_called_it(store: Store):
    await store.append(paid(reference="order 7", references=("ch_1",)))
    await store.append(says(Fact("order", "cs_1", "paid", money=USD, reference="cart 9", references=("cs_1",))))
    for name in ("order 7", "ch_1", "cart 9", "cs_1", "pay_1"):
        [found] = (await store.ledger.payments(LedgerFilter(reference=name), 10)).rows
        assert found.id == "pay_1", name
    assert (await store.ledger.payments(LedgerFilter(reference="order 8"), 10)).rows == []
    assert (await store.ledger.payments(LedgerFilter(reference="order 7", provider="paypal"), 10)).rows == []


async def test_each_object_names_the_events_that_spoke_of_it_in_log_order(store: Store):
    events = [paid("pending"), paid(), refund(1, 400)]
    for each in events:
        await store.append(each)
    found = await store.ledger.payment("stripe", "pay_1")
    assert found is not None
    assert list(found.events) == [each.id for each in events]
    [refunded] = (await store.ledger.objects("refund", LedgerFilter(), 10)).rows
    assert list(refunded.events) == [events[2].id]


async def test_a_refused_event_moves_nothing(store: Store):
    for status in ("pending", "captured"):
        fact = Fact("payment", "pay_1", status, money=USD)
        await store.append(says(fact, provider_event_id="evt_a", body=status.encode()))
    found = await store.ledger.payment("stripe", "pay_1")
    assert found is not None
    assert found.status == "pending"


def revenue_of(rows: Iterable[Any]) -> dict[tuple[int, str], tuple[int, int, int]]:
    return {(row.day - NOW_MS // DAY_MS, row.currency): (row.gross, row.refunded, row.disputed) for row in rows}


async def test_the_revenue_counts_each_payment_refund_and_dispute_once_on_its_day(store: Store):
    events = [
        paid("authorized"),
        paid(),
        paid(refunded=400, at=NOW_MS + DAY_MS),
        refund(1, 400, "pending"),
        refund(1, 400, at=NOW_MS + DAY_MS),
        says(Fact("dispute", "dp_1", "open", money=usd(600)), NOW_MS + 2 * DAY_MS),
        says(Fact("dispute", "dp_1", "lost", money=usd(600)), NOW_MS + 9 * DAY_MS),
        says(Fact("payment", "pay_2", "failed", money=usd(99))),
    ]
    for each in [*events, *events]:
        await store.append(each)
    rows = await store.ledger.revenue(0, NOW_MS + 30 * DAY_MS)
    assert revenue_of(rows) == {(0, "USD"): (1000, 0, 0), (1, "USD"): (0, 400, 0), (2, "USD"): (0, 0, 600)}


async def test_a_refund_that_only_the_payment_reports_counts_too(store: Store):
    await payment(store, paid(), refund(1, 100), paid(refunded=400, at=NOW_MS + DAY_MS))
    rows = await store.ledger.revenue(0, NOW_MS + 30 * DAY_MS)
    assert revenue_of(rows) == {(0, "USD"): (1000, 100, 0), (1, "USD"): (0, 300, 0)}


async def test_the_refund_of_a_payment_that_was_never_captured_is_no_negative_revenue(store: Store):
    await payment(store, paid("authorized"), refund(1, 1000))
    assert await store.ledger.revenue(0, NOW_MS + DAY_MS) == []


async def test_the_revenue_of_a_time_ends_before_its_end(store: Store):
    await payment(store, paid())
    assert await store.ledger.revenue(NOW_MS, NOW_MS + 1) != []
    assert await store.ledger.revenue(0, NOW_MS) == []
    assert await store.ledger.revenue(NOW_MS + 1, NOW_MS + DAY_MS) == []


async def test_the_revenue_is_the_same_however_small_the_pieces_it_is_read_in(store: Store, monkeypatch):
    for number in range(20):
        fact = Fact("payment", f"pay_{number}", "captured", money=usd(10**15))
        await store.append(says(fact, NOW_MS + number // 5))
        await store.append(says(Fact("refund", f"re_{number}", "succeeded", money=usd(1)), payment=f"pay_{number}"))
    whole = await store.ledger.revenue(0, NOW_MS + DAY_MS)
    monkeypatch.setattr("webhookd.store.sql.ledger.SCANNED_MAX", 3)
    assert await store.ledger.revenue(0, NOW_MS + DAY_MS) == whole
    assert (whole[0].gross, whole[0].refunded) == (20 * 10**15, 20)


async def test_an_amount_that_cannot_be_read_is_counted_as_such_and_not_as_nothing(store: Store):
    await payment(store, paid(amount=None))
    [row] = await store.ledger.revenue(0, NOW_MS + DAY_MS)
    assert (row.gross, row.unreadable) == (0, 1)


async def test_lists_go_back_page_by_page_from_what_was_heard_of_last(store: Store):
    for number in range(7):
        await store.append(says(Fact("refund", f"re_{number}", "succeeded", money=usd(1)), payment=f"pay_{number % 2}"))
    seen: list[str] = []
    before = None
    while page := (await store.ledger.objects("refund", LedgerFilter(before=before), 3)).rows:
        seen += [row.id for row in page]
        before = page[-1].first_event
    assert seen == [f"re_{number}" for number in reversed(range(7))]
    of_one = (await store.ledger.objects("refund", LedgerFilter(payment="pay_1"), 10)).rows
    assert [row.id for row in of_one] == ["re_5", "re_3", "re_1"]


async def test_who_watches_payments_hears_of_each_that_was_spoken_of(store: Store):
    heard: list[tuple[str, str]] = []
    store.watch_payments(lambda provider, payment_id: heard.append((provider, payment_id)))
    await store.append(paid())
    await store.append(refund(1, 5))
    await store.append(event())
    assert heard == [("stripe", "pay_1"), ("stripe", "pay_1")]
