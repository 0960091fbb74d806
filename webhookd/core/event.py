"""A hook is what came in; an event is a hook that was verified, committed once and never changed."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeGuard

import msgspec

from webhookd.core.identifier import event_id
from webhookd.core.ledger import Fact

EventState = Literal["accepted", "unrouted", "quarantined"]
EVENT_STATES: tuple[EventState, ...] = ("accepted", "unrouted", "quarantined")
QUARANTINED_TYPE = "webhookd.quarantined"
OPERATIONAL = "webhookd"
"""Source and provider of webhookd's own events; a type of theirs begins with it and a dot."""
OUTBOX = "outbox"
"""Provider of what an application writes into a table of its own database, for it to be taken from there."""
PUBLISHED = "published"
"""Source of what an application publishes through the API; OPERATIONAL is its provider, who signs it."""
IMPORTED = "webhookd-imported"
"""The header that an event has which came from its provider's export; no hook's header of this name is kept."""
NAME_CHARS_MAX = 255
SECONDS_MAX = 10**11


class Hook(msgspec.Struct, frozen=True, gc=False):
    """One inbound HTTP request, untrusted. `headers` has lower-case names; the first of repeated ones counts."""

    headers: Mapping[str, str]
    body: bytes
    received_at: int
    """Unix milliseconds."""

    def __repr__(self) -> str:
        return f"Hook({len(self.body)} bytes)"  # never its headers or body: a traceback may be logged


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What a provider room reads in a verified hook."""

    provider_event_id: str
    """Unique among the events of a source: the provider's own id or, where it has none, one drawn from the body."""
    type: str
    occurred_at: int | None = None
    """Unix milliseconds, as the provider says."""
    payment_id: str | None = None
    """The payment the event is about, be it only by a refund or an order of it."""
    fact: Fact | None = None
    """What it says about money; None when that cannot be read, or it says nothing."""
    alias: str | None = None
    """Another id of this very event, bound to its body: what repeats it is a duplicate, with another body a forgery."""


class Event(msgspec.Struct, frozen=True, gc=False):
    key: int
    salt: int
    source: str
    provider: str
    provider_event_id: str
    type: str
    state: EventState
    received_at: int
    occurred_at: int | None
    payment_id: str | None
    fact: Fact | None
    alias: str | None
    headers: Sequence[tuple[str, str]]
    """The few headers that are kept: content type and what the signature needs."""
    sha256: bytes
    size: int
    body: bytes
    """The provider's bytes. Stored and forwarded as they are, never serialised again."""
    trace: str | None = None
    """What attempts hang on (`core.trace`), where tracing is on."""

    def __repr__(self) -> str:
        return f"Event({self.id})"  # never its body: a traceback may be logged

    @property
    def id(self) -> str:
        return event_id(self.key, self.salt)

    @property
    def content_type(self) -> str:
        for name, value in self.headers:
            if name == "content-type":
                return value
        return "application/json"


def occurred_ms(seconds: float) -> int | None:
    """Unix milliseconds of a provider's time, if anybody can have meant it: after 1970, before the year 5138."""
    return round(seconds * 1_000) if 0 < seconds < SECONDS_MAX else None


def is_name(text: object) -> TypeGuard[str]:
    """Whether the provider's text may serve as an id or a type: 1 to 255 printable characters."""
    return isinstance(text, str) and 0 < len(text) <= NAME_CHARS_MAX and text.isprintable()


class Appended(msgspec.Struct, frozen=True, gc=False):
    """What the log says of an event that was offered to it."""

    event_id: str
    status: Literal["accepted", "duplicate", "quarantined", "forged"]
    """`forged`: another body under an alias that is bound to the first one; nothing was stored."""
    conflict: bool = False
    """A duplicate whose body differs from the one in the log. The first stays; the conflict is on record."""
