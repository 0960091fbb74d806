"""The API's objects of the ledger: payments, what belongs to them, and the revenue."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec

from webhookd.admin.views import PaymentRef
from webhookd.core.identifier import key_ms
from webhookd.core.ledger import SETTLED
from webhookd.core.units import time_text
from webhookd.store.protocol.ledger import ObjectRow, PaymentRow, RevenueRow

By = Literal["day", "month", "provider"]


class Money(msgspec.Struct):
    amount: int | None
    """Smallest units; null when it could not be read, or nobody has said it yet."""
    currency: str | None
    exponent: int | None
    """Digits after the point; null when the provider's for this currency is not known."""


class Payment(msgspec.Struct):
    provider: str
    id: str
    status: str
    detail: str | None
    """The provider's own word for the status."""
    settled: bool
    """Whether a waiting customer has an answer."""
    amount: Money
    refunded: Money
    reference: str | None
    occurred_at: str | None
    first_heard_at: str
    """When the first event came that spoke of it."""
    events: Sequence[str]
    """The ids of the events that spoke of it and are still in the log, in log order; at most the first hundred."""


class LedgerObject(msgspec.Struct):
    provider: str
    id: str
    status: str
    detail: str | None
    amount: Money
    payment: PaymentRef | None
    reference: str | None
    occurred_at: str | None
    first_heard_at: str
    events: Sequence[str]


class Revenue(msgspec.Struct, omit_defaults=True):
    currency: str | None
    exponent: int | None
    gross: int
    refunded: int
    net: int
    disputed: int
    unreadable: int
    """Payments, refunds and disputes that are missing in the sums, for their amount could not be read."""
    day: str | None = None
    month: str | None = None
    provider: str | None = None


def payment_view(row: PaymentRow) -> Payment:
    return Payment(
        provider=row.provider,
        id=row.id,
        status=row.status,
        detail=row.detail,
        settled=row.status in SETTLED,
        amount=Money(row.amount, row.currency, row.exponent),
        refunded=Money(row.refunded, row.currency, row.exponent),
        reference=row.reference,
        occurred_at=time_text(row.occurred_at),
        first_heard_at=time_text(key_ms(row.first_event)),
        events=row.events,
    )


def object_view(row: ObjectRow) -> LedgerObject:
    return LedgerObject(
        provider=row.provider,
        id=row.id,
        status=row.status,
        detail=row.detail,
        amount=Money(row.amount, row.currency, row.exponent),
        payment=PaymentRef(row.provider, row.payment_id) if row.payment_id is not None else None,
        reference=row.reference,
        occurred_at=time_text(row.occurred_at),
        first_heard_at=time_text(key_ms(row.first_event)),
        events=row.events,
    )


_GROUPS: Mapping[By | None, Callable[[RevenueRow], dict[str, str]]] = {
    None: lambda _: {},
    "day": lambda row: {"day": _day(row)},
    "month": lambda row: {"month": _day(row)[:7]},
    "provider": lambda row: {"provider": row.provider},
}
BY: Sequence[By] = tuple(each for each in _GROUPS if each is not None)


def revenue_view(rows: Iterable[RevenueRow], by: By | None) -> list[Revenue]:
    """Summed by currency and what is asked for, in the order of that; days and months are those of UTC."""
    sums: dict[tuple[str, str, int], Revenue] = {}
    for row in rows:
        group = _GROUPS[by](row)
        # A currency that nobody could read comes last; so does an exponent.
        key = next(iter(group.values()), ""), row.currency or "~", 99 if row.exponent is None else row.exponent
        found = sums.setdefault(key, Revenue(row.currency, row.exponent, 0, 0, 0, 0, 0, **group))
        found.gross += row.gross
        found.refunded += row.refunded
        found.net += row.gross - row.refunded
        found.disputed += row.disputed
        found.unreadable += row.unreadable
    return [sums[key] for key in sorted(sums)]


def _day(row: RevenueRow) -> str:
    return datetime.fromtimestamp(row.day * 86_400, UTC).date().isoformat()
