"""What is told to who listens: a part of the log at a time, and how these deliveries and all endpoints stand."""

from typing import Any

import pytest

from tests.making import NOW_MS, event, spec
from tests.store.site import Store
from webhookd.core.delivery import DeliveryKey, Outcome, Settlement
from webhookd.store.protocol.history import Filter
from webhookd.store.sql import feed


async def test_the_log_is_told_a_part_at_a_time_and_only_what_is_wanted(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(feed, "LOOKS", 2)
    made = [event(type=("a.b", "c")[place % 2]) for place in range(5)]
    for each in made:
        await store.append(each)
    assert await store.feed.head() == made[-1].key
    found: list[list[int]] = []
    after = 0
    while (stretch := await store.feed.stretch(after, Filter(type="a.*"))).reached > after:
        found.append([each.key for each in stretch.events])
        after = stretch.reached
    assert found == [[made[0].key], [made[2].key], [made[4].key]]
    assert not (await store.feed.stretch(made[-1].key, Filter())).events


async def test_these_deliveries_are_told_as_they_stand_as_far_as_they_are_wanted(store: Store):
    shop, audit = await store.adopt([spec("shop"), spec("audit")], NOW_MS)
    made, other = event(), event(source="other", type="charge.paid")
    for each in (made, other):
        await store.append(each)
    done = DeliveryKey(made.key, shop.number)
    await store.settle(Settlement(done, 1, Outcome(NOW_MS, 5, 200), False, "delivered", None, 1))
    keys = [done, DeliveryKey(made.key, audit.number), DeliveryKey(other.key, shop.number), DeliveryKey(7, 7)]

    async def found(**narrowed: Any) -> set[tuple[int, int, str]]:
        rows = await store.feed.deliveries(keys, Filter(**narrowed))
        return {(row.event, row.endpoint, row.state) for row in rows}

    rest = {(made.key, audit.number, "pending"), (other.key, shop.number, "pending")}
    assert await found() == {(*done, "delivered"), *rest}
    assert await found(state="pending") == rest
    assert await found(endpoint="audit") == await found(state="pending", source="stripe") == {(*keys[1], "pending")}
    assert await found(type="charge.*") == await found(source="other") == {(*keys[2], "pending")}
    assert await store.feed.deliveries([], Filter()) == []


async def test_every_endpoint_is_told_with_how_it_stands(store: Store):
    await store.adopt([spec("shop"), spec("audit"), spec("gone")], NOW_MS)
    await store.adopt([spec("shop"), spec("audit")], NOW_MS)
    await store.set_endpoint_state("audit", "paused")
    found = [(each.name, each.state, each.why, each.managed_by) for each in await store.feed.standings()]
    assert found == [
        ("shop", "active", None, "config"),
        ("audit", "paused", "operator", "config"),
        ("gone", "disabled", "removed", "config"),
    ]
