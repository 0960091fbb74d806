"""What the dispatcher holds of one endpoint: a bounded window on its due deliveries, and when to look for more.

The rest is on disk. Each priority has its own place in the window, so that a backlog of ordinary events keeps no
dispute out of it. `known` holds every delivery that is in the window, under way, or not yet settled on
disk, so that reading the disk again never finds one twice.
"""

from collections import deque
from collections.abc import Iterable, Mapping

import msgspec

from webhookd.clock import Clock
from webhookd.core.breaker import BreakerState, Health
from webhookd.core.delivery import PRIORITIES, Aftermath, Due, Outcome, Priority
from webhookd.core.endpoint import Endpoint, EndpointState, Why
from webhookd.core.event import Event
from webhookd.dispatch.gate import Gate
from webhookd.dispatch.tenure import Tenure
from webhookd.dispatch.view import LaneView, LastFailure
from webhookd.store.protocol.claims import Claim
from webhookd.store.protocol.log import DueBatch

WINDOW = 64
"""Deliveries of one priority."""
UNKNOWN = Health(trips=-1)
"""What the disk has of an endpoint's health when that has to be told anew."""
ROOM: Mapping[BreakerState, int] = {"closed": WINDOW, "half_open": 1, "open": 0}
"""How many of them are held: of an endpoint that fails there is none in memory."""


