"""What was counted, and what is so at the moment, as the metrics library has it: made when somebody looks.

The library is loaded with this, which counting does not need.
"""

from collections.abc import Iterable

from prometheus_client import metrics_core

from webhookd.observe.catalogue import Metric
from webhookd.observe.tallies import Spread, Tally, Values

Family = metrics_core.Metric


def counter(tally: Tally) -> Family:
    metric = tally.metric
    family = metrics_core.CounterMetricFamily(metric.name.removesuffix("_total"), metric.what, labels=metric.labels)
    for values, count in list(tally.counts.items()):  # at once: counting goes on meanwhile
        family.add_metric(values, count)
    return family


def histogram(spread: Spread) -> Family:
    total, buckets = 0, []
    for bound, count in zip((*map(str, spread.bounds), "+Inf"), spread.counts, strict=True):
        total += count
        buckets.append((bound, total))
    family = metrics_core.HistogramMetricFamily(spread.metric.name, spread.metric.what)
    family.add_metric((), buckets, spread.sum)
    return family


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
