"""At most so many in any stretch of so long: "50/s", "3000/m"."""

import re
from collections import deque

import msgspec

_PER_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000}
_TEXT = re.compile(r"(\d{1,9})/([smh])", re.ASCII)
COUNT_MAX = 10_000
"""Each attempt of the stretch is remembered: this bounds the memory."""


class RateLimit(msgspec.Struct, frozen=True):
    count: int
    per_ms: int

    @classmethod
    def parse(cls, text: str) -> "RateLimit":
        """Raises ValueError."""
        found = _TEXT.fullmatch(text.strip())
        if found is None or not 1 <= int(found[1]) <= COUNT_MAX:
            rule = f'1 to {COUNT_MAX} a second, minute or hour: "50/s", "3000/m"'
            raise ValueError(f'"{text[:40]}" is not a rate: {rule}')
        return cls(int(found[1]), _PER_MS[found[2]])

    def __str__(self) -> str:
        unit = next(unit for unit, per_ms in _PER_MS.items() if per_ms == self.per_ms)
        return f"{self.count}/{unit}"


class RateWindow:
    """When the last attempts were started. Exact: no stretch of `per_ms` has more than `count`, wherever it begins.

    Times are those of a clock that never steps back, in milliseconds. A restart forgets the window.
    """

    def __init__(self, limit: RateLimit) -> None:
        self.limit = limit
        self._started: deque[float] = deque(maxlen=limit.count)

    def opens_at(self) -> float:
        """When the next may start; long past when it may already."""
        return self._started[0] + self.limit.per_ms if len(self._started) == self.limit.count else float("-inf")

    def start(self, now_ms: float) -> None:
        self._started.append(now_ms)
