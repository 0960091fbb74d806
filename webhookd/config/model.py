"""Every setting, with its default. `webhookd.toml` at the top of the repository says the same with comments."""

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field

from webhookd.config.outbox_url import OutboxUrl
from webhookd.config.store_url import StoreUrl
from webhookd.config.value import Address, Duration, Patience, Pem, Size
from webhookd.core.address import Network
from webhookd.core.endpoint import EVENTS_MAX, SOURCES_MAX, ClientTls, EndpointSpec, Ordering, SignatureStyle
from webhookd.core.proxy import Proxy
from webhookd.core.rate_limit import RateLimit
from webhookd.core.retry import DEFAULT_SCHEDULE, RetryPolicy
from webhookd.core.secret import Secret
from webhookd.providers.provider import Credentials

Schedule = Annotated[tuple[Duration, ...], Meta(min_length=1, max_length=100)]
OUTBOX_TABLE = "webhookd_outbox"
InFlight = Annotated[int, Meta(ge=1, le=10_000)]


class Server(msgspec.Struct, frozen=True):
    listen: Address = Address("127.0.0.1", 8080)
    admin_listen: Address = Address("127.0.0.1", 8081)
    data_dir: str = "data"
    max_body: Size = Size.parse("1MiB")
    min_free: Size = Size.parse("256MiB")
    role: Literal["all", "receive", "dispatch"] = "all"
    """Of several nodes on one PostgreSQL: what this one does. One that only receives delivers nothing."""
    admin_hosts: tuple[str, ...] = ()
    """Names the admin listener is asked under, beside loopback's and the address it listens on."""


class Store(msgspec.Struct, frozen=True):
    url: StoreUrl = StoreUrl.parse(Secret("sqlite:webhookd.db"))
    key: Secret | None = None
    """None: one is generated, and kept in the data directory. Of PostgreSQL it is never None."""
    old_keys: tuple[Secret, ...] = ()
    checkpoint: Literal["own", "external"] = "own"
    """Who moves the WAL into the database: webhookd, or something that replicates the file, like Litestream."""


class Delivery(msgspec.Struct, frozen=True):
    schedule: Schedule = tuple(map(Duration.parse, DEFAULT_SCHEDULE))
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.2
    timeout: Duration = Duration.parse("15s")
    disable_after: Patience = Patience.parse("5d")
    max_in_flight: InFlight = 256
    allow_networks: tuple[str, ...] = ()
    """As text: "10.0.0.0/8"."""
    proxy: Secret | None = None
    """A URL, which may hold a password."""


class Retention(msgspec.Struct, frozen=True):
    events: Duration = Duration.parse("30d")
    bodies: Duration = Duration.parse("30d")
    dedupe: Duration = Duration.parse("90d")
    """How long the id of an event that said nothing of money is known after it was received."""
    audit: Duration = Duration.parse("365d")


class Tracing(msgspec.Struct, frozen=True):
    otlp: str | None = None
    """Where spans are sent (OTLP over HTTP); None: nowhere."""
    sample: Annotated[float, Meta(ge=0, le=1)] = 1.0


class OutboxSettings(msgspec.Struct, frozen=True):
    """A table that an application writes its events into."""

    url: OutboxUrl
    table: str
    """With its schema, if it is to be: "shop.webhookd_outbox"."""
    is_marked: bool
    """Whether a row stays, with the time that it was taken at."""


class SourceSettings(msgspec.Struct, frozen=True):
    provider: str
    secrets: tuple[Secret, ...] = ()
    scheme: str | None = None
    webhook_id: Secret | None = None
    client_id: Secret | None = None
    client_secret: Secret | None = None
    authorities: str | None = None
    """A file of certificates (PEM)."""
    url: OutboxUrl | None = None
    """Of an outbox: the application's database."""
    table: str | None = None
    taken: Literal["delete", "mark"] | None = None
    """What becomes of a row that is in the log; None: it is deleted."""

    @property
    def credentials(self) -> Credentials:
        return Credentials(
            secrets=self.secrets,
            scheme=self.scheme,
            webhook_id=self.webhook_id,
            client_id=self.client_id,
            client_secret=self.client_secret,
            authorities=Path(self.authorities).read_bytes() if self.authorities else None,
        )

    @property
    def outbox(self) -> OutboxSettings | None:
        """None of a source of hooks."""
        if self.url is None:
            return None
        return OutboxSettings(self.url, self.table or OUTBOX_TABLE, self.taken == "mark")


class EndpointSettings(msgspec.Struct, frozen=True):
    """Where something is None that has a default, the default is that of [delivery]."""

    url: str
    secret: Secret | None = None
    old_secrets: tuple[Secret, ...] = ()
    sources: Annotated[tuple[str, ...], Meta(max_length=SOURCES_MAX)] = ()
    events: Annotated[tuple[str, ...], Meta(max_length=EVENTS_MAX)] = ()
    max_in_flight: InFlight = 8
    rate_limit: RateLimit | None = None
    allow_http: bool = False
    ordering: Ordering = "none"
    signature: SignatureStyle = "standard"
    schedule: Schedule | None = None
    timeout: Duration | None = None
    disable_after: Patience | None = None
    headers: Mapping[str, Secret] = field(default_factory=dict)
    ca: Pem | None = None
    client_certificate: Pem | None = None
    client_key: Secret | None = None

    def spec(self, name: str, defaults: Delivery) -> EndpointSpec:
        disable_after = defaults.disable_after if self.disable_after is None else self.disable_after
        return EndpointSpec(
            name=name,
            url=self.url,
            secret=self.secret,
            old_secrets=self.old_secrets,
            sources=self.sources,
            events=self.events,
            max_in_flight=self.max_in_flight,
            rate_limit=self.rate_limit,
            allow_http=self.allow_http,
            ordering=self.ordering,
            signature=self.signature,
            retry=RetryPolicy(tuple(map(int, self.schedule or defaults.schedule)), defaults.jitter),
            timeout_ms=int(self.timeout or defaults.timeout),
            disable_after_ms=int(disable_after) or None,
            headers=tuple(self.headers.items()),
            tls=self.tls,
        )

    @property
    def tls(self) -> ClientTls | None:
        ca, certificate = (pem.content if pem else None for pem in (self.ca, self.client_certificate))
        return ClientTls(ca, certificate, self.client_key) if ca or certificate else None


class Config(msgspec.Struct, frozen=True):
    server: Server = Server()
    store: Store = Store()
    delivery: Delivery = Delivery()
    retention: Retention = Retention()
    tracing: Tracing = Tracing()
    sources: dict[str, SourceSettings] = field(default_factory=dict)
    endpoints: dict[str, EndpointSettings] = field(default_factory=dict)

    @property
    def data_dir(self) -> Path:
        return Path(self.server.data_dir)

    @property
    def database(self) -> Path:
        """SQLite's file. There is none, and nobody may ask for it, where PostgreSQL keeps the store."""
        assert self.store.url.file is not None
        return self.data_dir / self.store.url.file

    @property
    def allow_networks(self) -> list[Network]:
        return [ip_network(text) for text in self.delivery.allow_networks]

    @property
    def proxy(self) -> Proxy | None:
        return Proxy.parse(self.delivery.proxy.reveal()) if self.delivery.proxy else None

    @property
    def outboxes(self) -> Mapping[str, OutboxSettings]:
        return {name: outbox for name, each in self.sources.items() if (outbox := each.outbox) is not None}

    def endpoint_specs(self) -> list[EndpointSpec]:
        return [settings.spec(name, self.delivery) for name, settings in self.endpoints.items()]
