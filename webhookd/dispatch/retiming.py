"""The wall clock was set: what waits on disk goes with it, so that a wait lasts as long as it was meant to.

What is on disk is due by the wall clock, or a restart could not know it. Without this, a clock that is set forward
would let out in a heap what was to wait, and one that is set back would keep it for so much longer.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import NamedTuple

import structlog

from webhookd.clock import Clock
from webhookd.dispatch.lane import Lane
from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError
from webhookd.store.protocol.log import LATEST_MS, Outbox, Stretch

LANES_AT_ONCE = 64
"""They share a commit."""
RETRY_S = 2.0
_log = structlog.get_logger("webhookd.dispatch")


class Step(NamedTuple):
    """The wall clock was set by `by_ms`."""

    by_ms: int
    stretch: Stretch
    """What is due then is to be moved by as much."""
    new_ms: int
    """From then on a time may have been written down since."""


def step(by_ms: int, seen_ms: int, now_ms: int) -> Step:
    """`seen_ms` is what the clock said when it was last known to go on as before.

    Set forward: what waits by the time as it would be, but for what came by the new time, and is due. Set back: all
    that is not due by the new time, whether it was due or had to wait.
    """
    if by_ms > 0:
        return Step(by_ms, (now_ms - by_ms + 1, LATEST_MS), seen_ms + by_ms)
    return Step(by_ms, (now_ms + 1, LATEST_MS), LATEST_MS)


class Retiming:
    """While it is under way nothing is read from disk, and nothing that waits is stored: both wait for `over`.

    Of a read that had begun before `steps` tells that it has to be made again.
    """

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        lanes: Mapping[int, Lane],
        spawn: Callable[[Coroutine[None, None, None]], None],
        see_to: Callable[[Lane], None],
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._lanes = lanes
        self._spawn = spawn
        self._see_to = see_to
        self._steps: deque[Step] = deque()
        self.steps = 0
        """How often the clock was set, since the start."""
        self._is_over = asyncio.Event()
        self._is_over.set()

    async def over(self) -> None:
        if not self._is_over.is_set():
            await self._is_over.wait()

    def begin(self, step: Step) -> None:
        what = "what waits goes on waiting as long as it was to; signatures and what is recorded follow the clock"
        _log.warning("clock_was_set", by_s=round(step.by_ms / 1_000), what=what)
        for lane in self._lanes.values():
            lane.gate.breaker.shift(step.by_ms)
        self.steps += 1
        self._steps.append(step)
        if self._is_over.is_set():
            self._is_over.clear()
            self._spawn(self._work())

    async def _work(self) -> None:
        try:
            while self._steps:
                step, numbers = self._steps.popleft(), list(self._lanes)
                for first in range(0, len(numbers), LANES_AT_ONCE):
                    part = numbers[first : first + LANES_AT_ONCE]
                    await asyncio.gather(*(self._move(number, step) for number in part))
        except StoreBrokenError:
            return  # the process stops, and nobody is to go on before
        self._is_over.set()
        for lane in list(self._lanes.values()):
            lane.wake_at = None
            lane.miss()
            self._see_to(lane)

    async def _move(self, endpoint: int, step: Step) -> None:
        stretch: Stretch | None = step.stretch
        while stretch is not None:
            try:
                stretch = await self._outbox.retime(endpoint, stretch, step.by_ms, step.new_ms)
            except StoreUnavailableError:
                await self._clock.sleep(RETRY_S)
