"""Carries out the replays that are on record: a step of each in turn, each at the rate that was asked for."""

import asyncio
from collections.abc import Callable, Collection

import structlog

from webhookd.clock import Clock
from webhookd.core.identifier import replay_id
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.protocol.replays import Replay, Replays

STEP_MAX = 200
"""Deliveries made due in one transaction: it holds up whoever else has something to commit."""
STEPS_PER_S = 10
"""Of a replay with a rate: so often is often enough to be smooth."""
WAIT_S_MIN = 0.001
RETRY_S = 0.5
LOOK_S = 1.0
"""Where nodes share the log, and others may begin a replay."""
_log = structlog.get_logger("webhookd.admin")


class Allowance:
    """How many deliveries may be made due by now. Seconds are those of a clock that never steps back."""

    def __init__(self, per_s: float, now: float) -> None:
        self._per_s = per_s
        self._portion = min(max(per_s / STEPS_PER_S, 1.0), STEP_MAX)
        self._saved = self._portion
        self._as_of = now

    def allowed(self, now: float) -> int:
        """None until a portion has been saved up; what was not used is saved no longer than for another one."""
        self._saved = min(self._saved + (now - self._as_of) * self._per_s, 2 * self._portion)
        self._as_of = now
        return int(self._saved) if self._saved >= self._portion else 0

    def use(self, deliveries: int) -> None:
        self._saved -= deliveries

    def wait_s(self) -> float:
        """From the last time it was asked what is allowed, until something will be."""
        lacking = self._portion - self._saved
        return max(lacking / self._per_s, WAIT_S_MIN) if lacking > 0 else 0.0


class Replayer:
    """`made_due` is told the numbers of the endpoints to whom something is due that no commit has announced.

    Where nodes share the log `leads` says whether this is the one that takes the steps. Two may, for a moment: none of
    them is taken twice, but they are faster than what was asked for.
    """

    def __init__(
        self,
        store: Replays,
        clock: Clock,
        made_due: Callable[[Collection[int]], None],
        leads: Callable[[], bool] | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._made_due = made_due
        self._leads = leads
        self._paces: dict[int, Allowance] = {}
        self._asked = asyncio.Event()

    def wake(self) -> None:
        """A replay has begun."""
        self._asked.set()

    async def turn(self) -> None:
        """A step of every replay whose pace allows one; then wait, if there is nothing to do before long."""
        self._asked.clear()
        try:
            running = await self._store.running() if self._leads is None or self._leads() else ()
        except StoreUnavailableError:
            waits_s = [RETRY_S]
        else:
            self._paces = {each.number: pace for each in running if (pace := self._pace(each)) is not None}
            waits_s = [await self._go_on(each) for each in running]
        if self._leads is not None:
            waits_s.append(LOOK_S)
        if (wait_s := min(waits_s, default=None)) != 0:
            await self._sleep(wait_s)

    def _pace(self, replay: Replay) -> Allowance | None:
        if replay.per_s is None:
            return None
        return self._paces.get(replay.number) or Allowance(replay.per_s, self._clock.monotonic())

    async def _go_on(self, replay: Replay) -> float:
        """Take its next step, or seconds until it may be taken."""
        pace = self._paces.get(replay.number)
        limit = STEP_MAX if pace is None else min(STEP_MAX, pace.allowed(self._clock.monotonic()))
        if limit:
            try:
                step = await self._store.step(replay.number, limit, self._clock.now_ms())
            except StoreUnavailableError:
                return RETRY_S  # the others go on: it may be what this one looks for that takes too long
            self._made_due(step.endpoints)
            if pace is not None:
                pace.use(step.replayed)
            if step.over:
                _log.info("replay_over", replay_id=replay_id(replay.number), replayed=replay.replayed + step.replayed)
        return 0.0 if pace is None else pace.wait_s()

    async def _sleep(self, wait_s: float | None) -> None:
        """Until then, or until a replay has begun; None: only until one has."""
        timer = self._clock.call_later(wait_s, self._asked.set) if wait_s is not None else None
        await self._asked.wait()
        if timer is not None:
            timer.cancel()
