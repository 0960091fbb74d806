"""The seam to the store where deliveries that were given up are counted and found by the reason."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from webhookd.store.protocol.history import DeliveryRow, Filter, Looked

COUNTED_MAX = 500_000
"""Deliveries that one read counts, all reasons together: rows of an index, ten million a second."""
COUNTED_MIN = 10_000
"""Of each reason so many are counted at least, whatever the others took."""


class Reason(msgspec.Struct, frozen=True):
    """Why some deliveries to an endpoint were given up: what their last attempt found."""

    error: str | None
    """A core.delivery.FailureWord; or what an earlier release said in its place."""
    status: int | None
    deliveries: int
    is_exact: bool
    """False: there are more."""
    oldest: int
    """The key of the oldest event among them, …"""
    newest: int
    """… and of the newest."""


class DeadOfEndpoint(msgspec.Struct, frozen=True):
    number: int
    name: str
    in_service: bool
    """Nothing can be sent to one that was removed."""
    reasons: Sequence[Reason]
    """The one with the most deliveries first."""


class DeadLetters(Protocol):
    """For `admin`. Every read is one short snapshot, from an index that holds nothing else."""

    async def by_reason(self, after: int, limit: int, name: str | None = None) -> Sequence[DeadOfEndpoint]:
        """Endpoints by number, from the one after this number on, that have any; or the one of this name."""
        ...

    async def deliveries(self, narrowed: Filter, limit: int) -> Looked[DeliveryRow]:
        """Those that match, newest event first. What is dead for a rare reason is found as fast as for another."""
        ...
