"""Decides which delivery is attempted next: fresh ones as they are committed, the others when their time comes.

Endpoints take turns, one attempt a turn, so that a long backlog for one costs the others nothing; among those whose
turn it is, disputes go before the rest. What is due is on disk and what is under way is in memory: after a crash the
disk alone says what is owed.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence

from webhookd.clock import Clock
from webhookd.core.delivery import DeliveryKey, Due, Outcome, Priority, settle
from webhookd.core.endpoint import Endpoint, EndpointState, Why
from webhookd.dispatch.alarms import Alarms
from webhookd.dispatch.judge import Judge
from webhookd.dispatch.lane import Lane
from webhookd.dispatch.lanes import Lanes
from webhookd.dispatch.notice import Notice
from webhookd.dispatch.recorder import STORE_RETRY_MS, Recorder
from webhookd.dispatch.report import Meter, Report
from webhookd.dispatch.retiming import Retiming
from webhookd.dispatch.tenure import FIRST_FENCE, Tenure
from webhookd.dispatch.turns import Turns
from webhookd.dispatch.view import LaneView
from webhookd.store.protocol.claims import Renewed
from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError
from webhookd.store.protocol.log import Outbox

UNSETTLED_MAX = 1024
"""Attempts whose result is not on disk yet; at the bound no attempt starts until the store has caught up."""
HELD_BYTES_MAX = 64 * 2**20
"""Bodies in all windows together; beyond it an endpoint holds one at a time and the rest waits on disk."""
REFILL_BYTES_MAX = 2**20
"""Bodies that one look on disk may bring; a single larger one comes alone."""


class Dispatcher:
    """`attempt` never raises. `dice` gives numbers from -1 to 1, for jitter.

    `failed` is told of a fault of the dispatcher's own: it can no longer vouch for every delivery, so the process must
    stop and start again from the disk. `notice` makes an operational event of a type and what there is to say.
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
        notice: Notice,
        tenure: Tenure | None = None,
        dice: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311 - jitter, not a secret
    ) -> None:
        self._outbox, self._attempt, self._clock = outbox, attempt, clock
        self._report = Report(meter, notice)
        self._failed, self._dice, self.max_in_flight = failed, dice, max_in_flight
        self._tenure = tenure or Tenure(clock)
        self.lanes = Lanes(clock, self._tenure)
        self._turns = Turns()
        self.in_flight = 0
        """Attempts under way."""
        self.unsettled = self.held_bytes = 0
        self._retiming = Retiming(outbox, clock, self.lanes.by_number, self._spawn, self._see_to)
        self._alarms = Alarms(clock, self._see_to, self._retiming.begin)
        self._judge = Judge(self._report, clock, self._alarms.look_at_clock)
        self._recorder = Recorder(outbox, clock, self._report, self._judge, self._stand, self._lose)
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping, self.slot_free_at = False, clock.monotonic()

    def view(self, name: str) -> LaneView | None:
        """How one endpoint is doing; None when nothing is delivered to such a one."""
        return lane.view if (lane := self.lanes.named(name)) is not None else None

    def views(self) -> list[tuple[Endpoint, LaneView]]:
        return [(lane.endpoint, lane.view) for lane in self.lanes]

    def serve(self, endpoints: Iterable[Endpoint]) -> None:
        """Deliver to exactly these from now on. What is pending for a new one is looked for on disk at once."""
        wanted = list(endpoints)
        for lane in self.lanes.of(self.lanes.by_number.keys() - {endpoint.number for endpoint in wanted}):
            self._stand(lane, "disabled", "removed")
        for endpoint in wanted:
            self._stand(self.lanes.put(endpoint), endpoint.state, endpoint.why)
        self._report.heard_by(self.lanes.in_service)
        self.pump()

    def put(self, endpoint: Endpoint) -> None:
        """Deliver to this one too, or from now on as it says."""
        self._stand(self.lanes.put(endpoint), endpoint.state, endpoint.why)
        self._report.heard_by(self.lanes.in_service)
        self.pump()

    def take_out(self, name: str) -> None:
        """Deliver nothing more to it. What is under way ends."""
        if (lane := self.lanes.named(name)) is not None:
            self._stand(lane, "disabled", "removed")
            self._report.heard_by(self.lanes.in_service)

    def set_state(self, name: str, state: EndpointState) -> None:
        """Pause or resume one endpoint, as the store already has it."""
        if (lane := self.lanes.named(name)) is not None:
            self._stand(lane, state)
            self.pump()

    def look_again(self, numbers: Iterable[int]) -> None:
        """Something has become due on disk for these endpoints that no commit has announced: a replay."""
        self.hear_of(numbers)
        self._tenure.tell(numbers)

    def hear_of(self, numbers: Iterable[int] | None) -> None:
        """The same, from another process; None: for any."""
        for lane in self.lanes.of(numbers):
            lane.miss()
            self._see_to(lane)

    def withdraw(self, key: DeliveryKey) -> None:
        """A person has cancelled it: no attempt of it starts any more. One that is under way ends, and is recorded."""
        for lane in self.lanes.of([key.endpoint]):
            self.held_bytes -= lane.withdraw(key.event)
        self.hear_of([key.endpoint])  # of a chain the next one may go

    def offer(self, owed: Sequence[Due], complete: bool) -> None:
        """Take the deliveries of a commit. Those that do not fit the window are found on disk later."""
        now_ms = self._clock.now_ms()
        for due in owed:
            if (lane := self.lanes.by_number.get(due.endpoint)) is None:
                continue
            if 0 < due.due_at - now_ms <= lane.endpoint.spec.retry.longest_ms:
                lane.wake_by(due.due_at)
            elif self.held_bytes > HELD_BYTES_MAX and not lane.has_nothing:
                lane.miss(due.priority)
            elif lane.offer(due):
                self.held_bytes += due.event.size
        for lane in self.lanes.of(due.endpoint for due in owed):
            self._look(lane)
        self._tenure.tell(due.endpoint for due in owed)
        if not complete:
            self.hear_of(None)
            self._tenure.tell(None)
        self.pump()

    def hold(self, renewed: Renewed, until: float) -> None:
        """Deliver to what is claimed, and go on with it `until` then; what is lost is another's."""
        had_lapsed = self._tenure.has_lapsed
        self._tenure.extend(renewed, until)
        for claim in renewed.gained:
            for lane in self.lanes.of([claim.endpoint]):
                lane.take_over(claim)
        ending = self._tenure.end(renewed.surplus)
        changed = [*(claim.endpoint for claim in renewed.gained), *renewed.lost, *ending]
        for lane in self.lanes.of(None if had_lapsed else changed):
            self._empty_if_shut(lane)
            self._look(lane)
        self.pump()

    async def stop(self, grace_s: float) -> None:
        """Start nothing more, and wait for what is under way. What does not end in time is cut, and due again later."""
        self._stopping = True
        self._alarms.stop()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # --- Endpoints

    def _stand(self, lane: Lane, state: EndpointState, why: Why | None = None) -> None:
        # The lane stays, so that an endpoint that comes back is not sent what is still under way.
        lane.stand(state, why)
        lane.miss()
        self._empty_if_shut(lane)
        self._look(lane)
        self.lanes.forget_if_over(lane)

    # --- Turns

    def _look(self, lane: Lane) -> None:
        """Give the lane its place in the turns, fill its window, or set its alarm, if it is time for any of them."""
        if self._stopping:
            return
        if lane.wake_at is not None:
            wait_ms = lane.wake_at - self._clock.now_ms()
            if wait_ms > 0:
                self._alarms.set(lane, wait_ms)
            else:
                lane.wake_at = None
                lane.miss()
        if (rooms := lane.rooms()) and (self.held_bytes < HELD_BYTES_MAX or lane.has_nothing):
            lane.begin_refill()
            reserved = max(1, min(REFILL_BYTES_MAX, HELD_BYTES_MAX - self.held_bytes))
            self.held_bytes += reserved
            self._spawn(self._refill(lane, rooms, reserved))
        priority = lane.next_priority
        if priority is None and not lane.is_behind:
            return
        wait = lane.wait_ms()
        if wait is None:
            return  # the end of an attempt, or a person, will have us look again
        if wait > 0:
            self._alarms.set(lane, wait)
        elif priority is not None:
            self._turns.queue(lane, priority)

    def _see_to(self, lane: Lane) -> None:
        self._look(lane)
        self.pump()

    def pump(self) -> None:
        while self.in_flight < self.max_in_flight and not self._stopping:
            self.slot_free_at = self._clock.monotonic()
            if self.unsettled >= UNSETTLED_MAX or (lane := self._turns.next()) is None:
                return
            if lane.next_priority is not None and lane.wait_ms() == 0:
                due = lane.start()
                self.in_flight += 1
                self.unsettled += 1
                self._spawn(self._carry_out(lane, due))
            self._look(lane)

    async def _carry_out(self, lane: Lane, due: Due) -> None:
        fence = lane.fence or FIRST_FENCE
        try:
            try:
                outcome = await self._attempt(lane.endpoint, due)
                if (standing := self._judge.hear(lane, outcome)) is not None:
                    self._stand(lane, *standing)
                if outcome.error is not None:
                    lane.note_failure(due, outcome)
                    self._empty_if_shut(lane)
            finally:
                lane.in_flight -= 1
                self.in_flight -= 1
                self.held_bytes -= due.event.size
                self._see_to(lane)
            settlement = settle(due, outcome, lane.endpoint.spec.retry, await self._now_ms(), self._dice(), fence)
            if await self._recorder.record(lane, due, settlement):
                if settlement.due_at is not None:
                    lane.wake_by(settlement.due_at)
                elif due.chained:
                    lane.miss()
                self._report.settled(lane.endpoint, due, settlement)
            self._stopping |= self._recorder.is_broken
        finally:
            was_full = self.unsettled >= UNSETTLED_MAX
            self.unsettled -= 1
            lane.release(due)
            if was_full or lane.looks_to_disk:
                self._see_to(lane)
            self.lanes.forget_if_over(lane)

    async def _now_ms(self) -> int:
        """What time it is, once all that is on disk is due by it: it may just have been set."""
        self._alarms.look_at_clock()
        await self._retiming.over()
        return self._clock.now_ms()

    # --- From disk

    async def _refill(self, lane: Lane, rooms: Mapping[Priority, int], reserved: int) -> None:
        """Fill the lane's window; `reserved` bytes of all windows are set aside for it."""
        number, longest_ms, steps = lane.endpoint.number, lane.endpoint.spec.retry.longest_ms, -1
        try:
            while steps != self._retiming.steps:  # what is read by the old time is not what is due by the new
                now_ms, steps = await self._now_ms(), self._retiming.steps
                batch = await self._outbox.due(number, now_ms, lane.known_events, rooms, reserved, longest_ms)
        except StoreUnavailableError:
            lane.abandon_refill(self._clock.now_ms() + STORE_RETRY_MS)
        except StoreBrokenError:
            self._stopping = True
        else:
            self.held_bytes += lane.end_refill(rooms, batch)
            self._empty_if_shut(lane)
        self.held_bytes -= reserved
        self._see_to(lane)

    def _lose(self, lane: Lane, fence: int) -> None:
        self._tenure.drop(lane.endpoint.number, fence)
        lane.miss()  # if it has been taken back since: what could not be recorded is due
        self._empty_if_shut(lane)

    def _empty_if_shut(self, lane: Lane) -> None:
        """A lane that nothing may leave for now holds nothing."""
        if not lane.room:
            self.held_bytes -= sum(due.event.size for due in lane.spill())

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._failed("dispatcher", error)
