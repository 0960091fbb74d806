"""The seam every provider room fits: bytes and headers in, a verdict and a reading out. Nothing here waits.

A provider that needs something from outside before it can judge (PayPal's certificate) answers `Needs(request)`; the
caller makes the request, and asks again with the answer among the evidence.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from webhookd.core.event import Hook, Reading
from webhookd.core.secret import Secret

TOLERANCE_S = 300
"""How far a signed timestamp may lie in the past or the future (Stripe's and Standard Webhooks' own figure)."""
JSON_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""All that msgspec raises on hostile JSON; only the first is documented as its own."""


class Credentials(msgspec.Struct, frozen=True):
    """What a source gives its provider. Which of these a provider takes is its own business."""

    secrets: Sequence[Secret] = ()
    """Any one may match."""
    scheme: str | None = None
    """How to verify, where the provider has more than one way; None is its default."""
    webhook_id: Secret | None = None
    """PayPal: the id of the subscription, which is part of what is signed."""
    client_id: Secret | None = None
    client_secret: Secret | None = None
    """PayPal's postback: the API's credentials."""
    authorities: bytes | None = None
    """PayPal: certificates (PEM) to trust instead of the public roots."""
    signing_key: Secret | None = None
    """PayPal, only to try it out: what signs in PayPal's place, a private key and its certificate (PEM)."""


class CredentialsError(ValueError):
    """A credential that is missing or of the wrong kind. `name` is the field of Credentials."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(reason)
        self.name = name


class CannotSignError(Exception):
    """These credentials verify only. The message says what signing would take."""


class Request(msgspec.Struct, frozen=True):
    """One HTTPS request for evidence. GET, or POST when there is a body. Redirects are not followed."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    answer_bytes_max: int = 64 * 2**10
    holds: bytes = b""
    """What an answer must hold to be one at all: an error page with status 200 is as good as no answer."""
    kept: Literal["no", "memory", "disk"] = "no"
    """Where the answer may be kept, for as long as the sender of it allows."""

    def __repr__(self) -> str:
        return f"Request({self.url})"  # never its headers or body: they hold credentials


Evidence = Mapping[Request, bytes]
"""The answers so far, each of status 200."""


class Verified(msgspec.Struct, frozen=True):
    """The provider sent this."""


class Refused(msgspec.Struct, frozen=True):
    """Nobody can say who sent this. `reason` is a word for the metrics; the sender is told nothing of it."""

    reason: str


class Claim(msgspec.Struct, frozen=True):
    """What a hook says of its signature, without the signature itself. Nothing of it has been verified."""

    headers: Sequence[tuple[str, str]]
    """Those that a verdict needs, as far as they were there, each with what it looks like: "t=1795268750,v1=64 hex"."""
    at_ms: int | None = None
    """When it says that it was signed, Unix milliseconds; None where it says nothing of that."""


class Needs(msgspec.Struct, frozen=True):
    """Not to be judged without the answer to this request."""

    request: Request


Verdict = Verified | Refused | Needs
VERIFIED = Verified()
STALE = Refused("stale_timestamp")
"""The provider sent this, but not now."""


class NotUnderstoodError(Exception):
    """Authentic, but its envelope (a JSON object with an id and a type) cannot be read: to be quarantined."""

    alias: str | None = None
    """As in a Reading, where there is one all the same."""


class Provider(Protocol):
    """One source's provider, holding that source's credentials."""

    name: str
    kept_headers: tuple[str, ...]
    """Lower-case names of the headers stored with the event: what its signature and `read` need. No plain secret."""
    takes: frozenset[str]
    """The fields of Credentials that mean something to it; another one is a mistake in the configuration."""
    event_types: frozenset[str]
    """The names the provider has for its events. Others are taken too, and counted as unknown. There
    are none where whoever writes them names them as he likes."""

    def __init__(self, credentials: Credentials) -> None:
        """Raises CredentialsError."""
        ...

    def verify(self, hook: Hook, now_s: int, evidence: Evidence) -> Verdict:
        """Judge the raw bytes. Every secret is tried, in constant time, before the answer is given."""
        ...

    def claim(self, hook: Hook) -> Claim:
        """Of a hook that was refused: what somebody needs to see who looks for the reason."""
        ...

    @staticmethod
    def read(hook: Hook) -> Reading:
        """Read a verified hook: envelope, and what it says about money. Needs no secret, so that the log can be read
        again. Raises NotUnderstoodError; what is odd beyond the envelope is left out of the reading instead.
        """
        ...

    def sign(self, body: bytes, now_s: int, message_id: str) -> dict[str, str]:
        """The headers the provider would send with this body, signed with the first secret. Raises CannotSignError."""
        ...

    def sign_again(self, hook: Hook, now_s: int) -> dict[str, str]:
        """The headers with which the provider's own check of a stored hook passes now, as far as that check looks.

        Signed with the first secret and, where there is a time in it, at `now_s`. `hook` has the headers that were
        kept. Raises CannotSignError.
        """
        ...
