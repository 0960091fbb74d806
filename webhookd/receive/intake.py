"""From a hook to an event in the log: verify the raw bytes, then parse, then commit."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import lru_cache, partial
from typing import NamedTuple, Protocol

import msgspec

from webhookd.core.card_number import has_card_number
from webhookd.core.event import IMPORTED, QUARANTINED_TYPE, Appended, Event, EventState, Hook, Reading
from webhookd.core.identifier import KeyMint
from webhookd.providers.provider import Evidence, Needs, NotUnderstoodError, Provider, Refused, Request, Verified
from webhookd.store.protocol.log import EventLog

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

    async def take_in(
        self, source: Source, hook: Hook, inside: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    ) -> Appended | Refused:
        """It happens within `inside()`, except for fetching: that takes somebody else's time.

        Raises StoreUnavailableError, StoreBrokenError, EvidenceUnavailableError; then there is no ack.
        """
        evidence: dict[Request, bytes] = {}
        while True:
            async with inside():
                begun = self.begin(source, hook, evidence)
                if isinstance(begun, Begun):
                    appended = await begun.pending
                    self.note(source, begun.event, appended)
                    return appended
            if isinstance(begun, Refused):
                return begun
            await self._fetch_into(evidence, begun.request)

    def begin(self, source: Source, hook: Hook, evidence: Evidence) -> Begun | Refused | Needs:
        """The same as far as it goes without waiting. Raises StoreUnavailableError, StoreBrokenError."""
        verdict = source.provider.verify(hook, hook.received_at // 1_000, evidence)
        if not isinstance(verdict, Verified):
            return verdict
        event = self._event(source, hook)
        if self._tracer is not None:
            return self._begin_traced(event, self._tracer.received(event, hook.headers))
        return Begun(event, self._append(event))

    async def judge(self, provider: Provider, hook: Hook) -> Verified | Refused:
        """As of when it came. Raises EvidenceUnavailableError."""
        evidence: dict[Request, bytes] = {}
        while isinstance(verdict := provider.verify(hook, hook.received_at // 1_000, evidence), Needs):
            await self._fetch_into(evidence, verdict.request)
        return verdict

    async def take_in_exported(self, source: Source, hook: Hook) -> Appended:
        """What an operator has from the provider itself: as if its hook had come, marked, and not verified.

        Raises StoreUnavailableError, StoreBrokenError.
        """
        event = self._event(source, hook)
        event = msgspec.structs.replace(event, headers=[*event.headers, (IMPORTED, "true")])
        appended = await self._append(event)
        self.note(source, event, appended)
        return appended

    async def take_in_row(self, source: Source, hook: Hook) -> Appended:
        """What an application wrote into its outbox, which nobody signs: who may write there is the application.

        Raises NotUnderstoodError, and nothing is stored; StoreUnavailableError, StoreBrokenError.
        """
        event = self._made(source, hook, source.provider.read(hook), "accepted")
        appended = await self._append(event)
        self.note(source, event, appended)
        return appended

    def note(self, source: Source, event: Event, appended: Appended) -> None:
        """Count what has been taken in; for what was begun, once it has ended."""
        if appended.status == "accepted":
            if event.fact is not None:
                self._told(event.provider, event.fact.kind, event.fact.status)
            if source.provider.event_types and event.type not in source.provider.event_types:
                self._unknown(source.name)

    def _append(self, event: Event) -> "asyncio.Future[Appended]":
        pending = self._log.append(event)
        return pending if isinstance(pending, asyncio.Future) else asyncio.ensure_future(pending)

    def _begin_traced(self, event: Event, span: Receiving) -> Begun:
        try:
            pending = self._append(msgspec.structs.replace(event, trace=span.context))
        except Exception:
            span.end("unavailable", None)
            raise
        pending.add_done_callback(partial(_end, span))
        return Begun(event, pending)

    async def _fetch_into(self, evidence: dict[Request, bytes], request: Request) -> None:
        if request in evidence:
            raise EvidenceUnavailableError("the provider asks again for what it was given")
        evidence[request] = await self._fetch(request)

    def _event(self, source: Source, hook: Hook) -> Event:
        try:
            return self._made(source, hook, source.provider.read(hook), "accepted")
        except NotUnderstoodError as error:
            name = f"sha256:{hashlib.sha256(hook.body).hexdigest()}"
            return self._made(source, hook, Reading(name, QUARANTINED_TYPE, alias=error.alias), "quarantined")

    def _made(self, source: Source, hook: Hook, reading: Reading, state: EventState) -> Event:
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
            sha256=hashlib.sha256(hook.body).digest(),
            size=len(hook.body),
            body=hook.body,
        )


def _end(span: Receiving, pending: "asyncio.Future[Appended]") -> None:
    if pending.cancelled() or pending.exception() is not None:
        span.end("unavailable", None)
    else:
        appended = pending.result()
        span.end(appended.status, appended.event_id)


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
