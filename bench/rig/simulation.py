"""Nodes, their database, its disk and the merchants as queues: what a load of events meets there, in simulated time.

What is simulated is what makes them wait: a node is one thread that does one thing at a time; its group commit has one
batch under way, and the next is whatever has come meanwhile; each node has a backend of the database to itself, and
all share its processors; a sync of the WAL takes all along that wait for one; an endpoint is posted to by one node, so
many at a time, and what another node took in is read from the database by that one. Everything else is left out:
locks, checkpoints, vacuum, the network, a garbage collector's pauses.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count

import msgspec

COMMIT_WRITES_MAX = 128
"""As in `webhookd.store.group_commit`."""
BEFORE_COMMIT = 0.7
"""The part of what receiving costs a node that comes before the commit; the rest writes the answer."""
BEFORE_POST = 0.6
"""The part of what delivering costs a node that signs and posts; the rest reads the answer and settles."""
RECEIVING = 0.45
"""The part of what an event costs a node that is receiving it; the rest is delivering. An estimate, as those above."""
Then = Callable[[], None]


class Costs(msgspec.Struct):
    """Processor time, in seconds, and what a sync takes."""

    node_s: float
    """Of a node, for an event taken in and delivered, but for its batches."""
    node_batch_s: float
    node_elsewhere_s: float
    """More, where one node takes it in and another delivers it."""
    database_s: float
    database_batch_s: float
    database_elsewhere_s: float
    load_s: float
    """Of the load and the merchants, where they are on the same machine."""
    sync_s: float


class Plan(msgspec.Struct):
    nodes: int
    database_processors: int
    endpoints: int = 8
    window: int = 8
    """Posts at a time to an endpoint."""
    merchant_s: float = 0.0
    """How long he takes."""
    one_machine: bool = False
    """Nodes, database and load all share the database's processors, as they do in the bench."""


class Seen(msgspec.Struct):
    events_per_s: float
    acks_s: list[float]
    """Of the last four fifths of the events: from when each was due to its 200."""
    arrivals_s: list[float]
    """The same until its merchant has it."""
    node_busy: float
    """The share of its processor's time that the busiest node uses."""
    database_busy: float
    batch: float
    """Rows in a commit."""


class Machine:
    """So many processors for threads that take turns, a job at a time."""

    def __init__(self, world: "World", processors: int) -> None:
        self._world, self._free = world, processors
        self._ready: deque[Thread] = deque()

    def wants(self, thread: "Thread") -> None:
        self._ready.append(thread)
        self._run()

    def _run(self) -> None:
        while self._free and self._ready:
            self._free -= 1
            thread = self._ready.popleft()
            cost_s, then = thread.jobs.popleft()
            thread.busy_s += cost_s
            self._world.at(self._world.now + cost_s, lambda thread=thread, then=then: self._done(thread, then))  # type: ignore[misc]

    def _done(self, thread: "Thread", then: Then) -> None:
        self._free += 1
        if thread.jobs:
            self._ready.append(thread)
        else:
            thread.is_ready = False
        then()
        self._run()


class Thread:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.jobs: deque[tuple[float, Then]] = deque()
        self.is_ready = False
        self.busy_s = 0.0

    def do(self, cost_s: float, then: Then) -> None:
        self.jobs.append((cost_s, then))
        if not self.is_ready:
            self.is_ready = True
            self._machine.wants(self)


class Disk:
    def __init__(self, world: "World", sync_s: float) -> None:
        self._world, self._sync_s = world, sync_s
        self._waiting: list[Then] = []
        self._is_syncing = False

    def sync(self, then: Then) -> None:
        self._waiting.append(then)
        if not self._is_syncing:
            self._begin()

    def _begin(self) -> None:
        along, self._waiting, self._is_syncing = self._waiting, [], True
        # Syncs are not all alike: as long again for one in ten, which is what makes a p99 of it.
        took_s = self._sync_s * (2.0 if self._world.dice.random() < 0.1 else 0.9)
        self._world.at(self._world.now + took_s, lambda: self._end(along))

    def _end(self, along: Sequence[Then]) -> None:
        self._is_syncing = False
        for then in along:
            then()
        if self._waiting and not self._is_syncing:
            self._begin()


class Node:
    def __init__(self, world: "World", machine: Machine, database: Machine) -> None:
        self._world = world
        self.thread, self._backend, self.reader = Thread(machine), Thread(database), Thread(database)
        self._queue: deque[Then] = deque()
        self._is_committing = False
        self.batches = self.rows = 0

    @property
    def database_s(self) -> float:
        return self._backend.busy_s + self.reader.busy_s

    def write(self, then: Then) -> None:
        """A row; `then` when it is durable."""
        self._queue.append(then)
        if not self._is_committing:
            self._commit()

    def _commit(self) -> None:
        costs, disk = self._world.costs, self._world.disk
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), COMMIT_WRITES_MAX))]
        self._is_committing = True
        self.batches, self.rows = self.batches + 1, self.rows + len(batch)
        written_s = (
            costs.database_batch_s + len(batch) * costs.database_s / 2
        )  # an event is two rows: it and its attempt
        self.thread.do(
            costs.node_batch_s,
            lambda: self._backend.do(
                written_s, lambda: disk.sync(lambda: self.thread.do(0.0, lambda: self._told(batch)))
            ),
        )

    def _told(self, batch: Sequence[Then]) -> None:
        self._is_committing = False
        for then in batch:
            then()
        if self._queue:
            self._commit()


