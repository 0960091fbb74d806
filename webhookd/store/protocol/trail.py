"""The seam to the store where the audit trail is kept, and the deed that is being done: who changes what, and how.

A deed is put on record in the transaction of the change it makes. For that nobody has to do anything: whoever carries a
request out sets `current_deed`, and the store looks there before each change.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Protocol

import msgspec

BY_ITSELF = "webhookd"
"""The actor of what webhookd does without being asked."""


class Deed:
    """What somebody does. It leaves one row, however many changes it takes, and none when it changes nothing."""

    __slots__ = ("action", "actor", "address", "at_ms", "detail", "is_over", "recorded_by", "subject")

    def __init__(
        self,
        at_ms: int,
        actor: str,
        action: str,
        *,
        address: str | None = None,
        subject: str | None = None,
        detail: str | None = None,
    ) -> None:
        self.at_ms, self.actor, self.action = at_ms, actor, action
        self.address, self.subject, self.detail = address, subject, detail
        self.recorded_by: object = None
        """The change whose transaction holds the row; the store's own affair."""
        self.is_over = False
        """What is begun from here on, however it came about, is not part of it."""


current_deed: ContextVar[Deed | None] = ContextVar("current_deed", default=None)


class AuditRow(msgspec.Struct, frozen=True):
    number: int
    at: int
    actor: str
    address: str | None
    action: str
    subject: str | None
    detail: str | None
    """JSON."""


class TrailFilter(msgspec.Struct, frozen=True):
    """None means any."""

    actor: str | None = None
    action: str | None = None
    """A glob."""
    subject: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    below: int | None = None


class Trail(Protocol):
    """For `admin`."""

    async def record(self, deed: Deed) -> None:
        """Put a deed on record that changed nothing in the store, unless it is there. A crash leaves the row or not."""
        ...

    async def list(self, narrowed: TrailFilter, limit: int) -> Sequence[AuditRow]:
        """Newest first."""
        ...
