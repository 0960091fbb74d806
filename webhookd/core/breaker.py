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
    """… and so does this share of the last `attempts_min`, if they all lie within `window_ms`."""
    attempts_min: int = 20
    window_ms: int = 300_000
    first_wait_ms: int = 5_000
    wait_max_ms: int = 600_000
    """It doubles from one trip to the next, up to this."""


DEFAULT = BreakerPolicy()


class Health(msgspec.Struct, frozen=True):
    """What is remembered of an endpoint over a restart."""

    breaker: Literal["closed", "open"] = "closed"
    retry_at: int | None = None
    """Of an open one: when the next probe may start, Unix milliseconds."""
    trips: int = 0
    """How often it has opened since the endpoint was last well: as many successes in a row as failures open it."""
    failing_since: int | None = None
    """When the first attempt failed that no success has followed, Unix milliseconds."""


WELL = Health()


class Breaker:
    """Times are Unix milliseconds. `health` changes only with an outcome, so it can be stored with it."""

    def __init__(self, health: Health = WELL, policy: BreakerPolicy = DEFAULT) -> None:
        self.health = health
        self._policy = policy
        self._failures = self._successes = 0
        """In a row, up to now; one of them is 0."""
        self._recent: deque[tuple[int, bool]] = deque(maxlen=policy.attempts_min)
        """When, and whether it failed."""

    def state(self, now_ms: int) -> BreakerState:
        if self.health.retry_at is None:
            return "closed"
        wait_ms = self.health.retry_at - now_ms
        # A wait longer than any we set: the clock was set back.
        return "open" if 0 < wait_ms <= self._policy.wait_max_ms else "half_open"

    def succeeded(self, now_ms: int) -> None:
        """An attempt succeeded, be it the probe or one that was under way before: the endpoint is there."""
        self._failures, self._successes = 0, self._successes + 1
        if self.health.retry_at is not None:
            self._recent.clear()
        self._recent.append((now_ms, False))
        if self.health is WELL:
            return
        is_well = self.health.trips == 0 or self._successes >= self._policy.failures_in_a_row
        self.health = WELL if is_well else Health(trips=self.health.trips)

    def failed(self, now_ms: int) -> bool:
        """An attempt failed; whether that opened the breaker, again or for the first time."""
        self._failures, self._successes = self._failures + 1, 0
        self._recent.append((now_ms, True))
        trips, failing_since = self.health.trips, self.health.failing_since
        if failing_since is None:
            failing_since = now_ms
        state = self.state(now_ms)
        if state == "open" or (state == "closed" and not self._is_too_much(now_ms)):
            self.health = msgspec.structs.replace(self.health, failing_since=failing_since)
            return False
        wait_ms = min(self._policy.first_wait_ms << min(trips, 30), self._policy.wait_max_ms)
        self.health = Health("open", now_ms + wait_ms, trips + 1, failing_since)
        return True

    def shift(self, by_ms: float) -> None:
        """The wall clock was set by so much: what is remembered by it moves along."""
        since, retry_at = self.health.failing_since, self.health.retry_at
        if since is not None or retry_at is not None:
            self.health = msgspec.structs.replace(
                self.health,
                failing_since=None if since is None else since + round(by_ms),
                retry_at=None if retry_at is None else retry_at + round(by_ms),
            )

    def _is_too_much(self, now_ms: int) -> bool:
        if self._failures >= self._policy.failures_in_a_row:
            return True
        if len(self._recent) < self._policy.attempts_min or now_ms - self._recent[0][0] > self._policy.window_ms:
            return False
        failures = sum(failed for _, failed in self._recent)
        return failures >= self._policy.failing_share * len(self._recent)
