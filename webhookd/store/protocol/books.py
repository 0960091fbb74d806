"""The seam to the store where a provider's own export is compared with the log."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec


class Name(NamedTuple):
    """What an event of an export may be known by in the log."""

    provider_event_id: str
    alias: str | None = None


class Known(msgspec.Struct, frozen=True):
    """An event in the log, or what retention has left of it."""

    key: int
    salt: int
    provider_event_id: str
    type: str
    sha256: bytes
    occurred_at: int | None
    payment_id: str | None
    kind: str | None
    object_id: str | None
    status: str | None
    amount: int | None
    currency: str | None
    is_past: bool


class Books(Protocol):
    """For `admin`. Every read is one short snapshot."""

    async def known(self, source: str, names: Sequence[Name]) -> Sequence[Known | None]:
        """Each in its place, by its own id or by its alias."""
        ...

    async def alike(
        self, source: str, event_type: str, payment_id: str | None, object_id: str | None
    ) -> Sequence[Known]:
        """Events of this type that are about this payment or object; no more than a few."""
        ...

    async def body(self, key: int) -> bytes | None: ...
