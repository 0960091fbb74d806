"""Decides which delivery is attempted next: fresh ones as they are committed, the others when their time comes.

Endpoints take turns, one attempt a turn, so that a long backlog for one costs the others nothing. What is due is on
disk and what is under way is in memory: after a crash the disk alone says what is owed.
"""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import msgspec
import structlog

from webhookd.clock import Clock
from webhookd.core.delivery import Due, Outcome, Settlement, settle
from webhookd.core.endpoint import Endpoint, EndpointState
from webhookd.dispatch.lane import WINDOW, Lane
from webhookd.store.protocol import Outbox, StoreBrokenError, StoreUnavailableError

UNSETTLED_MAX = 1024
"""Attempts whose result is not on disk yet; at the bound no attempt starts until the store has caught up."""
HELD_BYTES_MAX = 64 * 2**20
"""Bodies in all windows together; beyond it an endpoint holds one at a time and the rest waits on disk."""
REFILL_BYTES_MAX = 8 * 2**20
"""Bodies that one look on disk may bring; a single larger one comes alone."""
STORE_RETRY_MS = 500
ALARM_S_MAX = 30.0
"""The longest sleep, so that a step of the wall clock is noticed."""
_log = structlog.get_logger("webhookd.dispatch")


class Meter(Protocol):
    """What the dispatcher counts."""

    def settled(self, endpoint: str, state: str) -> None: ...

    def delivered(self, seconds_since_received: float) -> None: ...


