"""One event owed to one endpoint, and the only table by which its state may change."""

from typing import Literal, NamedTuple, get_args

import msgspec

from webhookd.core.breaker import Health
from webhookd.core.event import Event
from webhookd.core.identifier import delivery_id
from webhookd.core.retry import RetryPolicy

DeliveryState = Literal["pending", "delivered", "dead", "cancelled"]
DELIVERY_STATES: tuple[DeliveryState, ...] = ("pending", "delivered", "dead", "cancelled")
FailureWord = Literal[
    "status",
    "redirect",
    "timeout",
    "connect",
    "disconnected",
    "dns",
    "tls",
    "proxy",
    "blocked",
    "url",
    "protocol",
    "unsigned",
    "internal",
]
"""What may be wrong with an attempt. Only of `status` and `redirect` there is a status as well."""
FAILURE_WORDS: tuple[FailureWord, ...] = get_args(FailureWord)
Happening = Literal["succeeded", "failed", "gone", "exhausted", "cancelled", "replayed"]

TRANSITIONS: dict[tuple[DeliveryState, Happening], DeliveryState] = {
    ("pending", "succeeded"): "delivered",
    ("pending", "failed"): "pending",
    ("pending", "gone"): "pending",
    ("pending", "exhausted"): "dead",
    ("pending", "cancelled"): "cancelled",
    ("pending", "replayed"): "pending",
    ("delivered", "replayed"): "pending",
    ("dead", "replayed"): "pending",
    ("cancelled", "replayed"): "pending",
}
"""What happens to a delivery in a state, and the state it is in then. What is not here cannot happen."""

RESPONSE_BYTES_MAX = 4096
Priority = Literal[0, 1, 2]
PRIORITIES: tuple[Priority, ...] = (0, 1, 2)
"""Disputes and downtimes, then accounts and fund accounts, then the rest. The least goes first."""


def state_diagram() -> str:
    """The table as a Mermaid state diagram: the one in ARCHITECTURE.md."""
    arrows = [f"    {before} --> {after}: {happening}" for (before, happening), after in TRANSITIONS.items()]
    return "\n".join(["stateDiagram-v2", "    [*] --> pending: the event is committed", *arrows])


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What one attempt found. `error` is a FailureWord, and None on success."""

    started_at: int
    duration_ms: int
    status: int | None = None
    error: str | None = None
    response: bytes = b""
    """The first bytes of the answer's body, at most RESPONSE_BYTES_MAX."""
    retry_after_ms: int | None = None

    @property
    def succeeded(self) -> bool:
        return self.error is None


class DeliveryKey(NamedTuple):
    event: int
    endpoint: int

    @property
    def id(self) -> str:
        return delivery_id(self.event, self.endpoint)


class Due(msgspec.Struct, frozen=True, gc=False):
    """A pending delivery with all that an attempt needs."""

    endpoint: int
    event: Event
    due_at: int
    attempts: int = 0
    """HTTP tries so far, all rounds together."""
    step: int = 1
    """How many waits of the schedule are used up; a replay starts again."""
    replay: bool = False
    priority: Priority = 2
    chained: bool = False
    """Whether others of its payment wait for it, so that settling it may make another one due."""

    @property
    def key(self) -> DeliveryKey:
        return DeliveryKey(self.event.key, self.endpoint)


class Settlement(msgspec.Struct, frozen=True, gc=False):
    """An attempt and what it makes of its delivery. Stored as one row, it moves the delivery by trigger."""

    key: DeliveryKey
    number: int
    outcome: Outcome
    replay: bool
    state: DeliveryState
    due_at: int | None
    step: int
    aftermath: "Aftermath | None" = None
    fence: int = 0
    """Of the claim on its endpoint under which the attempt began, where several nodes share the outbox."""


class Aftermath(msgspec.Struct, frozen=True, gc=False):
    """What an attempt makes of its endpoint, where that changes; stored with the settlement or not at all."""

    health: Health
    gives_up: bool = False
    """The endpoint has failed for too long: it is disabled."""
    notices: tuple[Event, ...] = ()
    """Operational events to go into the log with it."""


def settle(due: Due, outcome: Outcome, policy: RetryPolicy, now_ms: int, jitter: float, fence: int = 0) -> Settlement:
    """What an attempt's outcome makes of its delivery. `jitter` is in -1 … 1, drawn by the caller and persisted.

    410 Gone uses up no wait of the schedule: the endpoint is paused, and the delivery is due as soon as it is resumed.
    """
    step, due_at = due.step, None
    happening: Happening
    if outcome.succeeded:
        happening = "succeeded"
    elif outcome.status == 410:
        happening, due_at = "gone", now_ms
    elif (wait_ms := policy.wait_ms(step, jitter, outcome.retry_after_ms)) is None:
        happening = "exhausted"
    else:
        happening, step, due_at = "failed", step + 1, now_ms + wait_ms
    state = TRANSITIONS["pending", happening]
    return Settlement(due.key, due.attempts + 1, outcome, due.replay, state, due_at, step, fence=fence)
