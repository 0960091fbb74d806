"""Nodes that share a log: who has claimed what, and what an attempt is worth whose claim was overtaken."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.making import NOW_MS, SEAL, event, spec
from tests.postgres import Server
from webhookd.core.breaker import Health
from webhookd.core.delivery import Aftermath, DeliveryKey, Outcome, Settlement
from webhookd.core.event import Event
from webhookd.store.postgres.claims import PostgresClaims
from webhookd.store.postgres.database import connect
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.postgres.transaction import TOGETHER
from webhookd.store.protocol.claims import Renewed
from webhookd.store.protocol.errors import FencedError, StoreUnavailableError

NAMES = ["a", "b", "c", "d"]
ANY = range(100)
"""The numbers of all endpoints that there will be."""


class Nodes:
    """Several processes' stores, in one."""

    def __init__(self, url: str, leaving: AsyncExitStack) -> None:
        self.url, self._leaving = url, leaving

    async def join(
        self, name: str, role: str = "all", file: Path | None = None
    ) -> tuple[PostgresStore, PostgresClaims]:
        store = PostgresStore(self.url)
        store.node_file = file
        await store.open()
        self._leaving.push_async_callback(store.close)
        await store.unlock(SEAL)
        return store, store.claims(name=name, version="0", role=role)


async def time_runs_out(store: PostgresStore, claims: PostgresClaims) -> None:
    """Of a node that is not heard of."""
    await store._change(
        lambda connection: (
            connection.ask("UPDATE node SET lease_until = 0 WHERE number = $1", (claims.number,)).rowcount
        )  # type: ignore[attr-defined]
    )


def held(*renewed: Renewed) -> set[int]:
    numbers: set[int] = set()
    for each in renewed:
        numbers -= set(each.lost)
        numbers |= {claim.endpoint for claim in each.gained}
    return numbers


@pytest.fixture
async def nodes(postgres: Server) -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as leaving:
        yield Nodes(postgres.url(), leaving)


async def committed(store: PostgresStore) -> Event:
    await store.adopt([spec(name) for name in NAMES], NOW_MS)
    one = event()
    await store.append(one)
    return one


def attempt(key: DeliveryKey, fence: int, aftermath: Aftermath | None = None) -> Settlement:
    return Settlement(key, 1, Outcome(NOW_MS, 5, 200), False, "delivered", None, 2, aftermath, fence)


async def test_the_first_node_delivers_to_all_and_a_second_is_given_its_share(nodes: Nodes):
    store, first = await nodes.join("first")
    await store.adopt([spec(name) for name in NAMES], NOW_MS)
    alone = await first.renew([], ANY)
    assert len(held(alone)) == 4
    assert alone.surplus == 0
    _, second = await nodes.join("second")
    assert held(await second.renew([], ANY)) == set()
    assert (await first.renew([], ANY)).surplus == 2
    going = sorted(held(alone))[:2]
    assert set((await first.renew(going, ANY)).lost) == set(going)
    assert held(await second.renew([], ANY)) == set(going)
    assert (await first.renew([], ANY)).surplus == (await second.renew([], ANY)).surplus == 0
    assert [(node.name, node.claims, node.is_alive) for node in await first.nodes()] == [
        ("first", 2, True),
        ("second", 2, True),
    ]


async def test_what_is_new_is_claimed_however_much_is_held_that_is_no_longer_in_service(nodes: Nodes):
    store, first = await nodes.join("first")
    old = await store.adopt([spec(name) for name in NAMES], NOW_MS)
    await first.renew([], ANY)
    [new] = await store.adopt([spec("new")], NOW_MS)
    assert held(await first.renew([], ANY)) == {new.number}
    _, second = await nodes.join("second")
    assert held(await second.renew([], ANY)) == set()
    assert (await first.renew([], ANY)).surplus == 2
    assert set((await first.renew([each.number for each in old[:2]], ANY)).lost) == {each.number for each in old[:2]}
    [newest] = [each for each in await store.adopt([spec("new"), spec("newest")], NOW_MS) if each.spec.name == "newest"]
    assert held(await second.renew([], ANY)) == {newest.number}


async def test_what_a_node_does_not_know_is_left_to_one_that_does(nodes: Nodes):
    store, older = await nodes.join("older")
    a, b, c, d = [endpoint.number for endpoint in await store.adopt([spec(name) for name in NAMES], NOW_MS)]
    _, newer = await nodes.join("newer")
    await newer.renew([], [])
    assert held(await older.renew([], [a, c])) == {a, c}
    assert held(await newer.renew([], ANY)) == {b, d}
    await time_runs_out(store, newer)
    assert held(await older.renew([], [a, c])) == set()
    assert held(await older.renew([], [a, b, c])) == {b}