class Dispatcher:
    """`attempt` never raises. `dice` gives numbers from -1 to 1, for jitter.

    `failed` is told of a fault of the dispatcher's own: it can no longer vouch for every delivery, so the process must
    stop and start again from the disk.
    """

    def __init__(
        self,
        outbox: Outbox,
        attempt: Callable[[Endpoint, Due], Awaitable[Outcome]],
        clock: Clock,
        meter: Meter,
        *,
        max_in_flight: int,
        failed: Callable[[str, Exception], None],
        dice: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311 - jitter, not a secret
    ) -> None:
        self._outbox = outbox
        self._attempt = attempt
        self._clock = clock
        self._meter = meter
        self._failed = failed
        self._dice = dice
        self._max_in_flight = max_in_flight
        self._lanes: dict[int, Lane] = {}
        self._turns: deque[Lane] = deque()
        self._in_flight = 0
        self._unsettled = 0
        self._held_bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def in_flight_of(self, name: str) -> int:
        return sum(lane.in_flight for lane in self._lanes.values() if lane.endpoint.spec.name == name)

    def serve(self, endpoints: Iterable[Endpoint]) -> None:
        """Deliver to exactly these from now on. What is pending for a new one is looked for on disk at once."""
        wanted = {endpoint.number: endpoint for endpoint in endpoints}
        for number in self._lanes.keys() - wanted.keys():
            # The lane stays, so that an endpoint that comes back is not sent what is still under way.
            self._let_go(self._lanes[number].halt("disabled"))
        for number, endpoint in wanted.items():
            lane = self._lanes.setdefault(number, Lane(endpoint))
            lane.endpoint = endpoint
            lane.miss()
            if endpoint.state != "active":
                self._let_go(lane.halt(endpoint.state))
            self._look(lane)

    def set_state(self, name: str, state: EndpointState) -> None:
        """Pause or resume one endpoint, as the store already has it."""
        for lane in self._lanes.values():
            if lane.endpoint.spec.name != name:
                continue
            if state == "active":
                lane.endpoint = msgspec.structs.replace(lane.endpoint, state=state)
                lane.miss()
            else:
                self._let_go(lane.halt(state))
            self._look(lane)
        self._pump()

    def offer(self, owed: Sequence[Due], complete: bool) -> None:
        """Take the deliveries of a commit. Those that do not fit the window are found on disk later."""
        now_ms = self._clock.now_ms()
        for due in owed:
            lane = self._lanes.get(due.endpoint)
            if lane is None:
                continue
            if due.due_at > now_ms:
                lane.wake_by(due.due_at)
            elif self._held_bytes > HELD_BYTES_MAX and not lane.has_nothing():
                lane.miss()
            elif lane.offer(due):
                self._held_bytes += due.event.size
            self._look(lane)
        if not complete:
            for lane in self._lanes.values():
                lane.miss()
                self._look(lane)
        self._pump()

    async def stop(self, grace_s: float) -> None:
        """Start nothing more, and wait for what is under way. What does not end in time is cut, and due again later."""
        self._stopping = True
        for lane in self._lanes.values():
            if lane.alarm is not None:
                lane.alarm.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # --- Turns

    def _look(self, lane: Lane) -> None:
        """Give the lane its place in the turns, fill its window, or set its alarm, if it is time for any of them."""
        if self._stopping:
            return
        if lane.wake_at is not None:
            if lane.wake_at <= self._clock.now_ms():
                lane.wake_at = None
                lane.miss()
            else:
                self._set_alarm(lane)
        if lane.wants_refill() and (self._held_bytes < HELD_BYTES_MAX or lane.has_nothing()):
            lane.begin_refill()
            reserved = max(1, min(REFILL_BYTES_MAX, HELD_BYTES_MAX - self._held_bytes))
            self._held_bytes += reserved
            self._spawn(self._refill(lane, reserved))
        if not lane.queued and lane.may_start():
            lane.queued = True
            self._turns.append(lane)

    def _pump(self) -> None:
        while self._turns and self._in_flight < self._max_in_flight and self._unsettled < UNSETTLED_MAX:
            if self._stopping:
                return
            lane = self._turns.popleft()
            lane.queued = False
            if lane.may_start():
                due = lane.ready.popleft()
                lane.in_flight += 1
                self._in_flight += 1
                self._unsettled += 1
                self._spawn(self._carry_out(lane, due))
            self._look(lane)

    async def _carry_out(self, lane: Lane, due: Due) -> None:
        try:
            try:
                outcome = await self._attempt(lane.endpoint, due)
                self._heed_gone(lane, outcome)
            finally:
                lane.in_flight -= 1
                self._in_flight -= 1
                self._held_bytes -= due.event.size
                self._look(lane)
                self._pump()
            settlement = settle(due, outcome, lane.endpoint.spec.retry, self._clock.now_ms(), self._dice())
            await self._record(settlement)
            self._heed_gone(lane, outcome)  # once more: it may have been resumed before the store had paused it
            if settlement.due_at is not None:
                lane.wake_by(settlement.due_at)
            self._report(lane, due, settlement)
        finally:
            self._unsettled -= 1
            lane.release(due.key)
            self._look(lane)
            self._pump()

    def _heed_gone(self, lane: Lane, outcome: Outcome) -> None:
        """410: stop at once. The store pauses the endpoint in the transaction that settles the attempt."""
        if outcome.status == 410 and lane.endpoint.state == "active":
            _log.warning("endpoint_paused", endpoint=lane.endpoint.spec.name, reason="it answered 410 Gone")
            self._let_go(lane.halt("paused"))

    async def _record(self, settlement: Settlement) -> None:
        """Insist: an attempt that was made and is not recorded would be made again."""
        while True:
            try:
                return await self._outbox.settle(settlement)
            except StoreUnavailableError:
                await self._clock.sleep(STORE_RETRY_MS / 1_000)
            except StoreBrokenError:
                self._stopping = True  # and so does the process; after the restart the delivery is due again
                return None

    def _report(self, lane: Lane, due: Due, settlement: Settlement) -> None:
        name, outcome = lane.endpoint.spec.name, settlement.outcome
        if settlement.state == "delivered":
            self._meter.settled(name, "delivered")
            self._meter.delivered((outcome.started_at + outcome.duration_ms - due.event.received_at) / 1_000)
            return
        facts = {
            "endpoint": name,
            "event_id": due.event.id,
            "delivery_id": due.key.id,
            "attempt": settlement.number,
            "error": outcome.error,
            "status": outcome.status,
        }
        if settlement.state == "dead":
            self._meter.settled(name, "dead")
            _log.warning("delivery_dead", **facts)
        else:
            _log.info("attempt_failed", **facts, next_attempt_at=settlement.due_at)

    # --- From disk

    async def _refill(self, lane: Lane, reserved: int) -> None:
        """Fill the lane's window; `reserved` bytes of all windows are set aside for it."""
        now_ms = self._clock.now_ms()
        try:
            batch = await self._outbox.due(lane.endpoint.number, now_ms, lane.known_events, WINDOW, reserved)
        except StoreUnavailableError:
            lane.abandon_refill(now_ms + STORE_RETRY_MS)
        except StoreBrokenError:
            self._stopping = True
        else:
            lane.end_refill(batch)
            self._held_bytes += sum(due.event.size for due in batch.due)
            if lane.endpoint.state != "active":
                self._let_go(lane.halt(lane.endpoint.state))
        self._held_bytes -= reserved
        self._look(lane)
        self._pump()

    def _set_alarm(self, lane: Lane) -> None:
        """Look at the lane again when its disk has something due."""
        if lane.wake_at is None:
            return
        if lane.alarm is not None:
            if lane.alarm_at <= lane.wake_at:
                return
            lane.alarm.cancel()
        lane.alarm_at = lane.wake_at
        delay_s = max(0.0, (lane.wake_at - self._clock.now_ms()) / 1_000)
        lane.alarm = self._clock.call_later(min(delay_s, ALARM_S_MAX), partial(self._on_alarm, lane))

    def _on_alarm(self, lane: Lane) -> None:
        lane.alarm = None
        self._look(lane)
        self._pump()

    def _let_go(self, dropped: Sequence[Due]) -> None:
        self._held_bytes -= sum(due.event.size for due in dropped)

    def _spawn(self, work: Awaitable[None]) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._failed("dispatcher", error)