class Endpoint:
    """Posted to by one node, so many at a time."""

    def __init__(self, world: "World", owner: Node) -> None:
        self._world, self.owner = world, owner
        self._free = world.plan.window
        self._waiting: deque[int] = deque()

    def owe(self, event: int) -> None:
        self._waiting.append(event)
        self._post()

    def _post(self) -> None:
        world = self._world
        part_s = (1 - RECEIVING) * world.costs.node_s
        while self._free and self._waiting:
            self._free -= 1
            event = self._waiting.popleft()
            self.owner.thread.do(
                BEFORE_POST * part_s,
                lambda event=event: world.merchant(event, lambda: self._answered(part_s)),  # type: ignore[misc]
            )

    def _answered(self, part_s: float) -> None:
        def settle() -> None:
            self._free += 1
            self.owner.write(lambda: None)
            self._post()

        self.owner.thread.do((1 - BEFORE_POST) * part_s, settle)


class World:
    def __init__(self, plan: Plan, costs: Costs, seed: int = 1) -> None:
        self.plan, self.costs = plan, costs
        self.now, self.dice = 0.0, random.Random(seed)
        self._heap: list[tuple[float, int, Then]] = []
        self._order = count()
        database = Machine(self, plan.database_processors)
        machines = [database if plan.one_machine else Machine(self, 1) for _ in range(plan.nodes)]
        self.disk = Disk(self, costs.sync_s)
        self._load = Thread(database) if plan.one_machine else None
        self._nodes = [Node(self, machine, database) for machine in machines]
        self._endpoints = [Endpoint(self, self._nodes[n % plan.nodes]) for n in range(plan.endpoints)]
        self._due_s: dict[int, float] = {}
        self._acked_s: dict[int, float] = {}
        self._came_s: dict[int, float] = {}

    def at(self, when: float, then: Then) -> None:
        heapq.heappush(self._heap, (when, next(self._order), then))

    def open_loop(self, due_s: Sequence[float]) -> Seen:
        """Hooks that come when they come."""
        for event, when in enumerate(due_s):
            self.at(when, lambda event=event: self._send(event, lambda: None))  # type: ignore[misc]
        return self._run(len(due_s))

    def closed_loop(self, events: int, clients: int) -> Seen:
        """Clients who each wait for their answer."""
        left = iter(range(events))

        def following() -> None:
            if (event := next(left, None)) is not None:
                self._send(event, following)

        for _ in range(clients):
            self.at(0.0, following)
        return self._run(events)

    def merchant(self, event: int, answered: Then) -> None:
        def has_come() -> None:
            self._came_s[event] = self.now
            self.at(self.now + self.plan.merchant_s, answered)

        self._outside(has_come)

    def _outside(self, then: Then) -> None:
        """What load and merchants take of this machine; two such make an event."""
        if self._load is None:
            then()
        else:
            self._load.do(self.costs.load_s / 2, then)

    def _send(self, event: int, answered: Then) -> None:
        node, endpoint = self._nodes[event % len(self._nodes)], self.dice.choice(self._endpoints)
        part_s = RECEIVING * self.costs.node_s
        self._due_s[event] = self.now

        def is_durable() -> None:
            node.thread.do((1 - BEFORE_COMMIT) * part_s, lambda: self._acknowledge(event, answered))
            if endpoint.owner is node:
                endpoint.owe(event)
            else:
                endpoint.owner.reader.do(
                    self.costs.database_elsewhere_s,
                    lambda: endpoint.owner.thread.do(self.costs.node_elsewhere_s, lambda: endpoint.owe(event)),
                )

        self._outside(lambda: node.thread.do(BEFORE_COMMIT * part_s, lambda: node.write(is_durable)))

    def _acknowledge(self, event: int, answered: Then) -> None:
        self._acked_s[event] = self.now
        answered()

    def _run(self, events: int) -> Seen:
        while self._heap:
            self.now, _, then = heapq.heappop(self._heap)
            then()
        ended_s = max(self._came_s.values())
        counted = range(events // 5, events)
        batches, rows = sum(node.batches for node in self._nodes), sum(node.rows for node in self._nodes)
        return Seen(
            events_per_s=events / ended_s,
            acks_s=[self._acked_s[n] - self._due_s[n] for n in counted],
            arrivals_s=[self._came_s[n] - self._due_s[n] for n in counted],
            node_busy=max(node.thread.busy_s for node in self._nodes) / self.now,
            database_busy=sum(node.database_s for node in self._nodes) / self.now / self.plan.database_processors,
            batch=rows / batches,
        )