async def test_a_node_that_only_receives_claims_nothing_and_counts_for_nobodys_share(nodes: Nodes):
    store, first = await nodes.join("first")
    await store.adopt([spec(name) for name in NAMES], NOW_MS)
    _, receiver = await nodes.join("receiver", role="receive")
    assert held(await receiver.renew([], ANY)) == set()
    assert len(held(await first.renew([], ANY))) == 4
    assert (await first.renew([], ANY)).surplus == 0


async def test_a_node_waits_for_no_lease_of_the_one_that_had_its_data_directory_before(nodes: Nodes, tmp_path: Path):
    file = tmp_path / "node"
    store, killed = await nodes.join("here 1", file=file)
    one = await committed(store)
    before = {claim.endpoint: claim for claim in (await killed.renew([], ANY)).gained}
    _, again = await nodes.join("here 2", file=file)
    gained = (await again.renew([], ANY)).gained
    assert {claim.endpoint for claim in gained} == set(before)
    assert all(claim.fence > before[claim.endpoint].fence for claim in gained)
    assert again.slot != killed.slot, "what the dead one has committed last may be seen later"
    with pytest.raises(FencedError):
        await store.settle(attempt(DeliveryKey(one.key, min(before)), before[min(before)].fence))
    _, next_one = await nodes.join("here 3", file=file)
    assert len(held(await next_one.renew([], ANY))) == len(before)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("there 2", None),  # the directory was copied to another machine
        ("here 2", "{number} 17\n"),  # that of another log
        ("here 2", "2147483647 {started_at}\n"),
        ("here 2", "{number} 9223372036854775808"),
        ("here 2", "-1 -9223372036854775809"),
        ("here 2", "\xff"),
        ("here 2", ""),
    ],
)
async def test_no_other_node_is_taken_for_the_one_before(nodes: Nodes, tmp_path: Path, name: str, content: str | None):
    file = tmp_path / "node"
    store, alive = await nodes.join("here 1", file=file)
    await committed(store)
    await alive.renew([], ANY)
    if content is not None:
        number, started_at = file.read_text().split()
        file.write_text(content.format(number=number, started_at=started_at), encoding="latin-1")
    _, other = await nodes.join(name, file=file)
    assert held(await other.renew([], ANY)) == set()
    assert (await alive.renew([], ANY)).lost == set()


async def test_a_node_whose_directory_cannot_be_written_joins_all_the_same(nodes: Nodes, tmp_path: Path):
    store, node = await nodes.join("here 1", file=tmp_path / "not there" / "node")
    await committed(store)
    assert len(held(await node.renew([], ANY))) == len(NAMES)


async def test_what_a_dead_node_had_others_take_with_a_greater_fence_and_as_it_stands(nodes: Nodes):
    store, first = await nodes.join("first")
    one = await committed(store)
    before = {claim.endpoint: claim for claim in (await first.renew([], ANY)).gained}
    number = min(before)
    ill = Health("open", NOW_MS + 60_000, 1, NOW_MS)
    failure = Settlement(
        *(DeliveryKey(one.key, number), 1, Outcome(NOW_MS, 5, 500, "status"), False, "pending", NOW_MS + 5, 2),
        *(Aftermath(ill), before[number].fence),
    )
    await store.settle(failure)
    _, second = await nodes.join("second")
    await second.renew([], ANY)
    await time_runs_out(store, first)
    taken = {claim.endpoint: claim for claim in (await second.renew([], ANY)).gained}
    assert taken.keys() == before.keys()
    assert all(taken[each].fence > before[each].fence for each in taken)
    assert taken[number].health == ill
    lost = await first.renew([], ANY)
    assert set(lost.lost) == set(before)
    assert not lost.gained


async def test_an_attempt_under_an_overtaken_claim_changes_nothing(nodes: Nodes):
    store, first = await nodes.join("first")
    one = await committed(store)
    [claim, *_] = (await first.renew([], ANY)).gained
    await time_runs_out(store, first)
    heir, second = await nodes.join("second")
    [taken] = [each for each in (await second.renew([], ANY)).gained if each.endpoint == claim.endpoint]
    key = DeliveryKey(one.key, claim.endpoint)
    late = attempt(
        key, claim.fence, Aftermath(Health("open", NOW_MS + 1, 3, NOW_MS), notices=(event(source="webhookd"),))
    )
    head = await store.last_key()
    with pytest.raises(FencedError):
        await store.settle(late)
    assert await store.attempts(*key) == []
    assert (await store.delivery(*key)).state == "pending"  # type: ignore[union-attr]
    assert (await store.endpoint("a")).health == Health()  # type: ignore[union-attr]
    assert await store.last_key() == head
    await heir.settle(attempt(key, taken.fence))
    assert (await store.delivery(*key)).state == "delivered"  # type: ignore[union-attr]


