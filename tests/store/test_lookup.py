"""The log is looked into from indexes, never by reading through it; and what is borne by too many is refused."""

import asyncio
import re
from typing import Any

import pytest

from tests.making import NOW_MS, event, spec
from tests.store.site import Store
from tests.store.statements import of
from webhookd.core.delivery import DeliveryKey
from webhookd.core.identifier import delivery_id, event_id
from webhookd.core.ledger import Fact
from webhookd.store.protocol.history import Filter
from webhookd.store.protocol.lookup import TooManyError
from webhookd.store.sql import lookup
from webhookd.store.sql.rows import parameters
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.statements import schema

LOOKUP = of("lookup")
TABLES = {"event", "delivery", "d", "e", "n", "endpoint", "ledger", "reference", "attempt"}


def test_no_query_reads_through_a_table():
    connection = driver.connect(":memory:")
    connection.executescript(schema())
    given = {**parameters(Filter(), 10), "text": "", "keys": "[]"}
    for name in ("with_id", "with_delivery", "bearing", "events", "deliveries", "delivery_states"):
        values = (1, 1) if "?" in LOOKUP[name] else given
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {LOOKUP[name]}", values)]
        through = [step for step in plan if step.startswith("SCAN") and step.split()[1] in TABLES]
        through += [step for step in plan if re.search(r"rowid[<>]|event[<>]", step)]
        assert through == [], name
    connection.close()


async def test_a_reference_of_an_object_names_the_events_of_the_object(store: Store):
    invoice = event(fact=Fact("invoice", "in_1", "open", reference="order 9"))
    other = event(fact=Fact("invoice", "in_2", "open"), source="flw", provider="flutterwave")
    await asyncio.gather(store.append(invoice), store.append(other))
    for text in ("order 9", "in_1", invoice.provider_event_id, event_id(invoice.key, invoice.salt)):
        assert await store.lookup.bearing(text) == [invoice.key]


async def test_one_id_at_several_sources_names_the_events_of_each(store: Store):
    both = [event(provider_event_id="same", source=source) for source in ("a", "b")]
    await asyncio.gather(*map(store.append, both))
    assert await store.lookup.bearing("same") == [each.key for each in both]


async def test_what_is_borne_by_too_many_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lookup, "FOUND_MAX", 3)
    await asyncio.gather(*[store.append(event(payment_id="pi_3")) for _ in range(3)])
    await asyncio.gather(*[store.append(event(payment_id="pi_4")) for _ in range(4)])
    assert len(await store.lookup.bearing("pi_3")) == 3
    with pytest.raises(TooManyError):
        await store.lookup.bearing("pi_4")


async def test_deliveries_are_found_by_their_own_id(store: Store):
    await store.adopt([spec("shop"), spec("audit")], NOW_MS)
    made = event()
    await store.append(made)
    keys = await store.lookup.bearing(delivery_id(made.key, 2))
    found = (await store.lookup.deliveries(keys, Filter(), 10)).rows
    assert [(each.event, each.endpoint) for each in found] == [(made.key, 2), (made.key, 1)]
    assert await store.lookup.bearing(delivery_id(made.key, 3)) == []


async def test_the_last_event_of_each_source_is_known_as_far_back_as_is_looked(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lookup, "LOOKS", 3)
    for source, at in (("old", 1), ("a", 2), ("b", 3), ("a", 4)):
        await store.append(event(source=source, received_at=NOW_MS + at))
    assert await store.lookup.last_events() == {"a": NOW_MS + 4, "b": NOW_MS + 3}


def test_what_is_owed_is_listed_from_its_indexes():
    connection = driver.connect(":memory:")
    connection.executescript(schema())
    given = parameters(Filter(), 10)
    plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {LOOKUP['pending']}", given)]
    assert [step for step in plan if step.startswith("SCAN") and step.split()[1] in ("delivery", "d", "e")] == []
    assert {name for name in ("delivery_due", "delivery_chain") if any(name in step for step in plan)} == {
        "delivery_due",
        "delivery_chain",
    }
    connection.close()


async def test_what_is_owed_is_listed_whether_it_is_held_or_not(store: Store):
    await store.adopt([spec("shop", ordering="payment"), spec("audit")], NOW_MS)
    first, second = event(payment_id="pi_1"), event(payment_id="pi_1", source="other")
    await store.append(first)
    await store.append(second)
    await store.cancels.cancel(DeliveryKey(first.key, 2), NOW_MS)

    async def listed(limit: int = 10, **narrowed: Any) -> list[tuple[int, int]]:
        return [(each.event, each.endpoint) for each in (await store.lookup.pending(Filter(**narrowed), limit)).rows]

    assert await listed() == [(second.key, 2), (second.key, 1), (first.key, 1)]
    assert await listed(endpoint="shop") == [(second.key, 1), (first.key, 1)]
    assert await listed(endpoint="nobody") == []
    assert await listed(source="other", limit=1) == [(second.key, 2)]
    assert await listed(source="stripe", limit=1) == [(first.key, 1)]
    assert await listed(before=(second.key, 2)) == [(second.key, 1), (first.key, 1)]
    assert await store.lookup.delivery_states([first.key, second.key, 7]) == {
        first.key: {"pending": 1, "cancelled": 1},
        second.key: {"pending": 2},
    }
