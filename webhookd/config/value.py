"""The kinds of value that a setting may have, as they are written and as they are shown."""

from typing import Any

import msgspec

from webhookd.config.outbox_url import OutboxUrl
from webhookd.config.store_url import StoreUrl
from webhookd.core.rate_limit import RateLimit
from webhookd.core.secret import Secret
from webhookd.core.units import duration_exactly, duration_ms, size_bytes, size_exactly


class Duration(int):
    """Milliseconds; written "500ms", "5s", "3d"."""

    @classmethod
    def parse(cls, text: str) -> "Duration":
        return cls(duration_ms(text))


class Patience(Duration):
    """Milliseconds after which somebody gives up; "never" is 0."""

    @classmethod
    def parse(cls, text: str) -> "Patience":
        if text == "never":
            return cls(0)
        if not (span := cls(duration_ms(text))):
            raise ValueError('must be longer than 0, or "never"')
        return span


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
        if not host or not host.isprintable() or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError(f'"{text[:60]}" is not host:port, like "127.0.0.1:8080" or "[::1]:8080"')
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Pem(msgspec.Struct, frozen=True):
    """Certificates; written as the name of their file."""

    content: bytes
    shown: str


PARSED = (Duration, Patience, Size, Address, RateLimit)
"""Written as text that their `parse` understands."""


def shown(value: Any) -> Any:
    """The configuration as plain values that may be printed: secrets masked, all else as it may be written."""
    match value:
        case Secret() | Pem() | StoreUrl() | OutboxUrl():
            return value.shown
        case Address() | RateLimit():
            return str(value)
        case msgspec.Struct():
            return {name: shown(getattr(value, name)) for name in value.__struct_fields__}
        case dict():
            return {name: shown(each) for name, each in value.items()}
        case tuple() | list():
            return [shown(each) for each in value]
        case Patience() if not value:
            return "never"
        case Duration():
            return duration_exactly(value)
        case Size():
            return size_exactly(value)
        case bool() | int() | float() | str() | None:
            return value
        case _:
            return str(value)
