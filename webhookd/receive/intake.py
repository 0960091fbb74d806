"""From a hook to an event in the log: verify the raw bytes, then parse, then commit."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import NamedTuple, Protocol

import msgspec

from webhookd.core.card_number import has_card_number
from webhookd.core.event import IMPORTED, QUARANTINED_TYPE, Appended, Event, EventState, Hook, Reading
from webhookd.core.identifier import KeyMint
from webhookd.providers.provider import Needs, NotUnderstoodError, Provider, Refused, Request, Verified
from webhookd.store.protocol import EventLog

KEPT_HEADER_CHARS_MAX = 1024
_ALWAYS_KEPT = ("content-type", "user-agent")
_has_card_number = lru_cache(64)(has_card_number)
"""A provider's headers are the same in every hook."""


class Source(msgspec.Struct, frozen=True):
    """One configured inbound URL: a provider with its secrets."""

    name: str
    provider: Provider


class Receiving(Protocol):
    """A verified hook's span."""

    @property
    def context(self) -> str:
        """What is stored with the event, so that its attempts are of the same trace."""
        ...

    def end(self, result: str, event_id: str | None) -> None: ...


class Tracer(Protocol):
    def received(self, event: Event, headers: Mapping[str, str]) -> Receiving: ...


class Begun(NamedTuple):
    """A verified hook on its way into the log. `pending` raises StoreUnavailableError, StoreBrokenError."""

    event: Event
    pending: "asyncio.Future[Appended]"


class EvidenceUnavailableError(Exception):
    """What the provider's signature is to be checked with cannot be had now. The provider should send again."""


class Intake:
    """`dice` gives 63 random bits; `fetch` gets what a provider asks for, or raises EvidenceUnavailableError.

    `unknown` is told the source of each new event whose type the provider has no name for; `told` the provider, the
    kind and the state of what a new event says of money.
    """

    def __init__(
        self,
        log: EventLog,
        mint: KeyMint,
        dice: Callable[[], int],
        fetch: Callable[[Request], Awaitable[bytes]],
        unknown: Callable[[str], None] = lambda _source: None,
        told: Callable[[str, str, str], None] = lambda _provider, _kind, _status: None,
        tracer: Tracer | None = None,
    ) -> None:
        self._log = log
        self._mint = mint
        self._dice = dice
        self._fetch = fetch
        self._unknown = unknown
        self._told = told
        self._tracer = tracer

    async def take_in(self, source: Source, hook: Hook) -> Appended | Refused:
        """Raises StoreUnavailableError, StoreBrokenError, EvidenceUnavailableError; then there is no ack."""
        verdict = await self.judge(source.provider, hook)
        if isinstance(verdict, Refused):
            return verdict
        event = self._event(source, hook)
        if self._tracer is None:
            return await self._append(source, event)
        return await self._append_traced(source, event, self._tracer.received(event, hook.headers))

    def begin(self, source: Source, hook: Hook) -> "Begun | Refused | None":
        """The same as far as it goes without waiting; None where something has to be fetched first, or spans are sent.

        Raises StoreUnavailableError, StoreBrokenError.
        """
        if self._tracer is not None:
            return None
        verdict = source.provider.verify(hook, hook.received_at // 1_000, {})
        if isinstance(verdict, Needs):
            return None
        if isinstance(verdict, Refused):
            return verdict
        event = self._event(source, hook)
        pending = self._log.append(event)
        return Begun(event, pending if isinstance(pending, asyncio.Future) else asyncio.ensure_future(pending))

    async def judge(self, provider: Provider, hook: Hook) -> Verified | Refused:
        """As of when it came. Raises EvidenceUnavailableError."""
        evidence: dict[Request, bytes] = {}
        verdict = provider.verify(hook, hook.received_at // 1_000, evidence)
        while isinstance(verdict, Needs):
            if verdict.request in evidence:
                raise EvidenceUnavailableError("the provider asks again for what it was given")
            evidence[verdict.request] = await self._fetch(verdict.request)
            verdict = provider.verify(hook, hook.received_at // 1_000, evidence)
        return verdict

    async def take_in_exported(self, source: Source, hook: Hook) -> Appended:
        """What an operator has from the provider itself: as if its hook had come, marked, and not verified.

        Raises StoreUnavailableError, StoreBrokenError.
        """
        event = self._event(source, hook)
        return await self._append(source, msgspec.structs.replace(event, headers=[*event.headers, (IMPORTED, "true")]))

    async def _append(self, source: Source, event: Event) -> Appended:
        appended = await self._log.append(event)
        self.note(source, event, appended)
        return appended

    def note(self, source: Source, event: Event, appended: Appended) -> None:
        """Count what has been taken in; for what was begun, once it has ended."""
        if appended.status == "accepted":
            if event.fact is not None:
                self._told(event.provider, event.fact.kind, event.fact.status)
            if event.type not in source.provider.event_types:
                self._unknown(source.name)

    async def _append_traced(self, source: Source, event: Event, span: Receiving) -> Appended:
        result, event_id = "unavailable", None
        try:
            appended = await self._append(source, msgspec.structs.replace(event, trace=span.context))
            result, event_id = appended.status, appended.event_id
        finally:
            span.end(result, event_id)
        return appended

    def _event(self, source: Source, hook: Hook) -> Event:
        sha256 = hashlib.sha256(hook.body)
        state: EventState = "accepted"
        try:
            reading = source.provider.read(hook)
        except NotUnderstoodError as error:
            state = "quarantined"
            reading = Reading(f"sha256:{sha256.hexdigest()}", QUARANTINED_TYPE, alias=error.alias)
        return Event(
            key=self._mint.next(hook.received_at),
            salt=self._dice(),
            source=source.name,
            provider=source.provider.name,
            provider_event_id=reading.provider_event_id,
            type=reading.type,
            state=state,
            received_at=hook.received_at,
            occurred_at=reading.occurred_at,
            payment_id=reading.payment_id,
            fact=reading.fact,
            alias=reading.alias,
            headers=_kept(hook, source.provider.kept_headers),
            sha256=sha256.digest(),
            size=len(hook.body),
            body=hook.body,
        )


def _kept(hook: Hook, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Header bytes that are not text arrive as lone surrogates, which no store takes; such a header is left out.

    So is one with a card number, unless it is one that the signature needs.
    """
    return [
        (name, value)
        for name in (*_ALWAYS_KEPT, *names)
        if (value := hook.headers.get(name)) is not None
        and len(value) <= KEPT_HEADER_CHARS_MAX
        and value.isprintable()
        and (name in names or not _has_card_number(value))
    ]
