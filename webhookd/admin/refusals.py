"""`/api/v1/refusals`: what was refused lately and why; and a secret, tried on what was refused for its signature."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache
from heapq import nlargest
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from webhookd.admin import sources
from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.door.reasons import NotFoundError
from webhookd.admin.door.texts import Text
from webhookd.admin.refusal_words import meaning
from webhookd.core.refusal import Refusal, clock_off_ms
from webhookd.core.secret import Secret
from webhookd.core.units import time_text

SECRET_CHARS_MAX = 1_024
STRAYS_MAX = 64
"""Names of sources that there are not, of which it is remembered what was meant."""
LIKE_MAX = 2


class RefusalsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: Text | None = None
    reason: Text | None = None
    """As in `webhookd_hooks_total`; `unknown_source` for what asked for a source that there is not."""


class RefusalView(msgspec.Struct):
    """Texts of the sender's are short and printable, and may say anything."""

    at: str
    source: str | None
    """Null: there is none of the name that was asked for."""
    path: str
    meant: str | None
    """Of such a one: the source whose name is most like it, if any is."""
    reason: str
    """In the words of `webhookd_hooks_total`."""
    meaning: str
    status: int
    """Of the answer."""
    address: str
    """Of the connection: behind a proxy, the proxy's."""
    method: str
    size: int | None
    """Bytes of the body; as the sender says, where it was not read."""
    content_type: str | None
    user_agent: str | None
    signature: Mapping[str, str]
    """The headers that it takes, or that look like it, each with its shape: "t=1795268750,v1=64 hex". Not the
    signature itself."""
    signed_at: str | None
    """As the hook says itself."""
    age_s: int | None
    """How old it was then; below 0: from the future."""
    sha256: str | None
    """Of the body, where it was read."""


class RefusalList(msgspec.Struct):
    """The newest first: up to 20 of each source, 200 of all. They are in memory, and forgotten at a restart."""

    data: Sequence[RefusalView]
    clock_off_s: int | None
    """Hooks whose signature is right are too old by this much, or too new (below 0), and all by the same, as if a clock
    were wrong: most likely this machine's. Null: it does not look like that."""
    next_cursor: None = None
    """There is one page."""


class TriedSecret(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    secret: Annotated[str, Meta(min_length=1, max_length=SECRET_CHARS_MAX)]
    """The secret itself; for PayPal the webhook's id. Space around it does not count. It is neither kept nor told."""


class Tried(msgspec.Struct, frozen=True):
    hooks: int
    """On so many it was tried: the newest 3, of the last hour and since the start, whose signature was wrong and that
    are no larger than 64 KiB."""
    right: int
    """Of those, signed with this secret. Their age was not looked at."""
    stale: int
    """Of the right ones, those whose timestamp was outside its window when they came: they would have been refused."""
    is_configured: bool
    """The source has this secret already."""


class Memory(Protocol):
    """What the receiver remembers of refused hooks, the newest first."""

    @property
    def count(self) -> int:
        """Since the start."""
        ...

    def __iter__(self) -> Iterator[Refusal]: ...


class Trial(Protocol):
    async def __call__(self, source: str, secret: Secret) -> Tried:
        """Of a configured source. Raises MistakesError, BusyError."""
        ...


class Reception(sources.Reception, Protocol):
    @property
    def refusals(self) -> Memory: ...


class RefusalsApi:
    def __init__(self, reception: Reception, trial: Trial) -> None:
        self._reception = reception
        self._trial = trial

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                "GET",
                "/api/v1/refusals",
                self.list,
                "Hooks that were refused lately, and why",
                RefusalList,
                query=RefusalsQuery,
            ),
            Operation(
                "POST",
                "/api/v1/sources/{name}/try-secret",
                self.try_secret,
                "Try a secret on what was refused",
                Tried,
                scope="admin",
                action="source.try-secret",
                body=TriedSecret,
                problems=[404],
                detail="How many of the hooks that were kept for it verify with this secret. It changes nothing: to "
                "have the secret hold, put it into the configuration and reload.",
            ),
        ]

    async def list(self, asked: Asked[RefusalsQuery, Nothing]) -> RefusalList:
        every = [*self._reception.refusals]
        source, reason = asked.query.source, asked.query.reason
        found = [each for each in every if source in (None, each.source) and reason in (None, each.reason)]
        off_ms = clock_off_ms(every)
        return RefusalList([self._view(each) for each in found], None if off_ms is None else round(off_ms / 1_000))

    async def try_secret(self, asked: Asked[Nothing, TriedSecret]) -> Tried:
        name = asked.path["name"]
        if name not in self._reception.sources:
            raise NotFoundError
        return await self._trial(name, Secret(asked.body.secret.strip()))

    def _view(self, refusal: Refusal) -> RefusalView:
        signed_at = refusal.signed_at
        return RefusalView(
            at=time_text(refusal.at),
            source=refusal.source,
            path=refusal.path,
            meant=self._meant(refusal.path) if refusal.source is None else None,
            reason=refusal.reason,
            meaning=meaning(refusal.reason).text,
            status=refusal.status,
            address=refusal.address,
            method=refusal.method,
            size=refusal.size,
            content_type=refusal.content_type,
            user_agent=refusal.user_agent,
            signature=dict(refusal.signature),
            signed_at=time_text(signed_at),
            age_s=None if signed_at is None else round((refusal.at - signed_at) / 1_000),
            sha256=None if refusal.sha256 is None else refusal.sha256.hex(),
        )

    def _meant(self, path: str) -> str | None:
        return _most_like(path.rpartition("/webhooks/")[2].strip("/").lower(), tuple(self._reception.sources))


@lru_cache(STRAYS_MAX)
def _most_like(name: str, sources: Sequence[str]) -> str | None:
    """Strangers choose the name, and a page asks again and again.

    So only those are compared in full that are made of nearly the same letters, and no name twice.
    """
    matcher = SequenceMatcher(b=name)

    def letters(source: str) -> float:
        matcher.set_seq1(source)
        return matcher.quick_ratio()

    return next(iter(get_close_matches(name, nlargest(LIKE_MAX, sources, letters), 1)), None)
