"""What the dispatcher holds of one endpoint: a bounded window on its due deliveries, and when to look for more.

The rest is on disk. `known` holds the key of every delivery that is in the window, under way, or not yet settled on
disk, so that reading the disk again never finds one twice.
"""

from collections import deque

import msgspec

from webhookd.clock import Timer
from webhookd.core.delivery import PRIORITIES, DeliveryKey, Due
from webhookd.core.endpoint import Endpoint, EndpointState
from webhookd.store.protocol import DueBatch

WINDOW = 64


class Lane:
    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.ready: deque[Due] = deque()
        self.in_flight = 0
        self.wake_at: int | None = None
        """When to look on disk next, Unix milliseconds; None when nothing is pending there."""
        self.alarm: Timer | None = None
        self.alarm_at = 0
        """What the alarm is set for, while there is one."""
        self.behind = True
        """Whether due deliveries are on disk that are not in the window."""
        self.refilling = False
        self.queued = False
        """Whether the lane waits for its turn."""
        self._known: set[DeliveryKey] = set()
        self._missed = False

    @property
    def known_events(self) -> list[int]:
        return [key.event for key in self._known]

    def may_start(self) -> bool:
        """Whether an attempt may start now. The place where rate limit, breaker and ordering will have their say."""
        return (
            bool(self.ready) and self.endpoint.state == "active" and self.in_flight < self.endpoint.spec.max_in_flight
        )

    def has_nothing(self) -> bool:
        """Whether neither the window nor an attempt under way holds anything."""
        return not self.ready and self.in_flight == 0

    def wants_refill(self) -> bool:
        # Paused lanes hold nothing: what they are owed waits on disk.
        return self.behind and not self.refilling and len(self.ready) <= WINDOW // 2 and self.endpoint.state == "active"

    def offer(self, due: Due) -> bool:
        """Take a delivery that has just been committed, unless older ones wait on disk or the window is full."""
        if self.behind or self.refilling or len(self.ready) >= WINDOW or self.endpoint.state != "active":
            self.miss()
            return False
        self._known.add(due.key)
        self.ready.append(due)
        return True

    def miss(self) -> None:
        """Something is due on disk that nobody has named; a read that is under way may have begun before it was."""
        self.behind = True
        self._missed = self._missed or self.refilling

    def wake_by(self, at_ms: int) -> None:
        if self.wake_at is None or at_ms < self.wake_at:
            self.wake_at = at_ms

    def begin_refill(self) -> None:
        self.refilling, self._missed = True, False

    def end_refill(self, batch: DueBatch) -> None:
        """Take what the read found; it passed over what is known."""
        self.ready.extend(batch.due)
        self._known.update(due.key for due in batch.due)
        self.behind = self._missed or batch.behind_from < len(PRIORITIES)
        if batch.next_due_at is not None:
            self.wake_by(batch.next_due_at)
        self.refilling = False

    def abandon_refill(self, again_at_ms: int) -> None:
        """The disk could not be read; try again then."""
        self.refilling = self.behind = False
        self.wake_by(again_at_ms)

    def release(self, key: DeliveryKey) -> None:
        """The delivery's settlement is on disk. A read that is under way passes over it: it was known at its start."""
        self._known.discard(key)

    def halt(self, state: EndpointState) -> list[Due]:
        """Start nothing more, and give the window back to the disk. What is under way goes on."""
        self.endpoint = msgspec.structs.replace(self.endpoint, state=state)
        dropped = list(self.ready)
        self.ready.clear()
        for due in dropped:
            self.release(due.key)
        self.miss()
        return dropped
