"""A circuit breaker for one endpoint: stops attempts that would fail anyway, and finds out when they no longer would.

Closed: attempts go on. Open: none until `retry_at`; what is owed waits, and no attempt is used up. Half open: one
attempt at a time, the probe; its success closes the breaker, its failure opens it for twice as long.
"""

from collections import deque
from typing import Literal

import msgspec

BreakerState = Literal["closed", "open", "half_open"]
BREAKER_STATES: tuple[BreakerState, ...] = ("closed", "open", "half_open")


class BreakerPolicy(msgspec.Struct, frozen=True):
    failures_in_a_row: int = 5
    """So many open it …"""
    failing_share: float = 0.7
    """… and so does this share of the last attempts, …"""
    attempts_min: int = 20
    """… of which there must be so many within `window_ms`."""
    window_ms: int = 300_000
    first_wait_ms: int = 5_000
    wait_max_ms: int = 600_000
    """It doubles from one trip to the next, up to this."""


class Health(msgspec.Struct, frozen=True):
    """What is remembered of an endpoint over a restart."""

    breaker: Literal["closed", "open"] = "closed"
    retry_at: int | None = None
    """Of an open one: when the next probe may start, Unix milliseconds."""
    trips: int = 0
    """How often it has opened since the endpoint was last well."""
    failing_since: int | None = None
    """When the first attempt failed that no success has followed, Unix milliseconds."""


class Breaker:
    """Times are Unix milliseconds. `health` changes only with an outcome, so it can be stored with it."""

    def __init__(self, health: Health = Health(), policy: BreakerPolicy = BreakerPolicy()) -> None:  # noqa: B008 - frozen
        self.health = health
        self._policy = policy
        self._in_a_row = 0
        self._well = 0
        """Successes since the last failure."""
        self._recent: deque[tuple[int, bool]] = deque(maxlen=policy.attempts_min)

    def state(self, now_ms: int) -> BreakerState:
        if self.health.retry_at is None:
            return "closed"
        return "open" if now_ms < self.health.retry_at else "half_open"

    def succeeded(self) -> None:
        """An attempt succeeded, be it the probe or one that was under way before: the endpoint is there."""
        self._in_a_row = 0
        self._well += 1
        if self.health.retry_at is not None:
            self._recent.clear()
        self._recent.append((0, True))
        trips = self.health.trips if self._well < self._policy.failures_in_a_row else 0
        if self.health != (well := Health(trips=trips)):
            self.health = well

    def failed(self, now_ms: int) -> bool:
        """An attempt failed; whether that opened the breaker, again or for the first time."""
        self._in_a_row += 1
        self._well = 0
        failing_since = self.health.failing_since if self.health.failing_since is not None else now_ms
        self._recent.append((now_ms, False))
        state = self.state(now_ms)
        if state == "open" or (state == "closed" and not self._is_too_much(now_ms)):
            self.health = msgspec.structs.replace(self.health, failing_since=failing_since)
            return False
        wait_ms = min(self._policy.first_wait_ms << min(self.health.trips, 30), self._policy.wait_max_ms)
        self.health = Health("open", now_ms + wait_ms, self.health.trips + 1, failing_since)
        return True

    def _is_too_much(self, now_ms: int) -> bool:
        if self._in_a_row >= self._policy.failures_in_a_row:
            return True
        failures = [at for at, well in self._recent if not well]
        return (
            len(self._recent) == self._policy.attempts_min
            and len(failures) >= self._policy.failing_share * len(self._recent)
            and now_ms - failures[0] <= self._policy.window_ms
        )
