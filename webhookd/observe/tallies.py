"""What is counted on every event, as cheaply as can be; the library's types are made of it when somebody looks."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence

from prometheus_client import metrics_core

from webhookd.observe.catalogue import Metric

Family = metrics_core.Metric
Values = tuple[str, ...]
Counts = tuple[int, ...]


class Tally:
    """A counter."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self.counts: defaultdict[Values, int] = defaultdict(int)

    def family(self) -> Family:
        family = metrics_core.CounterMetricFamily(
            self._metric.name.removesuffix("_total"), self._metric.what, labels=self._metric.labels
        )
        for values, count in list(self.counts.items()):  # at once: counting goes on meanwhile
            family.add_metric(values, count)
        return family


class Spread:
    """A histogram: of seconds, or of whatever its bounds are."""

    def __init__(self, metric: Metric, bounds: Sequence[float]) -> None:
        self._metric, self.bounds = metric, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self.bounds, value)] += 1
        self._sum += value

    @property
    def counts(self) -> Counts:
        """How many there were up to each bound and above the one before, and how many above the last."""
        return tuple(self._counts)

    def family(self) -> Family:
        total, buckets, counts = 0, [], list(self._counts)
        for bound, count in zip((*map(str, self.bounds), "+Inf"), counts, strict=True):
            total += count
            buckets.append((bound, total))
        family = metrics_core.HistogramMetricFamily(self._metric.name, self._metric.what)
        family.add_metric((), buckets, self._sum)
        return family


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


def gauge(metric: Metric, rows: Iterable[tuple[Values, float]]) -> Family:
    """What is so at the moment, by the values of the labels."""
    family = metrics_core.GaugeMetricFamily(metric.name, metric.what, labels=metric.labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def info(metric: Metric, *values: str) -> Family:
    family = metrics_core.InfoMetricFamily(metric.name.removesuffix("_info"), metric.what)
    family.add_metric((), dict(zip(metric.labels, values, strict=True)))
    return family