class Lane:
    def __init__(self, endpoint: Endpoint, clock: Clock, tenure: Tenure) -> None:
        self.endpoint = endpoint
        self._tenure = tenure
        self.gate = Gate(endpoint, clock)
        self.in_flight = 0
        self.wake_at: int | None = None
        """When to look on disk next, Unix milliseconds; None when nothing is pending there."""
        self.refilling = False
        self.turn: Priority | None = None
        """Among which the lane waits for its turn."""
        self._clock = clock
        self._ready: tuple[deque[Due], ...] = tuple(deque() for _ in PRIORITIES)
        self._behind: set[Priority] = set(PRIORITIES)
        """Of which due deliveries may be on disk that are not in the window."""
        self._missed: set[Priority] = set()
        """Of which some became due during the read that is under way."""
        self._known: set[int] = set()
        """The keys of the events."""
        self._withdrawn: set[int] = set()
        """Those of them that were cancelled during the read that is under way: it may have seen them as due."""
        self._called_back: set[int] = set()
        """Those that may be replayed while reads pass over them: they were cancelled, or are perhaps settled."""
        self._health_on_disk = endpoint.health
        self._lives = 0
        self.was_down = False
        """Whether it failed until a person made it active again, and has not succeeded since."""
        self.gives_up = False
        """Whether the store is still to hear that the endpoint has failed for too long."""
        self.notices: list[Event] = []
        """Operational events that are not in the log yet."""
        self.last_failure: LastFailure | None = None

    # --- What is next

    @property
    def ready(self) -> int:
        """How many the window holds."""
        return sum(map(len, self._ready))

    @property
    def next_priority(self) -> Priority | None:
        """Of what the window would give next."""
        for priority in PRIORITIES:
            if self._ready[priority]:
                return priority
        return None

    @property
    def is_behind(self) -> bool:
        return bool(self._behind)

    @property
    def looks_to_disk(self) -> bool:
        """Whether something of it is on disk that is due and not in the window, or will be due."""
        return self.wake_at is not None or self.is_behind

    @property
    def has_nothing(self) -> bool:
        """Whether neither the window nor an attempt under way holds anything."""
        return not self.ready and self.in_flight == 0

    @property
    def known_events(self) -> list[int]:
        return list(self._known)

    def wait_ms(self) -> float | None:
        """Milliseconds until an attempt may start: 0 is now. None: something else has to happen first."""
        if self.endpoint.state != "active" or self.fence is None:
            return None
        return self.gate.wait_ms(self.in_flight)

    @property
    def fence(self) -> int | None:
        """Of the claim that this process has on the endpoint; None when it has none."""
        return self._tenure.fence(self.endpoint.number)

    def start(self) -> Due:
        """Take the next one out of the window; an attempt of it starts now."""
        due = next(filter(None, self._ready)).popleft()
        self.in_flight += 1
        self.gate.start()
        return due

    # --- What comes in

    @property
    def room(self) -> int:
        """How many of a priority may be held."""
        if self.endpoint.state != "active" or self.fence is None:
            return 0  # what it is owed waits on disk
        return ROOM[self.gate.state]

    def rooms(self) -> dict[Priority, int]:
        """How many of each priority a read of the disk should bring; empty when there is no need of one."""
        if self.refilling or not self.is_behind or not (room := self.room):
            return {}
        return {
            priority: room - len(held)
            for priority, held in zip(PRIORITIES, self._ready, strict=True)
            if priority in self._behind and len(held) <= room // 2
        }

    def offer(self, due: Due) -> bool:
        """Take a delivery that has just been committed, unless older ones wait on disk or the window is full."""
        if due.event.key in self._known:
            return False  # a read that ended between the commit and its announcement has found it
        held = self._ready[due.priority]
        if due.priority in self._behind or self.refilling or len(held) >= self.room:
            self.miss(due.priority)
            return False
        self._known.add(due.event.key)
        held.append(due)
        return True

    def miss(self, *priorities: Priority) -> None:
        """Something is due on disk that nobody has named; a read that is under way may have begun before it was."""
        self._behind.update(priorities or PRIORITIES)
        if self.refilling:
            self._missed.update(priorities or PRIORITIES)

    def wake_by(self, at_ms: int) -> None:
        if self.wake_at is None or at_ms < self.wake_at:
            self.wake_at = at_ms

    def begin_refill(self) -> None:
        self.refilling = True
        self._withdrawn.clear()
        self._missed.clear()

    def end_refill(self, asked: Iterable[Priority], batch: DueBatch) -> int:
        """Take what the read found of the priorities asked for; it passed over what is known. Gives its bytes.

        What was cancelled since the read began is not taken: if it is replayed already, another read finds it.
        """
        found = [due for due in batch.due if due.event.key not in self._withdrawn]
        for due in found:
            self._ready[due.priority].append(due)
            self._known.add(due.event.key)
        self._behind.difference_update(asked)
        self._behind |= self._missed | batch.behind
        if batch.next_due_at is not None:
            self.wake_by(batch.next_due_at)
        self.refilling = False
        return sum(due.event.size for due in found)

    def abandon_refill(self, again_at_ms: int) -> None:
        """The disk could not be read; try again then."""
        self.refilling = False
        self._behind.clear()
        self.wake_by(again_at_ms)

    # --- What goes out

    def release(self, due: Due) -> None:
        """The delivery's settlement is on disk. A read that is under way passes over it: it was known at its start."""
        self._known.discard(due.event.key)
        if due.event.key in self._called_back:
            self._called_back.discard(due.event.key)
            self.miss(due.priority)

    def withdraw(self, event: int) -> int:
        """Its delivery is cancelled: it is not started any more. Gives the bytes that the window gets rid of."""
        if self.refilling:
            self._withdrawn.add(event)
        for held in self._ready:
            for due in held:
                if due.event.key == event:
                    held.remove(due)
                    self.release(due)
                    return due.event.size
        if event in self._known:
            self._called_back.add(event)
        return 0

    def doubt(self, event: int) -> None:
        """The store does not say whether its settlement is on disk: if so, it may be replayed before it is released."""
        self._called_back.add(event)

    def spill(self) -> list[Due]:
        """Give the window back to the disk. What is under way goes on."""
        dropped = [due for each in self._ready for due in each]
        for each in self._ready:
            each.clear()
        for due in dropped:
            self.release(due)
        self.miss()
        return dropped

    def stand(self, state: EndpointState, why: Why | None = None) -> None:
        """Be in this state from now on. Whoever is active again begins carefully, and nothing is held against him."""
        if state == "active" and self.endpoint.state != "active":
            self.was_down |= self.endpoint.why in ("gone", "failing") or self.gate.breaker.health.trips > 0
            self._health_on_disk, self.gives_up, self._lives = UNKNOWN, False, self._lives + 1
            self.gate.begin_anew()
        self.endpoint = msgspec.structs.replace(self.endpoint, state=state, why=why)

    def take_over(self, claim: Claim) -> None:
        """Go on where another left it."""
        self._health_on_disk = claim.health
        self.endpoint = msgspec.structs.replace(self.endpoint, state=claim.state, why=claim.why, health=claim.health)
        self.gate = Gate(self.endpoint, self._clock)
        self.miss()

    def adapt(self, endpoint: Endpoint) -> None:
        """Go on with other settings, in the state as it is."""
        state, why = self.endpoint.state, self.endpoint.why
        self.endpoint = msgspec.structs.replace(endpoint, state=state, why=why)
        self.gate.adapt(endpoint.spec)

    # --- How the endpoint is

    def note_failure(self, due: Due, outcome: Outcome) -> None:
        """It is told to who asks how the endpoint is; nothing depends on it."""
        at = outcome.started_at + outcome.duration_ms
        self.last_failure = LastFailure(at, outcome.status, outcome.error or "", due.key)

    @property
    def view(self) -> LaneView:
        health = self.gate.breaker.health
        return LaneView(
            self.in_flight,
            self.gate.pace.limit,
            self.gate.state,
            health.retry_at,
            health.failing_since,
            self.ready,
            self.ready if self.gate.holds_back(self.in_flight) else 0,
            self.last_failure,
        )

    def has_failed_for_too_long(self, now_ms: int) -> bool:
        since, longest_ms = self.gate.breaker.health.failing_since, self.endpoint.spec.disable_after_ms
        return since is not None and longest_ms is not None and now_ms - since >= longest_ms

    def take_aftermath(self) -> tuple[Aftermath | None, int]:
        """What the store is to be told of the endpoint with the next settlement; None when it knows all.

        And in which of the lane's lives: one begins when the endpoint is made active again.
        """
        health = self.gate.breaker.health
        if health == self._health_on_disk and not self.gives_up and not self.notices:
            return None, self._lives
        aftermath = Aftermath(health, self.gives_up, tuple(self.notices))
        self._health_on_disk, self.gives_up, self.notices = health, False, []
        return aftermath, self._lives

    def put_back(self, aftermath: Aftermath | None, life: int) -> None:
        """It could not be stored. What it said of the endpoint is void if a person has made it active since."""
        if aftermath is not None:
            self._health_on_disk = UNKNOWN
            self.gives_up |= aftermath.gives_up and life == self._lives
            self.notices[:0] = aftermath.notices

    @property
    def is_idle(self) -> bool:
        """Whether nothing of it is in memory or under way."""
        return not self._known and not self.refilling

    @property
    def is_over(self) -> bool:
        """Whether it is taken out and nothing of it is under way, so that it can be forgotten."""
        return self.endpoint.why == "removed" and self.is_idle
