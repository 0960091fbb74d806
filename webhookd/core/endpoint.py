"""An endpoint: a merchant's URL that wants events, and which ones."""

import re
from collections.abc import Sequence
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from webhookd.core.retry import RetryPolicy
from webhookd.core.secret import Secret
from webhookd.core.signature import HmacKey

EndpointState = Literal["active", "paused", "disabled"]
ENDPOINT_STATES: tuple[EndpointState, ...] = ("active", "paused", "disabled")
ManagedBy = Literal["config", "api"]
EVERYTHING = "*"
URL_CHARS_MAX = 2048
_PATTERN = re.compile(r"[\w.\-:/*?]{1,255}", re.ASCII)


class EndpointSpec(msgspec.Struct, frozen=True):
    """What somebody asked for: an endpoint as the configuration states it."""

    name: str
    url: str
    secret: Secret | None = None
    """None: the store generates one and keeps it."""
    sources: tuple[str, ...] = ()
    """Names of sources; none means all."""
    events: tuple[str, ...] = ()
    """Globs over event types; none means all."""
    max_in_flight: int = 8
    allow_http: bool = False
    retry: RetryPolicy = msgspec.field(default_factory=RetryPolicy)


class Endpoint(msgspec.Struct, frozen=True):
    """An endpoint as it stands in the store, ready to be delivered to."""

    number: int
    """Small, never reused; half of a delivery's identity."""
    spec: EndpointSpec
    key: HmacKey
    """What attempts are signed with."""
    state: EndpointState
    managed_by: ManagedBy


class Route(msgspec.Struct, frozen=True):
    """One row of the routing table: events of this source whose type matches this pattern are owed to the endpoint."""

    source: str
    pattern: str

    @property
    def is_glob(self) -> bool:
        return "*" in self.pattern or "?" in self.pattern


def routes(sources: Sequence[str], events: Sequence[str]) -> list[Route]:
    """The routing rows of an endpoint: every source with every pattern, an empty list standing for everything."""
    return [Route(source, pattern) for source in sources or (EVERYTHING,) for pattern in events or (EVERYTHING,)]


def check_pattern(pattern: str) -> None:
    """Raises ValueError unless the glob can match an event type: its characters, `*` and `?`."""
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(
            f'"{pattern[:60]}" is not an event glob: letters, digits and . _ - : / with * and ? as wildcards'
        )


def url_mistake(url: str) -> str | None:
    """Why deliveries cannot go to this URL, or None. What its host resolves to is judged when it is dialled."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not a URL"
    if len(url) > URL_CHARS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return f"must be at most {URL_CHARS_MAX} printable ASCII characters without spaces"
    if parts.scheme not in ("https", "http"):
        return "must begin with https:// (or http://, see allow_http)"
    if not parts.hostname or port == 0:
        return "has no host, or no port that can be connected to"
    if parts.username is not None or parts.fragment:
        return "must not hold a user name, a password or a #fragment"
    return None
