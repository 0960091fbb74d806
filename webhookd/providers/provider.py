"""The seam every provider room fits: bytes and headers in, a verdict and a reading out. Nothing here waits.

A provider that needs something from outside before it can judge (PayPal's certificate) answers `Needs(url)`; the
caller fetches it, and asks again with the bytes among the evidence.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from webhookd.core.event import Hook, Reading

TOLERANCE_S = 300
"""How far a signed timestamp may lie in the past or the future (Stripe's and Standard Webhooks' own figure)."""
JSON_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises on hostile JSON; only the first is documented as its own."""

Evidence = Mapping[str, bytes]


class Verified(msgspec.Struct, frozen=True):
    """The provider sent this."""


class Refused(msgspec.Struct, frozen=True):
    """Nobody can say who sent this. `reason` is a word for the metrics; the sender is told nothing of it."""

    reason: str


class Needs(msgspec.Struct, frozen=True):
    """Not to be judged without the bytes at this URL."""

    url: str


Verdict = Verified | Refused | Needs
VERIFIED = Verified()


class NotUnderstoodError(Exception):
    """Authentic, but its envelope (a JSON object with an id and a type) cannot be read: to be quarantined."""


class Provider(Protocol):
    """One source's provider, holding that source's secrets."""

    @property
    def name(self) -> str: ...

    @property
    def kept_headers(self) -> tuple[str, ...]:
        """Lower-case names of the headers stored with the event: what its signature needs. Never a plain secret."""
        ...

    def verify(self, hook: Hook, now_s: int, evidence: Evidence) -> Verdict:
        """Judge the raw bytes. Every secret is tried, in constant time, before the answer is given."""
        ...

    def read(self, hook: Hook) -> Reading:
        """Read the envelope of a verified hook. Raises NotUnderstoodError."""
        ...

    def sign(self, body: bytes, now_s: int, message_id: str) -> dict[str, str]:
        """The headers the provider would send with this body, signed with the first secret."""
        ...
