"""What a client says of an endpoint, described. What judges it, by the configuration too, is `registry.Read`."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from webhookd.core.endpoint import EVENTS_MAX, SOURCES_MAX, Ordering, SignatureStyle
from webhookd.core.signature import SecretKind

Name = Annotated[str, Meta(pattern="^[a-z0-9_-]{1,64}$")]
Secret = Annotated[str, Meta(pattern="^(whsec|whsk)_[A-Za-z0-9+/=_-]+$", examples=["whsec_…"])]
Span = Annotated[str, Meta(pattern="^[0-9]{1,12}(ms|s|m|h|d)$", examples=["15s"])]
Rate = Annotated[str, Meta(pattern="^[0-9]{1,9}/[smh]$", examples=["50/s"])]
Pem = Annotated[str, Meta(min_length=1, description="PEM.")]


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Null: the default."""

    sources: Annotated[Sequence[str], Meta(max_length=SOURCES_MAX)] | None = None
    """Names of sources; none means all."""
    events: Annotated[Sequence[str], Meta(max_length=EVENTS_MAX)] | None = None
    """Globs over event types; none means all."""
    max_in_flight: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    rate_limit: Rate | None = None
    allow_http: bool | None = None
    ordering: Ordering | None = None
    signature: SignatureStyle | None = None
    schedule: Annotated[Sequence[Span], Meta(min_length=1, max_length=100)] | None = None
    """What is waited before attempt 1, 2, …"""
    timeout: Span | None = None
    """Of a whole attempt, 100ms to 5m."""
    disable_after: Span | None = None
    """Failing for so long disables it; "never" for never."""
    headers: Mapping[str, str | None] | None = None
    """Sent with every attempt; in a change, null takes one away."""
    ca: Pem | None = None
    """Certificates to trust instead of the system's."""
    client_certificate: Pem | None = None
    client_key: Pem | None = None


class EndpointChange(EndpointSettings, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A JSON merge patch (RFC 7396): what is not named stays, null takes back to the default."""

    url: str | None = None


class NewEndpoint(EndpointSettings, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    name: Name
    url: Annotated[str, Meta(max_length=2048, examples=["https://shop.example/hooks"])]
    secret: Secret | None = None
    """One is generated, and shown in this answer alone, if none is given."""
    secret_kind: SecretKind = "hmac"  # noqa: S105 - a kind


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    secret: Secret | None = None
    """One is generated, and shown in this answer alone, if none is given."""
    secret_kind: SecretKind = "hmac"  # noqa: S105 - a kind
    """As that of the secret that is replaced, where it is not given."""
    overlap: Span = "24h"
    """So long the one before signs too."""
