"""What is counted on every event, as cheaply as can be. `families` makes the library's types of it."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

from webhookd.observe.catalogue import Metric

Values = tuple[str, ...]
Counts = tuple[int, ...]


class Tally:
    """A counter."""

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self.counts: defaultdict[Values, int] = defaultdict(int)


class Spread:
    """A histogram: of seconds, or of whatever its bounds are."""

    def __init__(self, metric: Metric, bounds: Sequence[float]) -> None:
        self.metric, self.bounds = metric, bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def counts(self) -> Counts:
        """How many there were up to each bound and above the one before, and how many above the last."""
        return tuple(self._counts)


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """What this share of the values does not exceed, as far as a Spread's counts can tell: evenly within its bounds.

    None of no values. What is above the last bound is taken for it.
    """
    wanted, below, lower = share * sum(counts), 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= wanted:
            return lower + (bound - lower) * (wanted - below) / count
        below, lower = below + count, bound
    return lower if any(counts) else None
