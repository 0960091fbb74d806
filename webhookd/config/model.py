"""Every setting, with its default. `webhookd.toml` at the top of the repository says the same with comments."""

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from webhookd.core.endpoint import EndpointSpec
from webhookd.core.retry import DEFAULT_SCHEDULE, RetryPolicy
from webhookd.core.secret import Secret
from webhookd.core.units import duration_ms, size_bytes
from webhookd.providers.provider import Credentials

NAME = re.compile(r"[a-z0-9_-]{1,64}")


class Duration(int):
    """Milliseconds; written "500ms", "5s", "3d"."""

    @classmethod
    def parse(cls, text: str) -> "Duration":
        return cls(duration_ms(text))


class Size(int):
    """Bytes; written "1MiB"."""

    @classmethod
    def parse(cls, text: str) -> "Size":
        return cls(size_bytes(text))


class Address(msgspec.Struct, frozen=True):
    """Where to listen; written "127.0.0.1:8080" or "[::1]:8080". Port 0 takes any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        host, _, port = text.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError(f'"{text[:60]}" is not host:port, like "127.0.0.1:8080" or "[::1]:8080"')
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Server(msgspec.Struct, frozen=True):
    listen: Address = Address("127.0.0.1", 8080)
    admin_listen: Address = Address("127.0.0.1", 8081)
    data_dir: str = "data"
    max_body: Size = Size.parse("1MiB")
    min_free: Size = Size.parse("256MiB")


class Store(msgspec.Struct, frozen=True):
    url: str = "sqlite:webhookd.db"
    key: Secret | None = None
    """What secrets in the store are sealed with; None: the data directory has one of its own."""
    old_keys: tuple[Secret, ...] = ()
    """Keys of before: what they sealed is sealed anew at start."""


class Delivery(msgspec.Struct, frozen=True):
    schedule: Annotated[tuple[Duration, ...], Meta(min_length=1, max_length=100)] = tuple(
        map(Duration.parse, DEFAULT_SCHEDULE)
    )
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.2
    timeout: Duration = Duration.parse("15s")
    max_in_flight: Annotated[int, Meta(ge=1, le=10_000)] = 256
    allow_networks: tuple[str, ...] = ()
    """As text: "10.0.0.0/8"."""


class Retention(msgspec.Struct, frozen=True):
    events: Duration = Duration.parse("30d")
    bodies: Duration = Duration.parse("30d")


class SourceSettings(msgspec.Struct, frozen=True):
    provider: str
    secrets: tuple[Secret, ...] = ()
    scheme: str | None = None
    webhook_id: Secret | None = None
    client_id: Secret | None = None
    client_secret: Secret | None = None
    authorities: str | None = None
    """A file of certificates (PEM)."""

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


class EndpointSettings(msgspec.Struct, frozen=True):
    url: str
    secret: Secret | None = None
    sources: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    max_in_flight: Annotated[int, Meta(ge=1, le=10_000)] = 8
    allow_http: bool = False


class Config(msgspec.Struct, frozen=True):
    server: Server = Server()
    store: Store = Store()
    delivery: Delivery = Delivery()
    retention: Retention = Retention()
    sources: dict[str, SourceSettings] = field(default_factory=dict)
    endpoints: dict[str, EndpointSettings] = field(default_factory=dict)

    @property
    def data_dir(self) -> Path:
        return Path(self.server.data_dir)

    @property
    def database(self) -> Path:
        return self.data_dir / self.store.url.removeprefix("sqlite:")  # a plain file name: the lock is the directory's

    @property
    def allow_networks(self) -> list[IPv4Network | IPv6Network]:
        return [ip_network(text) for text in self.delivery.allow_networks]

    @property
    def retry(self) -> RetryPolicy:
        return RetryPolicy(tuple(map(int, self.delivery.schedule)), self.delivery.jitter)

    def endpoint_specs(self) -> list[EndpointSpec]:
        return [
            EndpointSpec(
                name=name,
                url=settings.url,
                secret=settings.secret,
                sources=settings.sources,
                events=settings.events,
                max_in_flight=settings.max_in_flight,
                allow_http=settings.allow_http,
                retry=self.retry,
            )
            for name, settings in self.endpoints.items()
        ]


NOT_YET = {
    "endpoints": {"rate_limit", "ordering", "signature"},
}
"""Settings that are reserved for a coming version: refused, not ignored."""


def shown(value: Any) -> Any:
    """The configuration as plain values that may be printed: secrets masked, durations and sizes as numbers."""
    match value:
        case Secret():
            return value.shown
        case Address():
            return str(value)
        case msgspec.Struct():
            return {name: shown(getattr(value, name)) for name in value.__struct_fields__}
        case dict():
            return {name: shown(each) for name, each in value.items()}
        case tuple() | list():
            return [shown(each) for each in value]
        case Duration():
            return f"{int(value)}ms"
        case Size():
            return f"{int(value)}B"
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return str(value)
