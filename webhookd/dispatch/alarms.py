"""Who is to be looked at again, and when. Alarms go by a clock that never steps back; what is due does not."""

from collections.abc import Callable

from webhookd.clock import Clock, Timer
from webhookd.dispatch.lane import Lane
from webhookd.dispatch.retiming import Step, step

CLOCK_LOOK_S = 30.0
CLOCK_STEP_MS = 1_000
"""While anybody waits, it is looked so often whether the wall clock was set by more than this."""


class Alarms:
    """`look` is called with a lane whose time has come, `stepped` when the wall clock was set."""

    def __init__(self, clock: Clock, look: Callable[[Lane], None], stepped: Callable[[Step], None]) -> None:
        self._clock = clock
        self._look = look
        self._stepped = stepped
        self._set: dict[Lane, tuple[float, Timer]] = {}
        """When, in seconds of the clock that never steps back."""
        self._watch: Timer | None = None
        self._seen_ms = clock.now_ms()
        self._ahead_ms = self._seen_ms - clock.monotonic() * 1_000

    def set(self, lane: Lane, wait_ms: float) -> None:
        """Look at the lane again then, or sooner."""
        delay_s = max(wait_ms, 0) / 1_000
        at = self._clock.monotonic() + delay_s
        known = self._set.get(lane)
        if known is not None:
            if known[0] <= at:
                return
            known[1].cancel()
        self._set[lane] = at, self._clock.call_later(delay_s, lambda: self._ring(lane))
        if self._watch is None:
            self._watch_clock()

    def stop(self) -> None:
        for _, timer in self._set.values():
            timer.cancel()
        self._set.clear()
        if self._watch is not None:
            self._watch.cancel()

    def _ring(self, lane: Lane) -> None:
        del self._set[lane]
        self.look_at_clock()
        self._look(lane)

    def _watch_clock(self) -> None:
        self._watch = None
        self.look_at_clock()
        if self._set and self._watch is None:
            self._watch = self._clock.call_later(CLOCK_LOOK_S, self._watch_clock)

    def look_at_clock(self) -> None:
        """Whether the wall clock was set since the last look."""
        now_ms = self._clock.now_ms()
        ahead_ms = now_ms - self._clock.monotonic() * 1_000
        by_ms, self._ahead_ms = ahead_ms - self._ahead_ms, ahead_ms
        seen_ms, self._seen_ms = self._seen_ms, now_ms
        if abs(by_ms) > CLOCK_STEP_MS:
            self._stepped(step(round(by_ms), seen_ms, now_ms))
            waiting, self._set = self._set, {}
            for lane, (_, timer) in waiting.items():
                timer.cancel()
                self._look(lane)
