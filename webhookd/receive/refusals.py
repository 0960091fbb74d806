"""What is remembered of hooks that were not taken, so that a person sees why: a little, in memory, until the restart.

A good hook never comes here. A flood of bad ones costs a bounded memory: the newest REFUSALS_MAX of a source, ALL_MAX
of all; and of those with a wrong signature the newest TRIED_MAX of a source whole, for TRIED_S, to try another secret
on them, of TRIED_SOURCES_MAX sources. Neither is written to disk or to the log.
"""

import hashlib
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Protocol

from webhookd.clock import Clock
from webhookd.core.card_number import without_card_numbers
from webhookd.core.event import Hook
from webhookd.core.refusal import WRONG_SIGNATURE, Refusal
from webhookd.providers.provider import Claim, Provider

REFUSALS_MAX, ALL_MAX = 20, 200
TRIED_MAX, TRIED_BYTES_MAX, TRIED_SOURCES_MAX, TRIED_S = 3, 64 * 2**10, 40, 3_600.0
FORGET_S = 60.0
PATH_CHARS_MAX, TEXT_CHARS_MAX = 64, 120
HEADERS_MAX = 8
_OF_SIGNATURES = re.compile(r"signature|-sig$|hmac|verif-hash", re.ASCII)
_NOBODYS = ""
"""Stands for all sources that there are not; none is called so."""


class Request(Protocol):
    """What is remembered of a request."""

    @property
    def method(self) -> str: ...

    @property
    def raw_path(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def content_length(self) -> int | None: ...

    @property
    def remote(self) -> str | None: ...


class Refusals:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: dict[str, deque[Refusal]] = {}
        self._whole: dict[str, deque[tuple[float, Hook]]] = {}
        self._kept = 0
        self.count = 0
        """Since the start: as long as it is the same, nothing here is new."""

    def __iter__(self) -> Iterator[Refusal]:
        """The newest first, all sources together."""
        every = (each for kept in self._of.values() for each in kept)
        return iter(sorted(every, key=attrgetter("number"), reverse=True))

    def note(
        self,
        request: Request,
        source: str | None,
        reason: str,
        status: int,
        hook: Hook | None = None,
        provider: Provider | None = None,
    ) -> None:
        """`hook` is there when it was read, and `provider` when it was the one that refused it."""
        headers = request.headers
        claim = Claim([]) if hook is None or provider is None else provider.claim(hook)
        kept = self._of.setdefault(_NOBODYS if source is None else source, deque(maxlen=REFUSALS_MAX))
        self._kept += len(kept) < REFUSALS_MAX
        self.count += 1
        kept.append(
            Refusal(
                number=self.count,
                at=self._clock.now_ms() if hook is None else hook.received_at,
                source=source,
                path=_plain(request.raw_path.partition("?")[0], PATH_CHARS_MAX),
                reason=reason,
                status=status,
                address=request.remote or "",
                method=_plain(request.method, TEXT_CHARS_MAX),
                size=request.content_length if hook is None else len(hook.body),
                content_type=_header(headers.get("Content-Type")),
                user_agent=_header(headers.get("User-Agent")),
                signature=[*claim.headers, *_others(request, claim)],
                signed_at=claim.at_ms,
                sha256=None if hook is None else hashlib.sha256(hook.body).digest(),
            )
        )
        if self._kept > ALL_MAX:
            self._forget_one()
        if reason == WRONG_SIGNATURE and source is not None and hook is not None:
            self._keep_whole(source, hook, claim)

    def to_try(self, source: str) -> Sequence[Hook]:
        """Hooks whose signature was wrong, the newest first."""
        return [hook for _, hook in reversed(self._whole.get(source, ()))]

    async def forget_old(self) -> None:
        """Called every FORGET_S: what was kept whole is kept for TRIED_S, and no longer than FORGET_S beyond."""
        until = self._clock.monotonic() - TRIED_S
        for source, kept in [*self._whole.items()]:
            while kept and kept[0][0] <= until:
                kept.popleft()
            if not kept:
                del self._whole[source]

    def _keep_whole(self, source: str, hook: Hook, claim: Claim) -> None:
        """With the headers that a verdict takes, and no others."""
        headers = {name: hook.headers[name] for name, _ in claim.headers}
        if len(hook.body) + sum(map(len, headers.values())) <= TRIED_BYTES_MAX:
            kept = self._whole.pop(source, None) or deque(maxlen=TRIED_MAX)
            kept.append((self._clock.monotonic(), Hook(headers, hook.body, hook.received_at)))
            self._whole[source] = kept
            if len(self._whole) > TRIED_SOURCES_MAX:
                del self._whole[next(iter(self._whole))]

    def _forget_one(self) -> None:
        """The oldest of whoever has most."""
        source = max(self._of, key=lambda each: len(self._of[each]))
        self._of[source].popleft()
        self._kept -= 1
        if not self._of[source]:
            del self._of[source]


def _others(request: Request, claim: Claim) -> list[tuple[str, str]]:
    """Headers that look like another provider's signature: a hook that was sent to the wrong address has them."""
    known = {name for name, _ in claim.headers}
    found = (name.lower() for name in request.headers if _OF_SIGNATURES.search(name.lower()))
    names = list(dict.fromkeys(name for name in found if name not in known))
    return [(_plain(name, TEXT_CHARS_MAX), "there, and means nothing here") for name in names[:HEADERS_MAX]]


def _header(value: str | None) -> str | None:
    return None if value is None else _plain(value, TEXT_CHARS_MAX)


def _plain(text: str, chars_max: int) -> str:
    """Nothing in it steers a terminal or turns a line around, and no card number is in it."""
    text = without_card_numbers(text[: 2 * chars_max], lambda _digits: "[card number]")[: chars_max + 1]
    text = text if text.isprintable() else ascii(text)[1:-1]
    return text if len(text) <= chars_max else f"{text[: chars_max - 1]}…"
