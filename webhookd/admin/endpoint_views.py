"""An endpoint as the API shows it: as it stands, what it is owed, and what was asked for. Secrets are never in it."""

from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET, UnsetType

from webhookd.admin.door.reasons import Mistake
from webhookd.admin.registry import LaneView, LastFailure
from webhookd.core.breaker import BreakerState
from webhookd.core.endpoint import Endpoint, EndpointKey, EndpointState, ManagedBy
from webhookd.core.signature import AsymmetricKey, SecretKind
from webhookd.core.units import duration_exactly, time_text
from webhookd.store.protocol.endpoints import EndpointRow

MASKED = "********"


class SigningSecret(msgspec.Struct):
    kind: SecretKind
    public_key: str | None
    """Of ed25519: what the merchant checks with."""
    since: str | None
    """When it began to sign. Null: it is written in the configuration."""
    until: str | None
    """Of one that was replaced: when it stops signing."""


class LastFailureView(msgspec.Struct):
    at: str
    status: int | None
    """None: there was no answer."""
    error: str
    """As of an attempt."""
    delivery_id: str


class EndpointView(msgspec.Struct):
    name: str
    url: str
    state: EndpointState
    why: str | None
    """Of one that is not active: operator, gone, failing, removed; settings, when those have to be put right."""
    managed_by: ManagedBy
    breaker: BreakerState
    retry_at: str | None
    """When an open breaker lets the next attempt through."""
    failing_since: str | None
    in_flight: int
    in_flight_limit: int | None
    """`max_in_flight`, or less while the endpoint recovers; None when nothing is delivered to it."""
    backlog: int
    dead: int
    oldest_pending_at: str | None
    created_at: str
    last_failure: LastFailureView | None
    """The last attempt that failed since the start of the daemon, which remembers it in memory alone. Null: none has,
    or nothing is delivered to it."""
    # From here on only where an endpoint is looked at closely, and is in service.
    sources: Sequence[str] | UnsetType = UNSET
    """Empty means all."""
    events: Sequence[str] | UnsetType = UNSET
    """Empty means all."""
    max_in_flight: int | UnsetType = UNSET
    rate_limit: str | UnsetType | None = UNSET
    ordering: str | UnsetType = UNSET
    signature: str | UnsetType = UNSET
    schedule: Sequence[str] | UnsetType = UNSET
    timeout: str | UnsetType = UNSET
    disable_after: str | UnsetType = UNSET
    allow_http: bool | UnsetType = UNSET
    headers: Mapping[str, str] | UnsetType = UNSET
    """Their values are masked."""
    has_ca: bool | UnsetType = UNSET
    has_client_certificate: bool | UnsetType = UNSET
    secrets: Sequence[SigningSecret] | UnsetType = UNSET
    """Newest first."""
    secret: str | UnsetType = UNSET
    """Once: in the answer to the request that had it generated."""
    held: int | UnsetType = UNSET
    """Once: in the answer to adding it anew; deliveries that were held since it was removed, and go to it now."""
    mistakes: Sequence[Mistake] | UnsetType = UNSET
    """Why its settings cannot be used."""


def endpoint_view(row: EndpointRow, lane: LaneView | None, mistakes: Sequence[Mistake] | None = None) -> EndpointView:
    """`lane` is None when nothing is delivered to it."""
    breaker, retry_at = (lane.breaker, lane.retry_at) if lane else (row.health.breaker, row.health.retry_at)
    return EndpointView(
        name=row.name,
        url=row.url,
        state="disabled" if mistakes else row.state,
        why="settings" if mistakes else row.why,
        managed_by=row.managed_by,
        breaker=breaker,
        retry_at=time_text(retry_at) if breaker == "open" else None,
        failing_since=time_text(lane.failing_since if lane else row.health.failing_since),
        in_flight=lane.in_flight if lane else 0,
        in_flight_limit=lane.limit if lane else None,
        backlog=row.pending,
        dead=row.dead,
        oldest_pending_at=time_text(row.oldest_pending_at),
        created_at=time_text(row.created_at),
        last_failure=_last_failure(lane.last_failure) if lane and lane.last_failure else None,
        mistakes=mistakes or UNSET,
    )


def look_closely(view: EndpointView, endpoint: Endpoint, now_ms: int) -> EndpointView:
    """The same with what was asked for, as it would be asked for; what nobody gave are the defaults."""
    spec = endpoint.spec
    view.sources, view.events = spec.sources, spec.events
    view.max_in_flight = spec.max_in_flight
    view.rate_limit = None if spec.rate_limit is None else str(spec.rate_limit)
    view.ordering, view.signature = spec.ordering, spec.signature
    view.schedule = [duration_exactly(wait_ms) for wait_ms in spec.retry.waits_ms]
    view.timeout = duration_exactly(spec.timeout_ms)
    view.disable_after = "never" if spec.disable_after_ms is None else duration_exactly(spec.disable_after_ms)
    view.allow_http = spec.allow_http
    view.headers = {name: MASKED for name, _ in spec.headers}
    view.has_ca = spec.tls is not None and spec.tls.ca is not None
    view.has_client_certificate = spec.tls is not None and spec.tls.certificate is not None
    view.secrets = [_secret(each) for each in endpoint.keys if each.until_ms is None or now_ms < each.until_ms]
    return view


def _last_failure(failed: LastFailure) -> LastFailureView:
    return LastFailureView(time_text(failed.at), failed.status, failed.error, failed.key.id)


def _secret(signing: EndpointKey) -> SigningSecret:
    since, until = time_text(signing.since_ms), time_text(signing.until_ms)
    if isinstance(signing.key, AsymmetricKey):
        return SigningSecret("ed25519", signing.key.public, since, until)
    return SigningSecret("hmac", None, since, until)
