"""Whether an attempt to one endpoint may start now: what was asked for it (cap, rate), how it is (breaker, pace), and
what it asked for itself (Retry-After).
"""

from webhookd.clock import Clock
from webhookd.core.breaker import Breaker, BreakerState
from webhookd.core.delivery import Outcome
from webhookd.core.endpoint import Endpoint, EndpointSpec
from webhookd.core.pace import Pace
from webhookd.core.rate_limit import RateWindow

SLOW_DOWN = frozenset({429, 502, 503, 504})
"""Answers of an endpoint that is there and has too much to do."""
PLEA_MS_MAX = 600_000
"""A Retry-After holds the whole endpoint no longer than this; the delivery that got it waits for all of it."""


class Gate:
    """A new one begins carefully, with one attempt: nobody knows yet what the endpoint can take."""

    def __init__(self, endpoint: Endpoint, clock: Clock) -> None:
        self._clock = clock
        self.breaker = Breaker(endpoint.health)
        self.pace = Pace(endpoint.spec.max_in_flight)
        self._rate = RateWindow(endpoint.spec.rate_limit) if endpoint.spec.rate_limit else None
        self._pleads_until: float | None = None
        """By the clock that never steps back, in milliseconds."""

    def begin_anew(self) -> None:
        """The endpoint's past is forgiven, but for how many attempts it has had of late."""
        self.breaker, self.pace = Breaker(), Pace(self.pace.most)
        self._pleads_until = None

    def adapt(self, spec: EndpointSpec) -> None:
        """Go on with other settings."""
        self.pace.most = spec.max_in_flight
        if spec.rate_limit != (self._rate and self._rate.limit):
            self._rate = RateWindow(spec.rate_limit) if spec.rate_limit else None

    @property
    def state(self) -> BreakerState:
        return "closed" if self.breaker.health.retry_at is None else self.breaker.state(self._clock.now_ms())

    def wait_ms(self, in_flight: int) -> float | None:
        """Milliseconds until an attempt may start: 0 is now. None: not before one that is under way has ended.

        Asked several times for every attempt: the clock is only read where something depends on it.
        """
        limit = self.pace.limit
        if (retry_at := self.breaker.health.retry_at) is not None:
            now_ms = self._clock.now_ms()
            if self.breaker.state(now_ms) == "open":
                return retry_at - now_ms
            limit = 1
        if in_flight >= limit:
            return None
        if self._rate is None and self._pleads_until is None:
            return 0
        opens_at = max(self._pleads_until or 0, self._rate.opens_at() if self._rate else 0)
        return max(0.0, opens_at - self._steady_ms())

    def holds_back(self, in_flight: int) -> bool:
        """Whether an attempt has to wait though the breaker is closed: for the pace, the rate, or a plea for time."""
        return self.breaker.health.retry_at is None and self.wait_ms(in_flight) != 0

    def start(self) -> None:
        """An attempt starts now."""
        if self._rate is not None:
            self._rate.start(self._steady_ms())

    def heed(self, outcome: Outcome) -> bool:
        """Learn from what an attempt found; whether that opened the breaker."""
        if outcome.succeeded:
            self.breaker.succeeded(self._clock.now_ms())
            self.pace.succeeded()
            return False
        if outcome.status in SLOW_DOWN:
            self.pace.slow_down()
            if outcome.retry_after_ms is not None:
                until = self._steady_ms() + min(outcome.retry_after_ms, PLEA_MS_MAX)
                self._pleads_until = max(self._pleads_until or until, until)
        if tripped := self.breaker.failed(self._clock.now_ms()):
            self.pace.start_over()
        return tripped

    def _steady_ms(self) -> float:
        return self._clock.monotonic() * 1_000
