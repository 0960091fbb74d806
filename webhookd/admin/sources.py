"""`/api/v1/sources`: where events come from, when each source was last heard of, and what became of its hooks.

Of an outbox a row is what a hook is of a provider.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.core.event import OUTBOX
from webhookd.core.units import time_text
from webhookd.store.protocol.lookup import Lookup

TAKEN = ("accepted", "duplicate", "quarantined")


class OutboxView(msgspec.Struct):
    state: Literal["starting", "follows", "waits", "stands_by", "elsewhere"]
    """It has not been reached yet; rows are taken as they come; they cannot be taken now; another node takes them; this
    node takes none."""
    why: str | None
    """It waits, or stands by, and what to do about it."""
    waiting: int | None
    """Rows, counted to 10,000; null: not known."""
    oldest_at: str | None
    """When the oldest of these was written, as it says itself."""


class SourceView(msgspec.Struct):
    name: str
    provider: str
    path: str | None
    """On the public listener; null of an outbox."""
    last_event_at: str | None
    """When it last brought an event that was new. Null: not since the start, and not among the last 2,000 events of the
    log."""
    accepted: int
    """Since the start, as are all counts here: events that were new."""
    duplicates: int
    """Hooks whose event was in the log already."""
    quarantined: int
    refused: int
    """Hooks that were not taken."""
    reasons: Mapping[str, int]
    """Why not, in the words of `webhookd_hooks_total`."""
    conflicts: int
    """Duplicates whose body was another than the first; the first stays."""
    secrets: Sequence[str]
    """Where each of its secrets is: "env:NAME", "file:PATH", "credential:NAME", or stars for one in the configuration
    itself. Of PayPal, the webhook's id; of an outbox there are none."""
    outbox: OutboxView | None = None


class SourceList(msgspec.Struct):
    data: Sequence[SourceView]
    next_cursor: None = None
    """There is one page."""


class Provider(Protocol):
    name: str


class Source(Protocol):
    @property
    def provider(self) -> Provider: ...


class Reception(Protocol):
    """What the receiver can say here."""

    @property
    def sources(self) -> Mapping[str, Source]: ...

    @property
    def heard(self) -> Mapping[str, int]: ...


class Counts(Protocol):
    """What became of a source's hooks since the start."""

    def hooks_of(self, source: str) -> Mapping[str, int]: ...

    def conflicts_of(self, source: str) -> int: ...


class Standing(Protocol):
    """How it stands with an outbox."""

    @property
    def state(self) -> Literal["starting", "follows", "waits", "stands_by"]: ...

    @property
    def why(self) -> str | None: ...

    @property
    def waiting(self) -> int | None: ...

    @property
    def oldest_at(self) -> int | None: ...

    @property
    def last_at(self) -> int | None: ...


class Outboxes(Protocol):
    @property
    def standings(self) -> Mapping[str, Standing | None]:
        """Of each that is configured; None where this process takes from none."""
        ...


class SourcesApi:
    """`secrets_of` says where those of a configured source are."""

    def __init__(
        self,
        reception: Reception,
        outboxes: Outboxes,
        counts: Counts,
        lookup: Lookup,
        secrets_of: Callable[[str], Sequence[str]],
    ) -> None:
        self._reception = reception
        self._outboxes = outboxes
        self._counts = counts
        self._lookup = lookup
        self._secrets_of = secrets_of

    def operations(self) -> Sequence[Operation]:
        return [Operation("GET", "/api/v1/sources", self.list, "The configured sources", SourceList)]

    async def list(self, _asked: Asked[Nothing, Nothing]) -> SourceList:
        last = {**await self._lookup.last_events(), **self._reception.heard}
        hooks = [self._view(name, each.provider.name, last.get(name)) for name, each in self._reception.sources.items()]
        outboxes = [self._outbox(name, each, last.get(name)) for name, each in self._outboxes.standings.items()]
        return SourceList([*hooks, *outboxes])

    def _outbox(self, name: str, standing: Standing | None, last_event_at: int | None) -> SourceView:
        if standing is None:
            view, last_at = OutboxView("elsewhere", None, None, None), None
        else:
            oldest_at, last_at = time_text(standing.oldest_at), standing.last_at
            view = OutboxView(standing.state, standing.why, standing.waiting, oldest_at)
        found = self._view(name, OUTBOX, last_event_at if last_at is None else last_at)
        return msgspec.structs.replace(found, path=None, outbox=view)

    def _view(self, name: str, provider: str, last_event_at: int | None) -> SourceView:
        counts = dict(self._counts.hooks_of(name))
        accepted, duplicates, quarantined = (counts.pop(result, 0) for result in TAKEN)
        return SourceView(
            name=name,
            provider=provider,
            path=f"/webhooks/{name}",
            last_event_at=time_text(last_event_at),
            accepted=accepted,
            duplicates=duplicates,
            quarantined=quarantined,
            refused=sum(counts.values()),
            reasons=counts,
            conflicts=self._counts.conflicts_of(name),
            secrets=self._secrets_of(name),
        )
