"""The endpoints as every store must keep them: the configuration's, and beside them the API's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.making import NOW_MS, TEN_OF_EACH, event, spec
from tests.store.raw import read
from tests.store.site import Site, Store
from webhookd.core.breaker import Health
from webhookd.core.delivery import Aftermath, Due, Outcome, settle
from webhookd.core.endpoint import Endpoint, EndpointSpec
from webhookd.core.identifier import COUNTER_BITS
from webhookd.core.retry import RetryPolicy
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.store.seal import Seal, SealError
from webhookd.store.sqlite.store import SqliteStore

SETTINGS = b'{"headers":{"x-key":"a canary among the settings"}}'
FIRST, SECOND, THIRD = (new_secret(bytes([number]) * 32) for number in (1, 2, 3))
LATER_MS = NOW_MS + 10_000_000
NO_BOUND = 2**30


async def add(store: Store, name: str = "shop", secret: str = FIRST, **fields: object) -> Endpoint:
    added = await store.add_endpoint(spec(name, **fields), SETTINGS, secret, NOW_MS)
    assert added is not None
    return added


async def owe(store: Store, endpoint: Endpoint) -> Due:
    await store.append(event())
    [due] = (await store.due(endpoint.number, LATER_MS, [], TEN_OF_EACH, NO_BOUND)).due
    return due


def signed(endpoint: Endpoint, at_ms: int = NOW_MS) -> list[str]:
    return endpoint.signature("msg", at_ms, b"body").split()


async def names(store: Store, *, removed: bool = False) -> list[str]:
    return [row.name for row in await store.endpoints(removed=removed)]


async def test_what_was_added_is_kept_as_it_was_asked_for(site: Site):
    store = await site.open()
    added = await add(store, events=("charge.*",))
    assert (added.state, added.why, added.managed_by, added.health) == ("active", None, "api", Health())
    await store.close()
    store = await site.open()
    try:
        assert await store.kept_endpoints() == [("shop", SETTINGS)]
        [adopted] = await store.adopt([], NOW_MS, [added.spec])
        assert (adopted.number, adopted.spec, signed(adopted)) == (added.number, added.spec, signed(added))
    finally:
        await store.close()


async def test_neither_settings_nor_secrets_can_be_read_in_the_file(sqlite_store: SqliteStore, tmp_path: Path):
    await add(sqlite_store)
    await sqlite_store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"shop" in kept
    assert b"canary" not in kept
    assert FIRST.encode() not in kept
    await sqlite_store.open()


async def test_another_key_opens_neither_settings_nor_secrets(store: Store):
    await add(store)
    with pytest.raises(SealError):
        await store.unlock(Seal(Secret("another key, and as long as the first one")))


async def test_an_added_endpoint_is_owed_what_it_asks_for_from_then_on(store: Store):
    await store.append(before := event())
    added = await add(store, events=("payment_intent.*",))
    await store.append(wanted := event())
    await store.append(unwanted := event(type="charge.refunded"))
    owed = {each.key: await store.deliveries_of(each.key) for each in (before, wanted, unwanted)}
    assert {key: [row.endpoint for row in rows] for key, rows in owed.items()} == {
        before.key: [],
        wanted.key: [added.number],
        unwanted.key: [],
    }


async def test_a_changed_endpoint_is_owed_what_it_asks_for_now(store: Store):
    added = await add(store, events=("payment_intent.*",))
    changed = await store.change_endpoint(spec(events=("charge.*",), url="https://new.example/"), b"{}", NOW_MS)
    assert changed is not None
    assert (changed.number, changed.spec.url, signed(changed)) == (added.number, "https://new.example/", signed(added))
    await store.append(unwanted := event())
    await store.append(wanted := event(type="charge.refunded"))
    assert await store.deliveries_of(unwanted.key) == []
    assert len(await store.deliveries_of(wanted.key)) == 1
    assert await store.kept_endpoints() == [("shop", b"{}")]
    [row] = await store.endpoints(removed=False)
    assert row.url == "https://new.example/"


@pytest.mark.parametrize("managed_by", ["config", "api"])
async def test_a_name_in_service_cannot_be_added(store: Store, managed_by: str):
    if managed_by == "config":
        await store.adopt([spec()], NOW_MS)
    else:
        await add(store)
    assert await store.add_endpoint(spec(url="https://other.example/"), SETTINGS, SECOND, NOW_MS) is None
    [row] = await store.endpoints(removed=True)
    assert (row.url, row.managed_by) == ("https://shop.example/hooks", managed_by)


async def test_what_the_configuration_manages_is_neither_changed_nor_removed(store: Store):
    [before] = await store.adopt([spec()], NOW_MS)
    assert await store.change_endpoint(spec(url="https://other.example/"), SETTINGS, NOW_MS) is None
    assert not await store.remove_endpoint("shop")
    [after] = await store.adopt([spec()], NOW_MS)
    assert (after.state, signed(after)) == (before.state, signed(before))


async def test_what_is_not_there_is_neither_changed_nor_removed_nor_paused(store: Store):
    assert await store.change_endpoint(spec(), SETTINGS, NOW_MS) is None
    assert not await store.remove_endpoint("shop")
    assert not await store.set_endpoint_state("shop", "paused")
    assert await store.endpoint("shop") is None
    await add(store)
    assert await store.remove_endpoint("shop")
    assert await store.change_endpoint(spec(), SETTINGS, NOW_MS) is None
    assert not await store.remove_endpoint("shop")
    assert not await store.set_endpoint_state("shop", "active")


async def test_a_removed_endpoint_is_owed_no_more_and_what_it_is_owed_comes_back_with_it(store: Store):
    due = await owe(store, await add(store))
    assert await store.remove_endpoint("shop")
    row = await store.endpoint("shop")
    assert row is not None
    assert (row.state, row.why, row.pending) == ("disabled", "removed", 1)
    assert await store.kept_endpoints() == []
    await store.append(missed := event())
    assert await store.deliveries_of(missed.key) == []
    back = await add(store, secret=SECOND)
    assert (back.number, back.state, len(signed(back))) == (due.endpoint, "active", 1)
    [held] = (await store.due(back.number, LATER_MS, [], TEN_OF_EACH, NO_BOUND)).due
    assert held.key == due.key


@pytest.mark.parametrize("first", ["config", "api"])
async def test_a_removed_name_may_come_back_under_the_other_management(store: Store, first: str):
    if first == "config":
        [gone] = await store.adopt([spec()], NOW_MS)
        await store.adopt([], NOW_MS)
        back = await add(store)
    else:
        gone = await add(store)
        await store.remove_endpoint("shop")
        [back] = await store.adopt([spec()], NOW_MS)
    assert back.number == gone.number
    assert (back.state, back.managed_by) == ("active", "api" if first == "config" else "config")


async def test_the_configuration_takes_an_endpoint_of_the_api_over_with_its_secret_and_what_it_is_owed(
    store: Store,
):
    added = await add(store)
    due = await owe(store, added)
    [taken] = await store.adopt([spec(events=("charge.*",))], NOW_MS)
    assert (taken.number, taken.managed_by, signed(taken)) == (due.endpoint, "config", signed(added))
    assert await store.kept_endpoints() == []
    assert len((await store.due(due.endpoint, LATER_MS, [], TEN_OF_EACH, NO_BOUND)).due) == 1


async def test_a_reload_leaves_the_apis_endpoints_alone(store: Store):
    added = await add(store)
    await store.set_endpoint_state("shop", "paused")
    assert await store.adopt([], NOW_MS) == []
    await store.append(owed := event())
    assert len(await store.deliveries_of(owed.key)) == 1
    [adopted] = await store.adopt([], NOW_MS, [added.spec])
    assert (adopted.state, adopted.why) == ("paused", "operator")


async def test_a_new_secret_signs_beside_the_old_one_until_its_time_is_over(store: Store):
    added = await add(store)
    rotated = await store.rotate_secret(added.spec, SECOND, NOW_MS + 1, NOW_MS + 100)
    [new, old] = signed(rotated, NOW_MS + 99)
    assert old == signed(added, NOW_MS + 99)[0]
    assert signed(rotated, NOW_MS + 100) == signed(await add(store, "other", SECOND), NOW_MS + 100)
    [adopted, _] = await store.adopt([], NOW_MS + 99, [added.spec, spec("other")])
    assert signed(adopted, NOW_MS + 99) == [new, old]
    [adopted, _] = await store.adopt([], NOW_MS + 100, [added.spec, spec("other")])
    assert len(adopted.keys) == 1


async def test_rotations_in_one_millisecond_keep_their_order_and_shorten_no_overlap_but_their_own(store: Store):
    added = await add(store)
    await store.rotate_secret(added.spec, SECOND, NOW_MS, NOW_MS + 10)
    rotated = await store.rotate_secret(added.spec, THIRD, NOW_MS, NOW_MS + 100)
    assert [key.until_ms for key in rotated.keys] == [None, NOW_MS + 100, NOW_MS + 10]
    alone = await store.rotate_secret(added.spec, FIRST, NOW_MS, NOW_MS)
    assert [key.until_ms for key in alone.keys] == [None]


async def test_a_generated_secret_of_a_configured_endpoint_can_be_replaced(store: Store):
    [generated] = await store.adopt([spec()], NOW_MS)
    await store.rotate_secret(generated.spec, SECOND, NOW_MS, NOW_MS + 100)
    [adopted] = await store.adopt([spec()], NOW_MS)
    assert len(signed(adopted)) == 2
    assert signed(generated)[0] in signed(adopted)


async def test_a_removed_endpoints_settings_and_secrets_are_forgotten(store: Store):
    await add(store)
    await store.remove_endpoint("shop")
    assert await read(store, "SELECT settings FROM endpoint") == [(None,)]
    assert await read(store, "SELECT * FROM secret") == []
    assert await read(store, "SELECT * FROM route") == []


async def test_who_is_resumed_begins_anew_and_who_is_paused_says_why(store: Store):
    added = await add(store)
    due = await owe(store, added)
    outcome = Outcome(NOW_MS, 5, 500, "status")
    settled = settle(due, outcome, RetryPolicy((0, 1, 1)), NOW_MS, 0)
    failing = Aftermath(Health("open", NOW_MS + 5, 3, NOW_MS - 5), gives_up=True)
    await store.settle(msgspec.structs.replace(settled, aftermath=failing))
    row = await store.endpoint("shop")
    assert row is not None
    assert (row.state, row.why, row.health) == ("disabled", "failing", failing.health)
    assert await store.set_endpoint_state("shop", "active")
    row = await store.endpoint("shop")
    assert row is not None
    assert (row.state, row.why, row.health) == ("active", None, Health())
    assert await store.set_endpoint_state("shop", "paused")
    row = await store.endpoint("shop")
    assert row is not None
    assert (row.state, row.why) == ("paused", "operator")


async def test_pages_hold_every_endpoint_once_and_removed_ones_only_when_asked_for(store: Store):
    specs: Sequence[EndpointSpec] = [spec(f"shop-{number}") for number in range(25)]
    await store.adopt(specs, NOW_MS)
    await store.adopt(specs[::2], NOW_MS)
    assert len(await names(store)) == 13
    assert len(await names(store, removed=True)) == 25
    met: list[str] = []
    after = 0
    for _ in range(4):
        page = await store.endpoints(after, 4, removed=False)
        met += [row.name for row in page]
        after = page[-1].number
    assert await store.endpoints(after, 4, removed=False) == []
    assert met == await names(store) == [each.name for each in specs[::2]]


async def test_each_endpoint_is_shown_with_what_it_alone_is_owed(store: Store):
    busy, picky = await add(store, "busy"), await add(store, "picky", events=("charge.*",))
    sent = [event() for _ in range(3)]
    for each in sent:
        await store.append(each)
    due = (await store.due(busy.number, LATER_MS, [], TEN_OF_EACH, NO_BOUND)).due
    await store.settle(settle(due[0], Outcome(NOW_MS, 5, 500, "status"), RetryPolicy((0,)), NOW_MS, 0))
    rows = await store.endpoints(removed=False)
    assert [(row.name, row.pending, row.dead) for row in rows] == [("busy", 2, 1), ("picky", 0, 0)]
    assert [row.oldest_pending_at for row in rows] == [sent[1].key >> COUNTER_BITS, None]
    assert [await store.endpoint("busy"), await store.endpoint("picky")] == list(rows)
    assert picky.number == rows[1].number


async def test_what_waits_behind_another_of_its_payment_is_owed_too(store: Store):
    await add(store, ordering="payment")
    for _ in range(3):
        await store.append(event(payment_id="pi_1"))
    row = await store.endpoint("shop")
    assert row is not None
    assert row.pending == 3


async def test_a_list_is_narrowed_by_a_part_of_the_name_and_by_the_state(store: Store):
    for name in ("shop-eu", "shop-us", "crm_eu", "e%"):
        await add(store, name)
    await store.set_endpoint_state("shop-eu", "paused")

    async def found(**narrower: Any) -> list[str]:
        return [row.name for row in await store.endpoints(removed=False, **narrower)]

    assert await found(part="eu") == ["shop-eu", "crm_eu"]
    assert (await found(part="%"), await found(part="_")) == (["e%"], ["crm_eu"])
    assert (await found(state="paused"), await found(state="disabled")) == (["shop-eu"], [])
    assert await found(state="active", part="shop") == ["shop-us"]
    held = {"shop-us": [], "shop-eu": []}
    assert await found(state="disabled", unusable=held) == ["shop-eu", "shop-us"]
    assert await found(state="active", unusable=held) == ["crm_eu", "e%"]


async def test_each_secret_says_since_when_it_signs(store: Store):
    shop = await add(store)
    rotated = await store.rotate_secret(shop.spec, SECOND, NOW_MS + 5, NOW_MS + 1_000)
    assert [(key.since_ms, key.until_ms) for key in rotated.keys] == [(NOW_MS + 5, None), (NOW_MS, NOW_MS + 1_000)]
