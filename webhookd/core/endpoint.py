"""An endpoint: a merchant's URL that wants events, and which ones."""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from webhookd.core.breaker import Health
from webhookd.core.event import OPERATIONAL
from webhookd.core.rate_limit import RateLimit
from webhookd.core.retry import RetryPolicy
from webhookd.core.secret import Secret
from webhookd.core.signature import SigningKey

EndpointState = Literal["active", "paused", "disabled"]
ENDPOINT_STATES: tuple[EndpointState, ...] = ("active", "paused", "disabled")
Why = Literal["operator", "gone", "failing", "removed"]
"""Of one that is not active: somebody paused it, it answered 410, it failed for too long, or it was taken out."""
ManagedBy = Literal["config", "api"]
Ordering = Literal["none", "payment"]
SignatureStyle = Literal["standard", "provider"]
EVERYTHING = "*"
SOURCES_MAX = EVENTS_MAX = 200
ROUTES_MAX = 2_000
"""Of one endpoint: they are looked through for every event, and written in one transaction."""
_PATTERN = re.compile(r"[\w.\-:/*?]{1,255}", re.ASCII)


class ClientTls(msgspec.Struct, frozen=True):
    """What TLS to one endpoint is made with, where the defaults will not do. All PEM."""

    ca: bytes | None = None
    """Certificates to trust instead of the system's."""
    certificate: bytes | None = None
    """Our own, with its chain: the merchant asks for one (mTLS)."""
    key: Secret | None = None
    """The private key of `certificate`."""


class EndpointSpec(msgspec.Struct, frozen=True):
    """What somebody asked for: an endpoint as the configuration, or the API, states it."""

    name: str
    url: str
    secret: Secret | None = None
    """None: the store generates one and keeps it."""
    old_secrets: tuple[Secret, ...] = ()
    """Attempts are signed with these too, as long as they are listed: rotation."""
    sources: tuple[str, ...] = ()
    """Names of sources; none means all."""
    events: tuple[str, ...] = ()
    """Globs over event types; none means all."""
    max_in_flight: int = 8
    rate_limit: RateLimit | None = None
    allow_http: bool = False
    ordering: Ordering = "none"
    signature: SignatureStyle = "standard"
    retry: RetryPolicy = msgspec.field(default_factory=RetryPolicy)
    timeout_ms: int = 15_000
    """For a whole attempt, from dialling to the answer's end."""
    disable_after_ms: int | None = 5 * 86_400_000
    """Failing for so long, without one success, disables it; None: never."""
    headers: tuple[tuple[str, Secret], ...] = ()
    """Sent with every attempt; the values may be credentials."""
    tls: ClientTls | None = None


class EndpointKey(msgspec.Struct, frozen=True):
    key: SigningKey
    until_ms: int | None = None
    """Of one that was replaced: when it stops signing, Unix milliseconds."""
    since_ms: int | None = None
    """When it began to sign, of one that the store keeps."""


class Endpoint(msgspec.Struct, frozen=True):
    """An endpoint as it stands in the store, ready to be delivered to."""

    number: int
    """Small, never reused; half of a delivery's identity."""
    spec: EndpointSpec
    keys: tuple[EndpointKey, ...]
    """What attempts are signed with, the newest first: more than one while a secret is being replaced."""
    state: EndpointState
    managed_by: ManagedBy
    why: Why | None = None
    health: Health = Health()
    """As it was when the store was last told."""

    def signature(self, message_id: str, now_ms: int, body: bytes) -> str:
        """The `webhook-signature` header of an attempt that starts now: an entry of each key that still signs."""
        timestamp_s = now_ms // 1_000
        valid = [each.key for each in self.keys if each.until_ms is None or now_ms < each.until_ms]
        return " ".join([key.sign(message_id, timestamp_s, body) for key in valid])


class Route(msgspec.Struct, frozen=True):
    """One row of the routing table: events of this source whose type matches this pattern are owed to the endpoint."""

    source: str
    pattern: str

    @property
    def is_glob(self) -> bool:
        return "*" in self.pattern or "?" in self.pattern


def routes(sources: Sequence[str], events: Sequence[str]) -> list[Route]:
    """The routing rows of an endpoint: every source with every pattern, once; an empty list is everything.

    What webhookd itself has to say is of no source that anybody configures: it is asked for by its pattern alone.
    """
    patterns = dict.fromkeys(events or (EVERYTHING,))
    operational = [pattern for pattern in patterns if pattern.startswith(f"{OPERATIONAL}.")]
    others = [pattern for pattern in patterns if not pattern.startswith(f"{OPERATIONAL}.")]
    return [
        *(Route(OPERATIONAL, pattern) for pattern in operational),
        *(Route(source, pattern) for source in dict.fromkeys(sources or (EVERYTHING,)) for pattern in others),
    ]


def check_pattern(pattern: str) -> None:
    """Raises ValueError unless the glob can match an event type: its characters, `*` and `?`."""
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(
            f'"{pattern[:60]}" is not an event glob: letters, digits and . _ - : / with * and ? as wildcards'
        )
