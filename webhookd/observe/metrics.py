"""The numbers, under the names the contract fixes. Rooms count through small protocols that this class fits.

Counting is a dictionary's work and happens on every event; the library's types are made when somebody looks.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from webhookd.core.breaker import BREAKER_STATES
from webhookd.core.endpoint import ENDPOINT_STATES
from webhookd.store.endpoint_protocol import EndpointRow

FAST_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
SLOW_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400)


class Standing(Protocol):
    """How an endpoint stands."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def breaker(self) -> str: ...

    @property
    def in_flight(self) -> int: ...


class _Tally:
    """A counter with two labels."""

    def __init__(self, name: str, what: str, labels: Sequence[str]) -> None:
        self._name, self._what, self._labels = name, what, labels
        self.counts: defaultdict[tuple[str, ...], int] = defaultdict(int)

    def family(self) -> Metric:
        family = CounterMetricFamily(self._name, self._what, labels=self._labels)
        for values, count in self.counts.items():
            family.add_metric(values, count)
        return family


class _Durations:
    """A histogram of seconds."""

    def __init__(self, name: str, what: str, bounds: Sequence[float]) -> None:
        self._name, self._what, self._bounds = name, what, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def family(self) -> Metric:
        total, buckets = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((bound, total))
        family = HistogramMetricFamily(self._name, self._what)
        family.add_metric((), buckets, self._sum)
        return family


class Metrics(Collector):
    def __init__(self) -> None:
        self._hooks = _Tally("webhookd_hooks", "Hooks by what became of them.", ("source", "result"))
        self._conflicts = _Tally("webhookd_conflicts", "Duplicates with another body than the first.", ("source",))
        self._unknown = _Tally("webhookd_unknown_types", "Events of a type the provider has no name for.", ("source",))
        self._attempts = _Tally("webhookd_attempts", "Attempts by outcome.", ("endpoint", "result"))
        self._deliveries = _Tally(
            "webhookd_deliveries", "Deliveries by the state they ended in.", ("endpoint", "state")
        )
        self._trips = _Tally("webhookd_breaker_trips", "How often a breaker has opened.", ("endpoint",))
        self._stood_down = _Tally(
            "webhookd_endpoints_stood_down",
            "Paused (gone) or disabled (failing) endpoints.",
            ("endpoint", "why"),
        )
        self._ack = _Durations("webhookd_ack_seconds", "From a hook's head to its answer.", FAST_S)
        self._commit = _Durations("webhookd_commit_seconds", "One group commit, fsync included.", FAST_S)
        self._attempt = _Durations("webhookd_attempt_seconds", "One attempt.", SLOW_S)
        self._to_delivered = _Durations("webhookd_hook_to_delivered_seconds", "From a hook to its delivery.", SLOW_S)
        self._endpoints: tuple[Sequence[EndpointRow], Sequence[Standing], int] = ((), (), 0)
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self.accepted = 0
        """Events taken into the log since the start."""
        self.delivered_count = 0
        """Deliveries made since the start."""

    def hook(self, source: str, result: str, seconds: float) -> None:
        self._hooks.counts[source, result] += 1
        if result == "accepted":
            self.accepted += 1
        if result in ("accepted", "duplicate", "quarantined"):
            self._ack.observe(seconds)

    def conflict(self, source: str) -> None:
        self._conflicts.counts[source,] += 1

    def unknown_type(self, source: str) -> None:
        self._unknown.counts[source,] += 1

    def committed(self, seconds: float) -> None:
        self._commit.observe(seconds)

    def attempt(self, endpoint: str, result: str, seconds: float) -> None:
        self._attempts.counts[endpoint, result] += 1
        self._attempt.observe(seconds)

    def settled(self, endpoint: str, state: str) -> None:
        self._deliveries.counts[endpoint, state] += 1

    def tripped(self, endpoint: str) -> None:
        self._trips.counts[endpoint,] += 1

    def stood_down(self, endpoint: str, why: str) -> None:
        self._stood_down.counts[endpoint, why] += 1

    def delivered(self, seconds_since_received: float) -> None:
        self.delivered_count += 1
        self._to_delivered.observe(seconds_since_received)

    def endpoints(self, rows: Sequence[EndpointRow], standing: Sequence[Standing], now_ms: int) -> None:
        """What each was owed and how it stood at that time, Unix milliseconds."""
        self._endpoints = rows, standing, now_ms

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        tallies = (self._hooks, self._conflicts, self._unknown, self._attempts, self._deliveries)
        for tally in (*tallies, self._trips, self._stood_down):
            yield tally.family()
        for durations in (self._ack, self._commit, self._attempt, self._to_delivered):
            yield durations.family()
        yield from self._gauges()

    def _gauges(self) -> Iterator[Metric]:
        rows, standing, now_ms = self._endpoints
        pending = _gauge("webhookd_backlog", "Deliveries that are pending.")
        dead = _gauge("webhookd_dead", "Deliveries that were given up.")
        oldest = _gauge("webhookd_oldest_pending_seconds", "Age of the oldest pending delivery.")
        for row in rows:
            pending.add_metric((row.name,), row.pending)
            dead.add_metric((row.name,), row.dead)
            oldest.add_metric((row.name,), max(0, now_ms - (row.oldest_pending_at or now_ms)) / 1_000)
        in_flight = _gauge("webhookd_in_flight", "Attempts under way.")
        states = _gauge("webhookd_endpoint_state", "1 for the state that the endpoint is in.", "state")
        breakers = _gauge("webhookd_breaker_state", "1 for the state that the endpoint's breaker is in.", "state")
        for each in standing:
            in_flight.add_metric((each.name,), each.in_flight)
            for state in ENDPOINT_STATES:
                states.add_metric((each.name, state), each.state == state)
            for breaker in BREAKER_STATES:
                breakers.add_metric((each.name, breaker), each.breaker == breaker)
        yield from (pending, dead, oldest, in_flight, states, breakers)


def _gauge(name: str, what: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, what, labels=("endpoint", *labels))
