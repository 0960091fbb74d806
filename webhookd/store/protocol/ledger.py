"""What the events say of money."""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from webhookd.core.ledger import Kind
from webhookd.store.protocol.history import Looked


class PaymentRow(msgspec.Struct, frozen=True):
    provider: str
    id: str
    status: str
    """As it stands with its refunds."""
    detail: str | None
    amount: int | None
    currency: str | None
    exponent: int | None
    refunded: int
    reference: str | None
    occurred_at: int | None
    first_event: int
    events: Sequence[str] = ()
    """The ids of the events that spoke of it, in log order; no more than the first hundred."""


class ObjectRow(msgspec.Struct, frozen=True):
    """Whatever the ledger knows that is no payment."""

    provider: str
    kind: Kind
    id: str
    status: str
    detail: str | None
    amount: int | None
    currency: str | None
    exponent: int | None
    payment_id: str | None
    reference: str | None
    occurred_at: int | None
    first_event: int
    events: Sequence[str] = ()
    """As of a payment."""


class LedgerFilter(msgspec.Struct, frozen=True):
    """What a list of the ledger is narrowed by; None means any. Those first heard of last come first."""

    provider: str | None = None
    status: str | None = None
    reference: str | None = None
    payment: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    before: int | None = None
    """The `first_event` of the last row seen."""


class RevenueRow(msgspec.Struct, frozen=True):
    """One currency of one provider on one day."""

    day: int
    """Days since 1970-01-01, UTC."""
    provider: str
    currency: str | None
    exponent: int | None
    gross: int
    refunded: int
    disputed: int
    unreadable: int
    """Payments, refunds and disputes without an amount that could be read: they are missing in the sums."""


class Ledger(Protocol):
    """For `admin`. Every read is one short snapshot, but `revenue`, which is as many as it takes."""

    async def payment(self, provider: str, payment_id: str) -> PaymentRow | None: ...

    async def payments(self, narrowed: LedgerFilter, limit: int) -> Looked[PaymentRow]: ...

    async def objects(self, kind: Kind, narrowed: LedgerFilter, limit: int) -> Looked[ObjectRow]: ...

    async def revenue(self, since_ms: int, until_ms: int) -> Sequence[RevenueRow]:
        """What counted in that time, by day, provider and currency; unsorted."""
        ...


class Payments(Protocol):
    """For `admin`: who waits for a payment."""

    def watch_payments(self, listener: Callable[[str, str], None]) -> None:
        """Call the listener with provider and id of each payment that a commit spoke of, right after it."""
        ...