async def test_of_a_batch_only_what_was_overtaken_is_refused(nodes: Nodes):
    store, first = await nodes.join("first")
    one = await committed(store)
    claims = (await first.renew([], ANY)).gained
    settled = [
        store._writes.submit(attempt(DeliveryKey(one.key, claim.endpoint), claim.fence - (place == 1)))
        for place, claim in enumerate(claims)
    ]
    for place, each in enumerate(settled):
        if place == 1:
            with pytest.raises(FencedError):
                await each
        else:
            assert await each is None
    states = [row.state for row in await store.deliveries_of(one.key)]
    assert sorted(states) == ["delivered", "delivered", "delivered", "pending"]


async def test_a_node_that_was_away_and_that_nobody_replaced_goes_on(nodes: Nodes):
    store, first = await nodes.join("first")
    await store.adopt([spec(name) for name in NAMES], NOW_MS)
    before = held(await first.renew([], ANY))
    await time_runs_out(store, first)
    again = await first.renew([], ANY)
    assert before
    assert not again.lost
    assert not again.gained


async def test_of_those_that_live_the_one_that_came_first_leads(nodes: Nodes):
    store, first = await nodes.join("first", "receive")
    _, second = await nodes.join("second")
    for node in (first, second, first, second):
        await node.renew([], ANY)
    assert (first.leads, second.leads) == (True, False)
    await time_runs_out(store, first)
    await second.renew([], ANY)
    assert second.leads
    await first.renew([], ANY)
    await second.renew([], ANY)
    assert (first.leads, second.leads) == (True, False)
    await first.leave()
    await second.renew([], ANY)
    assert second.leads


async def test_a_node_that_leaves_is_replaced_at_once(nodes: Nodes):
    store, first = await nodes.join("first")
    await store.adopt([spec(name) for name in NAMES], NOW_MS)
    _, second = await nodes.join("second")
    had = held(await first.renew([], ANY))
    await second.renew([], ANY)
    await first.leave()
    assert held(await second.renew([], ANY)) == had
    assert [node.name for node in await second.nodes()] == ["second"]


async def test_a_claim_that_was_made_and_not_heard_of_is_given_back_and_made_again(nodes: Nodes):
    store, first = await nodes.join("first")
    await store.adopt([spec(name) for name in NAMES], NOW_MS)
    await first.renew([], ANY)
    await store.adopt([spec(name) for name in (*NAMES, "e")], NOW_MS)
    took = first._take

    def cut(*given: object) -> list[object]:
        took(*given)  # type: ignore[arg-type]
        raise ConnectionResetError("after COMMIT")

    first._take = cut  # type: ignore[method-assign,assignment]
    with pytest.raises(Exception, match="lost"):
        await first.renew([], ANY)
    first._take = took  # type: ignore[method-assign]
    assert len((await first.renew([], ANY)).gained) == 1
    assert [node.claims for node in await first.nodes()] == [5]


@pytest.mark.fault(41)
async def test_a_node_that_is_frozen_in_the_middle_of_a_commit_holds_the_others_up_for_moments_only(
    nodes: Nodes,
):
    store, first = await nodes.join("first")
    await store.adopt([spec(name) for name in NAMES], NOW_MS)
    frozen = await connect(nodes.url, "commits")()
    await frozen.execute("BEGIN")
    await frozen.execute(TOGETHER)
    renewed = await first.renew([], ANY)  # which takes what is free, while no other writes
    assert len(renewed.gained) == len(NAMES)
    with pytest.raises(Exception, match=r"closed|terminat"):
        await frozen.execute("COMMIT")
    frozen.terminate()


LIKE_MANY = (
    "INSERT INTO node (name, version, role, slot, started_at, seen_at, lease_until) "
    "SELECT 'one that crashed', '0', 'all', slot, 0, 0, server_ms() - 5000 + slot FROM generate_series(0, 63) AS slot"
)


async def test_a_node_that_crashes_again_and_again_can_always_start_but_no_more_live_than_there_are_slots(nodes: Nodes):
    store, first = await nodes.join("first")
    await store._change(lambda connection: connection.ask(LIKE_MANY).rowcount)  # type: ignore[attr-defined]
    await first.renew([], ANY)
    assert first.slot == 0, "that of the first to die"
    await store._change(
        lambda connection: connection.ask("UPDATE node SET lease_until = server_ms() + 60000").rowcount  # type: ignore[attr-defined]
    )
    _, second = await nodes.join("second")
    with pytest.raises(StoreUnavailableError, match="64 nodes share the log already"):
        await second.renew([], ANY)
