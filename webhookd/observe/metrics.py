"""The numbers, under the names the contract fixes. Rooms count through small protocols that this class fits."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from webhookd.store.protocol import Backlog

FAST_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
SLOW_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Children are looked up once and kept: the labels are configured names, so there are few of them."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._hooks = Counter("webhookd_hooks", "Hooks by what became of them.", ["source", "result"], registry=registry)
        self._conflicts = Counter(
            "webhookd_conflicts", "Duplicates whose body differs from the first one's.", ["source"], registry=registry
        )
        self._attempts = Counter("webhookd_attempts", "Attempts by outcome.", ["endpoint", "result"], registry=registry)
        self._deliveries = Counter(
            "webhookd_deliveries", "Deliveries by the state they ended in.", ["endpoint", "state"], registry=registry
        )
        self._backlog = Gauge("webhookd_backlog", "Deliveries that are pending.", ["endpoint"], registry=registry)
        self._oldest = Gauge(
            "webhookd_oldest_pending_seconds", "Age of the oldest pending delivery.", ["endpoint"], registry=registry
        )
        self._ack = Histogram(
            "webhookd_ack_seconds", "From a hook's head to its answer.", registry=registry, buckets=FAST_S
        )
        self._commit = Histogram(
            "webhookd_commit_seconds", "One group commit, fsync included.", registry=registry, buckets=FAST_S
        )
        self._attempt = Histogram("webhookd_attempt_seconds", "One attempt.", registry=registry, buckets=SLOW_S)
        self._hook_to_delivered = Histogram(
            "webhookd_hook_to_delivered_seconds", "From a hook to its delivery.", registry=registry, buckets=SLOW_S
        )
        self._children: dict[tuple[str, str, str], Counter] = {}
        self.accepted = 0
        """Events taken into the log since the start."""
        self.delivered_count = 0
        """Deliveries made since the start."""

    def hook(self, source: str, result: str, seconds: float) -> None:
        self._count("hooks", self._hooks, source, result)
        if result == "accepted":
            self.accepted += 1
        if result in ("accepted", "duplicate", "quarantined"):
            self._ack.observe(seconds)

    def conflict(self, source: str) -> None:
        self._conflicts.labels(source).inc()

    def committed(self, seconds: float) -> None:
        self._commit.observe(seconds)

    def attempt(self, endpoint: str, result: str, seconds: float) -> None:
        self._count("attempts", self._attempts, endpoint, result)
        self._attempt.observe(seconds)

    def settled(self, endpoint: str, state: str) -> None:
        self._count("deliveries", self._deliveries, endpoint, state)

    def delivered(self, seconds_since_received: float) -> None:
        self.delivered_count += 1
        self._hook_to_delivered.observe(seconds_since_received)

    def backlog(self, rows: Iterable[Backlog], now_ms: int) -> None:
        for row in rows:
            age_s = max(0, now_ms - row.oldest_pending_at) / 1_000 if row.oldest_pending_at is not None else 0
            self._backlog.labels(row.endpoint).set(row.pending)
            self._oldest.labels(row.endpoint).set(age_s)

    def text(self) -> bytes:
        return generate_latest(self.registry)

    def _count(self, name: str, counter: Counter, first: str, second: str) -> None:
        key = (name, first, second)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = counter.labels(first, second)
        child.inc()
