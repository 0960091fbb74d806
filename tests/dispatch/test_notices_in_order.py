"""What webhookd itself says comes into the log in the order of its keys: who reads on from a key misses none of it."""

import asyncio
from typing import Any

import pytest

from tests.dispatch.conftest import World
from tests.making import spec
from webhookd.core.delivery import Due, Outcome
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.history import Filter


@pytest.mark.parametrize("stored_all_the_same", [False, True])
async def test_a_notice_that_had_to_wait_for_the_store_is_found_once_behind_what_did_not(
    world: World, stored_all_the_same: bool
):
    def gone(due: Due) -> Outcome | None:
        return Outcome(world.clock.now_ms(), 0, 410, "status") if due.endpoint == 1 else None

    settle, after = world.store.settle, []

    async def unavailable_at_first(settlement: Any) -> None:
        if settlement.key.endpoint == 1 and not after:
            if stored_all_the_same:
                await settle(settlement)
            after.extend(await world.append(type="invoice.paid"))
            raise StoreUnavailableError("the disk takes too long")
        await settle(settlement)

    world.answers = gone
    world.store.settle = unavailable_at_first  # type: ignore[method-assign]
    await world.serve(spec("shop", events=("payment_intent.*",)), spec("ops", events=("webhookd.*",)))
    [first] = await world.append()
    while not after or world.dispatcher._tasks:
        world.clock.advance_to_next_timer()
        await asyncio.sleep(0)
    types = [each.type for each in (await world.store.feed.stretch(first.key, Filter())).events]
    assert sorted(types) == ["invoice.paid", "webhookd.endpoint.paused"]
    if not stored_all_the_same:
        [behind] = (await world.store.feed.stretch(after[0].key, Filter())).events
        assert behind.type == "webhookd.endpoint.paused"
        assert [each.endpoint_name for each in await world.store.deliveries_of(behind.key)] == ["ops"]
