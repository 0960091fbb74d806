"""Every metric there is, its labels and what it means: /metrics, docs/metrics.md and the tests are made from this."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

MetricKind = Literal["counter", "gauge", "histogram", "info"]


class Metric(NamedTuple):
    """`name` is as it is asked for: with `_total`, without `_bucket`."""

    group: str
    kind: MetricKind
    name: str
    what: str
    labels: Sequence[str] = ()


class Catalogue:
    """Metrics by name, in the order in which they are written down."""

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}

    def add(self, group: str, kind: MetricKind, name: str, what: str, *labels: str) -> Metric:
        metric = self.metrics[f"webhookd_{name}"] = Metric(group, kind, f"webhookd_{name}", what, labels)
        return metric


CATALOGUE = Catalogue()
_add = CATALOGUE.add

# --- The process

BUILD = _add(
    "process", "info", "build_info", "What runs: 1, with the versions as labels.", "version", "python", "sqlite"
)
STARTED = _add("process", "gauge", "start_time_seconds", "When this process started, Unix seconds.")
READY = _add("process", "gauge", "ready", "1 while hooks are accepted, else 0: as /readyz has it.")
UNREADY = _add("process", "gauge", "unready", "1 for each reason why hooks are refused now.", "why")
SPANS = _add(
    "process",
    *("counter", "spans_total"),
    "Spans by result: ended, and of those sent or not_sent; the rest waits, or found the queue full and was dropped.",
    "result",
)
LOOP_LAG = _add("process", "histogram", "loop_lag_seconds", "How late the event loop came to a timer, twice a second.")

# --- Receiving

HOOKS = _add(
    "receive",
    *("counter", "hooks_total"),
    "Hooks, and rows of an outbox, by what became of them: accepted, duplicate, quarantined, or why one was refused.",
    *("source", "result"),
)
BAD_SIGNATURES = _add(
    "receive", "counter", "signature_failures_total", "Hooks whose signature was missing, wrong or stale.", "source"
)
CONFLICTS = _add("receive", "counter", "conflicts_total", "Duplicates with another body than the first.", "source")
UNKNOWN_TYPES = _add(
    "receive", "counter", "unknown_types_total", "Events of a type the provider has no name for.", "source"
)
ACK = _add("receive", "histogram", "ack_seconds", "From a hook's head to its 200.")
OUTBOX_WAITING = _add(
    "receive", "gauge", "outbox_waiting_rows", "Rows of an outbox that are not taken yet; 10000: or more.", "source"
)
OUTBOX_OLDEST = _add(
    "receive", "gauge", "outbox_oldest_seconds", "How long the oldest of these has waited; 0 where none does.", "source"
)
OUTBOX_STATE = _add(
    "receive",
    *("gauge", "outbox_state", "1 for the state: starting, follows, waits (it cannot be taken from), stands_by."),
    *("source", "state"),
)

# --- Storing

COMMIT = _add("store", "histogram", "commit_seconds", "One group commit, fsync included.")
BATCH = _add("store", "histogram", "commit_batch_writes", "Writes that one commit held.")
QUEUED = _add("store", "gauge", "commit_queue_writes", "Writes that wait for a commit; 4096 may.")
QUEUED_BYTES = _add("store", "gauge", "commit_queue_bytes", "Bodies in those, and in the commit under way; 64 MiB may.")
DATABASE = _add("store", "gauge", "database_bytes", "Size of the database file.")
WAL = _add("store", "gauge", "wal_bytes", "Size of the write-ahead log; beyond 64 MiB a reader or a backup holds it.")
DISK_FREE = _add("store", "gauge", "disk_free_bytes", "What may still be written where the database is.")
DISK_MIN = _add("store", "gauge", "disk_min_free_bytes", "server.min_free: below it hooks are refused.")
ODD_EVENTS = _add(
    "store",
    *("gauge", "odd_events"),
    "Events in the log that went nowhere: wanted by nobody (unrouted), or not understood (quarantined).",
    "state",
)
PRUNED = _add("store", "counter", "pruned_total", "Rows that retention has taken, by what they were.", "what")
SURVEY_AGE = _add(
    "store",
    *("gauge", "survey_age_seconds"),
    "How old the counts are that are read from disk: endpoints (backlog, dead, oldest) and stuck. What takes more than "
    "half a second to count is kept for twenty times as long.",
    "of",
)

# --- Delivering

ATTEMPTS = _add(
    "deliver", "counter", "attempts_total", "Attempts by outcome: succeeded, or the error.", "endpoint", "result"
)
ATTEMPT = _add("deliver", "histogram", "attempt_seconds", "One attempt.")
RETRIES = _add(
    "deliver",
    "counter",
    "retries_total",
    "Attempts that were not the first of their round.",
    "endpoint",
)
DELIVERIES = _add(
    "deliver", "counter", "deliveries_total", "Deliveries by the state they ended in.", "endpoint", "state"
)
TO_DELIVERED = _add(
    "deliver",
    *("histogram", "hook_to_delivered_seconds"),
    "From a hook to its delivery, earlier attempts included, replays not.",
)
IN_FLIGHT_ALL = _add("deliver", "gauge", "dispatch_in_flight", "Attempts under way, to all endpoints.")
IN_FLIGHT_MAX = _add("deliver", "gauge", "dispatch_in_flight_limit", "delivery.max_in_flight.")
UNSETTLED = _add(
    "deliver", "gauge", "dispatch_unsettled", "Attempts whose result is not on disk yet; at 1024 none is started."
)
HELD_BYTES = _add("deliver", "gauge", "dispatch_window_bytes", "Bodies held in memory for attempts; about 64 MiB may.")

# --- Endpoints

BACKLOG = _add("endpoints", "gauge", "backlog", "Deliveries that are pending.", "endpoint")
OLDEST = _add("endpoints", "gauge", "oldest_pending_seconds", "Age of the oldest pending delivery.", "endpoint")
DEAD = _add("endpoints", "gauge", "dead", "Deliveries that were given up and not replayed since.", "endpoint")
STUCK = _add(
    "endpoints",
    *("gauge", "stuck"),
    "Captured payments' deliveries that did not arrive: given up (dead), or pending for more than an hour. Where "
    "another event has told the endpoint of the same capture it is not counted. Counted up to 1000 in all.",
    *("endpoint", "state"),
)
IN_FLIGHT = _add("endpoints", "gauge", "in_flight", "Attempts under way.", "endpoint")
LIMIT = _add(
    "endpoints", "gauge", "in_flight_limit", "Attempts that may be under way now; less while it recovers.", "endpoint"
)
WINDOW = _add("endpoints", "gauge", "window", "Deliveries that are due and in memory, for their turn.", "endpoint")
PACED = _add(
    "endpoints",
    *("gauge", "paced_waiting"),
    "Those of them that wait for the endpoint alone: for its pace, its rate_limit, or the Retry-After it answered.",
    "endpoint",
)
STATE = _add("endpoints", "gauge", "endpoint_state", "1 for the state that the endpoint is in.", "endpoint", "state")
BREAKER = _add(
    "endpoints", "gauge", "breaker_state", "1 for the state that the endpoint's breaker is in.", "endpoint", "state"
)
TRIPS = _add("endpoints", "counter", "breaker_trips_total", "How often a breaker has opened.", "endpoint")
STOOD_DOWN = _add(
    "endpoints",
    *("counter", "endpoints_stood_down_total"),
    "Endpoints that were paused (gone: it answered 410) or disabled (failing for too long).",
    *("endpoint", "why"),
)

# --- Money, certificates

FACTS = _add(
    "ledger",
    *("counter", "facts_total"),
    "What new events said of money: of a payment, refund, dispute, … and the state it is in by that event.",
    *("provider", "kind", "status"),
)
CERTIFICATE = _add(
    "certificates",
    *("gauge", "certificate_expiry_seconds"),
    "When a certificate ends, Unix seconds: an endpoint's client_certificate (client) or ca, a source's authorities, "
    "and the newest that PayPal signs with (paypal).",
    *("kind", "name"),
)
