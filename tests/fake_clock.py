"""Time that passes when a test says so."""

import asyncio
import heapq
from collections.abc import Callable
from itertools import count


class FakeTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class FakeClock:
    """Timers go by the clock that never steps back; the wall clock is ahead of it by what it was set to."""

    def __init__(self, now_ms: int = 1_800_000_000_000) -> None:
        self._steady_ms = 0.0
        self._ahead_ms = now_ms
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self._order = count()

    def now_ms(self) -> int:
        return int(self._steady_ms) + self._ahead_ms

    def monotonic(self) -> float:
        return self._steady_ms / 1_000

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(callback)
        heapq.heappush(self._timers, (self._steady_ms + delay_s * 1_000, next(self._order), timer))
        return timer

    async def sleep(self, delay_s: float) -> None:
        over = asyncio.Event()
        self.call_later(delay_s, over.set)
        await over.wait()

    def next_timer_at(self) -> int | None:
        """By the wall clock, in milliseconds; None when none is set."""
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
        return int(self._timers[0][0]) + self._ahead_ms if self._timers else None

    def advance_to_next_timer(self) -> bool:
        """Jump to the next timer and fire it; False when none is set."""
        if self.next_timer_at() is None:
            return False
        at, _, timer = heapq.heappop(self._timers)
        self._steady_ms = max(self._steady_ms, at)
        callback, timer.callback = timer.callback, None
        assert callback is not None
        callback()
        return True

    def step_wall_clock(self, by_ms: int) -> None:
        """The clock is set; no timer fires for it."""
        self._ahead_ms += by_ms
