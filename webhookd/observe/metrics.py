"""What the rooms count, under the names the contract fixes: they do so through small protocols that this class fits.

Counting is a dictionary's work and happens on every event.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence

from webhookd.observe import catalogue
from webhookd.observe.tallies import Spread, Tally

FAST_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
SLOW_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400)
TAKEN = ("accepted", "duplicate", "quarantined")
WRITES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    def __init__(self) -> None:
        self._hooks = Tally(catalogue.HOOKS)
        self._bad_signatures = Tally(catalogue.BAD_SIGNATURES)
        self._conflicts = Tally(catalogue.CONFLICTS)
        self._unknown = Tally(catalogue.UNKNOWN_TYPES)
        self._facts = Tally(catalogue.FACTS)
        self._attempts = Tally(catalogue.ATTEMPTS)
        self._retries = Tally(catalogue.RETRIES)
        self._deliveries = Tally(catalogue.DELIVERIES)
        self._trips = Tally(catalogue.TRIPS)
        self._stood_down = Tally(catalogue.STOOD_DOWN)
        self._pruned = Tally(catalogue.PRUNED)
        self._spans = Tally(catalogue.SPANS)
        self.ack = Spread(catalogue.ACK, FAST_S)
        self._commit = Spread(catalogue.COMMIT, FAST_S)
        self._batch = Spread(catalogue.BATCH, WRITES)
        self._attempt = Spread(catalogue.ATTEMPT, SLOW_S)
        self.to_delivered = Spread(catalogue.TO_DELIVERED, SLOW_S)
        self._loop_lag = Spread(catalogue.LOOP_LAG, FAST_S)
        self.accepted = 0
        """Events taken into the log since the start."""
        self.duplicates = 0
        self.refused = 0
        """Hooks that were not taken."""
        self.failed = 0
        """Attempts."""
        self.died = 0
        """Deliveries that were given up."""
        self.delivered_count = 0
        """Deliveries made since the start."""
        self.commits = 0
        """Since the start: as long as it is the same, nothing in the store has changed."""
        self.tried: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
        """Of each endpoint: attempts that succeeded, and that failed. Who reads them forgets those out of service."""

    def hook(self, source: str, result: str, seconds: float) -> None:
        self._hooks.counts[source, result] += 1
        if result == "accepted":
            self.accepted += 1
        if result in TAKEN:
            self.duplicates += result == "duplicate"
            self.ack.observe(seconds)
        else:
            self.refused += 1

    def hooks_of(self, source: str) -> dict[str, int]:
        """How many of a source came to what, since the start."""
        return {result: count for (its, result), count in list(self._hooks.counts.items()) if its == source}

    def conflicts_of(self, source: str) -> int:
        return self._conflicts.counts.get((source,), 0)

    def bad_signature(self, source: str) -> None:
        self._bad_signatures.counts[source,] += 1

    def conflict(self, source: str) -> None:
        self._conflicts.counts[source,] += 1

    def unknown_type(self, source: str) -> None:
        self._unknown.counts[source,] += 1

    def fact(self, provider: str, kind: str, status: str) -> None:
        self._facts.counts[provider, kind, status] += 1

    def committed(self, seconds: float, writes: int) -> None:
        self.commits += 1
        self._commit.observe(seconds)
        self._batch.observe(writes)

    def attempt(self, endpoint: str, result: str, seconds: float) -> None:
        self._attempts.counts[endpoint, result] += 1
        has_failed = result != "succeeded"
        self.failed += has_failed
        self.tried[endpoint][has_failed] += 1
        self._attempt.observe(seconds)

    def retried(self, endpoint: str) -> None:
        self._retries.counts[endpoint,] += 1

    def settled(self, endpoint: str, state: str) -> None:
        self._deliveries.counts[endpoint, state] += 1
        if state == "delivered":
            self.delivered_count += 1
        elif state == "dead":
            self.died += 1

    def tripped(self, endpoint: str) -> None:
        self._trips.counts[endpoint,] += 1

    def stood_down(self, endpoint: str, why: str) -> None:
        self._stood_down.counts[endpoint, why] += 1

    def delivered(self, seconds_since_received: float) -> None:
        self.to_delivered.observe(seconds_since_received)

    def pruned(self, what: str, rows: int) -> None:
        self._pruned.counts[what,] += rows

    def spans(self, result: str, count: int) -> None:
        self._spans.counts[result,] += count

    def loop_was_late(self, seconds: float) -> None:
        self._loop_lag.observe(seconds)

    def keep_endpoints(self, names: Collection[str]) -> None:
        """Forget what was counted of all others: they are no longer in service."""
        for tally in (self._attempts, self._retries, self._deliveries, self._trips, self._stood_down):
            for values in [values for values in tally.counts if values[0] not in names]:
                del tally.counts[values]

    def tallies(self) -> Sequence[Tally]:
        return (
            *(self._hooks, self._bad_signatures, self._conflicts, self._unknown, self._facts, self._attempts),
            *(self._retries, self._deliveries, self._trips, self._stood_down, self._pruned, self._spans),
        )

    def spreads(self) -> Sequence[Spread]:
        return self.ack, self._commit, self._batch, self._attempt, self.to_delivered, self._loop_lag
