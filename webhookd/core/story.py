"""Everything that happened to one event, in order: what the API answers, and what a terminal or a page draws.

An entry says what happened in fields; `story_words` puts it into words, one way for all who show it. Times are
RFC 3339, UTC. Nothing here holds a byte of a body, a header or a merchant's answer.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from webhookd.core.delivery import DeliveryState
from webhookd.core.event import EventState
from webhookd.core.ledger import Kind

CameBy = Literal["hook", "import", "application", "webhookd"]
"""A provider's hook, its own export (`webhookd reconcile --import`), or from webhookd itself."""
WaitsFor = Literal["attempt", "turn", "breaker", "order", "resume", "settings", "service"]
"""The next attempt's time; its turn, which has come; the breaker's next probe; an earlier event of its payment;
somebody who resumes the endpoint, puts its settings right, or puts it into service again."""
MissedBy = Literal["source", "type", "time"]
"""Why a route did not apply: it asks for other sources, for other types, or was not there yet."""


class _Entry(msgspec.Struct, frozen=True, tag_field="kind", tag=str.lower, kw_only=True):
    at: str | None
    """None: nobody wrote down when, or nobody can know."""


class Occurred(_Entry, frozen=True):
    """As the provider says."""


class Received(_Entry, frozen=True):
    source: str
    provider: str
    by: CameBy
    size: int


class Verified(_Entry, frozen=True):
    """Its signature, before anything of it was read."""


class Quarantined(_Entry, frozen=True):
    reason: str | None
    """Why its envelope is not understood; None when it would be by now, or when its bytes are no longer there."""


class MissedRoute(msgspec.Struct, frozen=True):
    endpoint: str
    source: str
    """`*` for all."""
    pattern: str
    since: str
    by: MissedBy


class Unrouted(_Entry, frozen=True):
    routes: Sequence[MissedRoute]
    """Those that came nearest."""


class Routed(_Entry, frozen=True):
    endpoint: str
    delivery_id: str


class Conflict(_Entry, frozen=True):
    """It came again with another body. The first one stays."""

    until: str
    times: int


class Attempted(_Entry, frozen=True):
    endpoint: str
    delivery_id: str
    number: int
    duration_ms: int
    status: int | None
    error: str | None
    """As of an attempt; None on success."""
    replay: bool
    state: DeliveryState
    """What the delivery became by it."""


class Replayed(_Entry, frozen=True):
    replay_id: str


class Changed(_Entry, frozen=True):
    """By a person."""

    actor: str
    action: str
    """As the audit trail calls it."""
    subject: str


class Cancelled(_Entry, frozen=True):
    endpoint: str
    delivery_id: str
    actor: str | None


class Moved(_Entry, frozen=True):
    """What it says of an object of the ledger, and whether the ledger has that object as it says."""

    object: Kind
    id: str
    said: str
    stands: bool
    payment_id: str | None
    payment_status: str | None
    """As it stands now."""


class Taken(_Entry, frozen=True):
    """By retention."""

    what: Literal["event", "body"]


class Waits(_Entry, frozen=True):
    """Until when, where that is known."""

    endpoint: str
    delivery_id: str
    waits_for: WaitsFor
    why: str | None = None
    """Of an endpoint that is not active: operator, gone, failing."""
    behind: str | None = None
    """The event that goes first."""


Entry = (
    Occurred
    | Received
    | Verified
    | Quarantined
    | Unrouted
    | Routed
    | Conflict
    | Attempted
    | Replayed
    | Changed
    | Cancelled
    | Moved
    | Taken
    | Waits
)


class Subject(msgspec.Struct, frozen=True):
    """The event that a story is about."""

    id: str
    source: str
    provider: str
    provider_event_id: str
    type: str
    state: EventState
    received_at: str
    payment_id: str | None


class Advice(msgspec.Struct, frozen=True):
    """What to do now."""

    text: str
    command: str | None = None


class Story(msgspec.Struct, frozen=True):
    event: Subject
    delivery_id: str | None
    """Where one delivery was asked for: then the others are left out."""
    summary: str
    entries: Sequence[Entry]
    """By time; what is waited for comes last."""
    left_out: int
    """Older attempts, and deliveries, that are too many to be told."""
    advice: Sequence[Advice]
    """The most pressing first; never none."""


class Answer(msgspec.Struct, frozen=True):
    """Of one event, or of a name that more than one bears."""

    story: Story | None
    candidates: Sequence[Subject] = ()
    """The newest first, when there is no story because it is not clear which is meant."""
