"""`/api/v1/sources`: where hooks come in, when each source was last heard of, and what became of its hooks."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.core.units import time_text
from webhookd.store.protocol.lookup import Lookup

TAKEN = ("accepted", "duplicate", "quarantined")


class SourceView(msgspec.Struct):
    name: str
    provider: str
    path: str
    """On the public listener."""
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
    itself. Of PayPal, the webhook's id."""


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


class SourcesApi:
    """`secrets_of` says where those of a configured source are."""

    def __init__(
        self, reception: Reception, counts: Counts, lookup: Lookup, secrets_of: Callable[[str], Sequence[str]]
    ) -> None:
        self._reception = reception
        self._counts = counts
        self._lookup = lookup
        self._secrets_of = secrets_of

    def operations(self) -> Sequence[Operation]:
        return [Operation("GET", "/api/v1/sources", self.list, "The configured sources", SourceList)]

    async def list(self, _asked: Asked[Nothing, Nothing]) -> SourceList:
        last = {**await self._lookup.last_events(), **self._reception.heard}
        return SourceList(
            [self._view(name, each.provider.name, last.get(name)) for name, each in self._reception.sources.items()]
        )

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
