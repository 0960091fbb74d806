"""Several processes on one PostgreSQL: each delivers what it has claimed, and no event is lost with a claim."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.dispatch.conftest import NoMeter
from tests.fake_clock import FakeClock
from tests.making import MINT, SEAL, event, spec
from tests.postgres import Server
from tests.running import PATIENCE_S
from webhookd.core.delivery import DeliveryKey, Due, Outcome
from webhookd.core.endpoint import Endpoint
from webhookd.core.event import Event
from webhookd.dispatch.claiming import Claiming
from webhookd.dispatch.dispatcher import Dispatcher
from webhookd.dispatch.notice import Notice
from webhookd.dispatch.tenure import Tenure
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.protocol.claims import LEASE_S

pytestmark = pytest.mark.fault(41)
SHOPS = [spec(name, max_in_flight=10) for name in ("a", "b", "c", "d", "e", "f")]


class Merchants:
    """Take everything, and keep count; while `hold` is there they do not answer the first node."""

    def __init__(self) -> None:
        self.requests: Counter[DeliveryKey] = Counter()
        self.of_node: Counter[str] = Counter()
        self.hold: asyncio.Event | None = None
        self.asked = asyncio.Event()


class Node:
    """A process: what it has in memory, and its way to the database."""

    def __init__(self, name: str, url: str, merchants: Merchants, role: str = "all") -> None:
        self.name, self.clock, self._merchants = name, FakeClock(), merchants
        self.store = PostgresStore(url)
        self._role = role
        self.faults: list[Any] = []

    async def start(self) -> None:
        await self.store.open()
        await self.store.unlock(SEAL)
        self.calls = self.store.calls(self)
        self.tenure = Tenure(self.clock, self.calls.tell)
        self.dispatcher = Dispatcher(
            *(self.store, self._attempt, self.clock, NoMeter()),
            max_in_flight=100,
            failed=lambda *fault: self.faults.append(fault),
            notice=Notice(self.clock, MINT, lambda: 7),
            dice=lambda: 0.0,
            tenure=self.tenure,
        )
        self.claims = self.store.claims(name=self.name, version="0", role=self._role)
        self.claiming = Claiming(self.claims, self.dispatcher, self.tenure, self.clock)
        self.store.announce(self.dispatcher.offer)
        self.calls.start()
        self.dispatcher.serve(await self.store.adopt(SHOPS, self.clock.now_ms()))
        await self.claiming.renew()

    def due(self, endpoints: Collection[int] | None) -> None:
        self.dispatcher.hear_of(endpoints)

    def endpoints(self) -> None: ...

    def withdrawn(self, key: DeliveryKey) -> None:
        self.dispatcher.withdraw(key)

    async def _attempt(self, endpoint: Endpoint, due: Due) -> Outcome:
        self._merchants.requests[due.key] += 1
        self._merchants.of_node[self.name] += 1
        self._merchants.asked.set()
        if self._merchants.hold is not None and self.name == "first":
            await self._merchants.hold.wait()
        return Outcome(self.clock.now_ms(), 1, 200)

    async def append(self, count: int) -> list[Event]:
        events = [event(received_at=self.clock.now_ms()) for _ in range(count)]
        await asyncio.gather(*map(self.store.append, events))
        return events

    def let_pass(self, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        self.clock.call_later(seconds, lambda: None)
        while self.clock.monotonic() < until:
            self.clock.advance_to_next_timer()

    async def die(self) -> None:
        """As kill -9 has it: nothing more is sent or answered, and nobody is told."""
        self.store.abandon()
        await self.calls.stop()
        await self.dispatcher.stop(0)

    async def is_taken_for_dead(self, by: "Node") -> None:
        """Its lease has run out, as the server has it, and by its own clock as well."""
        given = (self.claims.number,)
        await by.store._change(
            lambda connection: connection.ask("UPDATE node SET lease_until = 0 WHERE number = $1", given).rowcount  # type: ignore[attr-defined]
        )
        self.let_pass(LEASE_S)


async def all_delivered(node: Node, events: list[Event]) -> None:
    """Wait for it, but not for ever: what another node does no task of this one says."""
    keys = [each.key for each in events]
    async with asyncio.timeout(PATIENCE_S):
        while True:
            states = Counter([row.state for key in keys for row in await node.store.deliveries_of(key)])
            if states == Counter(delivered=len(keys) * len(SHOPS)):
                return
            await asyncio.sleep(0.01)


class Cluster:
    def __init__(self, url: str, leaving: AsyncExitStack) -> None:
        self._url, self._leaving = url, leaving
        self.merchants = Merchants()

    async def node(self, name: str, role: str = "all") -> Node:
        node = Node(name, self._url, self.merchants, role)
        await node.start()

        async def stop() -> None:
            await node.dispatcher.stop(0)
            await node.calls.stop()
            await node.store.close()
            assert node.faults == []

        self._leaving.push_async_callback(stop)
        return node

    async def share_out(self, *nodes: Node) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while {len(node.tenure.held) for node in nodes} != {len(SHOPS) // len(nodes)}:
                for node in nodes:
                    await node.claiming.renew()


@pytest.fixture
async def cluster(postgres: Server) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as leaving:
        yield Cluster(postgres.url(), leaving)


async def test_each_node_delivers_to_its_endpoints_whichever_node_received(cluster: Cluster):
    first, second, third = [await cluster.node(name) for name in ("first", "second", "third")]
    await cluster.share_out(first, second, third)
    events = await first.append(20) + await second.append(20)
    await all_delivered(first, events)
    assert set(cluster.merchants.requests.values()) == {1}
    assert cluster.merchants.of_node == {"first": 80, "second": 80, "third": 80}


async def test_what_a_node_that_only_receives_has_taken_another_delivers(cluster: Cluster):
    receiver, sender = await cluster.node("receiver", "receive"), await cluster.node("sender")
    # A node looks by itself as it begins to listen. That is over with the first: the others it has to be told of.
    await all_delivered(receiver, await receiver.append(1))
    await all_delivered(receiver, await receiver.append(9))
    assert cluster.merchants.of_node == {"sender": 60}
    assert not receiver.tenure.held
    assert len(sender.tenure.held) == 6


async def test_what_a_dead_node_was_at_another_delivers_with_one_request_more_at_most(cluster: Cluster):
    first, second = await cluster.node("first"), await cluster.node("second")
    await cluster.share_out(first, second)
    cluster.merchants.hold = asyncio.Event()
    events = await second.append(5)
    while not first.dispatcher.in_flight:
        await asyncio.sleep(0.01)
    await first.die()
    await first.is_taken_for_dead(second)
    cluster.merchants.hold.set()
    cluster.merchants.hold = None
    await second.claiming.renew()
    await all_delivered(second, events)
    assert max(cluster.merchants.requests.values()) <= 2
    assert len(second.tenure.held) == len(SHOPS)


async def overtaken_at_work(cluster: Cluster) -> tuple[Node, Node, list[Event], asyncio.Event]:
    """The first of two nodes is overtaken by the second, with three attempts under way; they end with the event."""
    first, second = await cluster.node("first"), await cluster.node("second")
    await cluster.share_out(first, second)
    cluster.merchants.hold = hold = asyncio.Event()
    events = await first.append(1)
    while first.dispatcher.in_flight < 3:
        await asyncio.sleep(0.01)
    await first.is_taken_for_dead(second)
    cluster.merchants.hold = None
    await second.claiming.renew()
    await all_delivered(second, events)
    return first, second, events, hold


async def test_a_node_that_was_frozen_records_nothing_of_what_is_anothers_by_now(cluster: Cluster):
    first, second, events, hold = await overtaken_at_work(cluster)
    assert first.dispatcher.unsettled == 3
    hold.set()  # the frozen one wakes up, and its merchants answer
    while first.dispatcher.unsettled:
        await asyncio.sleep(0.01)
    attempts = [
        attempt
        for row in await second.store.deliveries_of(events[0].key)
        for attempt in await second.store.attempts(row.event, row.endpoint)
    ]
    assert [attempt.number for attempt in attempts] == [1] * len(SHOPS)
    assert sorted(cluster.merchants.requests.values()) == [1, 1, 1, 2, 2, 2]
    await first.claiming.renew()
    assert not first.tenure.held


async def test_what_comes_too_late_of_an_old_claim_takes_nothing_from_the_one_that_a_node_has_by_now(cluster: Cluster):
    first, second, _, hold = await overtaken_at_work(cluster)
    await second.claiming.leave()
    async with asyncio.timeout(PATIENCE_S):
        while len(first.tenure.held) < len(SHOPS):
            await first.claiming.renew()
    hold.set()
    while first.dispatcher.unsettled:
        await asyncio.sleep(0.01)
    assert len(first.tenure.held) == len(SHOPS)
    async with asyncio.timeout(PATIENCE_S):
        await all_delivered(first, await first.append(1))


async def test_a_node_whose_lease_has_run_out_begins_nothing_until_it_is_heard_again(cluster: Cluster):
    first = await cluster.node("first")
    first.let_pass(LEASE_S)
    events = await first.append(3)
    await asyncio.sleep(0.05)
    assert not cluster.merchants.requests
    await first.claiming.renew()
    await all_delivered(first, events)


async def test_a_node_that_joins_is_given_its_share_and_nothing_is_sent_twice(cluster: Cluster):
    first = await cluster.node("first")
    cluster.merchants.hold = asyncio.Event()
    events = await first.append(10)
    await cluster.merchants.asked.wait()
    second = await cluster.node("second")
    for node in (first, first, second):
        await node.claiming.renew()
    assert not second.tenure.held, "attempts are under way to all"
    cluster.merchants.hold.set()
    cluster.merchants.hold = None
    while len(second.tenure.held) < 3:
        await first.claiming.renew()
        await second.claiming.renew()
    await all_delivered(first, events)
    assert set(cluster.merchants.requests.values()) == {1}


async def test_what_nobody_called_is_found_by_looking(cluster: Cluster):
    receiver, sender = await cluster.node("receiver", "receive"), await cluster.node("sender")
    await receiver.calls.stop()
    events = await receiver.append(3)
    sender.let_pass(10)
    await sender.claiming.renew()
    assert not cluster.merchants.requests
    await sender.claiming.look()
    await all_delivered(receiver, events)
