"""The ledger's part of the API: payments, one of them waited for, all else the ledger knows, and the revenue."""

import resource
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal

import msgspec

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.door.pages import Page, Paged, Pages
from webhookd.admin.door.reasons import Mistake, MistakesError, NotFoundError
from webhookd.admin.door.texts import Currency, Instant, PayerName, Text, Wait
from webhookd.admin.ledger_views import By, LedgerObject, Payment, Revenue, object_view, payment_view, revenue_view
from webhookd.admin.takings import Takings
from webhookd.admin.waiting import WAITING_MAX, Lookout
from webhookd.clock import Clock
from webhookd.core.event import is_name
from webhookd.core.ledger import LISTS, RANKS, Kind
from webhookd.core.money import EXPONENTS
from webhookd.core.units import time_text
from webhookd.store.protocol.ledger import Ledger, LedgerFilter, Payments

Handler = Callable[[Asked[Any, Nothing]], Awaitable[Page[LedgerObject]]]


class LedgerQuery(Paged, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Those first heard of last come first."""

    provider: PayerName | None = None
    reference: Text | None = None
    """The merchant's own, or the id."""
    since: Instant | None = None
    """First heard of then or later."""
    until: Instant | None = None
    """First heard of before."""


class ObjectsQuery(LedgerQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    payment: Text | None = None
    """The id of the payment they belong to."""


class PaymentQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    wait: Wait | None = None
    """Answer when the payment settles, or after so long with what is known then."""


class RevenueQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    since: Instant | None = None
    until: Instant | None = None
    """Now, where it is not given."""
    by: By | None = None
    """A row for each; days and months are those of UTC."""
    currency: Currency | None = None
    provider: PayerName | None = None
    max_age: Wait | None = None
    """What was counted so long ago will do, where there is much to count; without it, it is counted now."""


class RevenueRows(msgspec.Struct):
    data: Sequence[Revenue]
    as_of: str
    """When it was counted."""


class LedgerApi:
    def __init__(self, ledger: Ledger, payments: Payments, clock: Clock, pages: Pages) -> None:
        self._ledger = ledger
        self._pages = pages
        self._clock = clock
        self._takings = Takings(ledger, clock)
        # A connection each; the rest of the descriptors is for hooks and deliveries.
        files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._lookout = Lookout(ledger, payments, clock, min(WAITING_MAX, files_max // 3))

    def operations(self) -> Sequence[Operation]:
        return [
            Operation(
                "GET",
                "/api/v1/payments",
                self.payments,
                "List payments",
                Page[Payment],
                query=_with_status("PaymentsQuery", LedgerQuery, "payment"),
            ),
            Operation(
                "GET",
                "/api/v1/payments/{provider:[^/]+}/{id:[^/]+}",
                self.payment,
                "A payment, waited for if you like",
                Payment,
                query=PaymentQuery,
                problems=[404],
                detail="An id that nobody has spoken of is waited for too; then it is 404.",
            ),
            Operation(
                "GET", "/api/v1/revenue", self.revenue, "What was earned, per currency", RevenueRows, query=RevenueQuery
            ),
            *(
                Operation(
                    "GET",
                    f"/api/v1/{name}",
                    self._objects(kind),
                    f"List {name.replace('-', ' ')}",
                    Page[LedgerObject],
                    query=_with_status(f"{kind.title().replace('_', '')}sQuery", ObjectsQuery, kind),
                )
                for name, kind in LISTS.items()
            ),
        ]

    def close(self) -> None:
        """Answer those who wait; nobody waits from now on."""
        self._lookout.close()

    async def payments(self, asked: Asked[Any, Nothing]) -> Page[Payment]:
        found = await self._ledger.payments(_filter(asked.query, self._pages.after(asked)), asked.query.limit)
        return self._pages.looked(asked, [payment_view(row) for row in found.rows], found.then)

    async def payment(self, asked: Asked[PaymentQuery, Nothing]) -> Payment:
        provider, payment_id = asked.path["provider"], asked.path["id"]
        if provider not in EXPONENTS or not is_name(payment_id):
            raise NotFoundError  # nobody will ever speak of it
        if asked.query.wait:
            row = await self._lookout.settled(provider, payment_id, asked.query.wait / 1_000)
        else:
            row = await self._ledger.payment(provider, payment_id)
        if row is None:
            raise NotFoundError
        return payment_view(row)

    def _objects(self, kind: Kind) -> Handler:
        async def objects(asked: Asked[Any, Nothing]) -> Page[LedgerObject]:
            found = await self._ledger.objects(kind, _filter(asked.query, self._pages.after(asked)), asked.query.limit)
            return self._pages.looked(asked, [object_view(row) for row in found.rows], found.then)

        return objects

    async def revenue(self, asked: Asked[RevenueQuery, Nothing]) -> RevenueRows:
        query = asked.query
        since_ms = query.since or 0
        if since_ms > (self._clock.now_ms() + 1 if query.until is None else query.until):
            raise MistakesError([Mistake("since", "must not be after until, which is now where it is not given")])
        counted = await self._takings.counted(since_ms, query.until, (query.max_age or 0) / 1_000)
        rows = [
            row
            for row in counted.rows
            if query.provider in (None, row.provider) and query.currency in (None, row.currency)
        ]
        return RevenueRows(revenue_view(rows, query.by), time_text(counted.at_ms))


def _with_status(name: str, query: type[LedgerQuery], kind: Kind) -> type[msgspec.Struct]:
    """The query of a list whose objects may stand like this."""
    statuses: Any = Literal[tuple(RANKS[kind])]
    return msgspec.defstruct(
        name, [("status", statuses | None, None)], bases=(query,), frozen=True, kw_only=True, forbid_unknown_fields=True
    )


def _filter(query: Any, after: tuple[int, ...] | None) -> LedgerFilter:
    return LedgerFilter(
        provider=query.provider,
        status=query.status,
        reference=query.reference,
        payment=query.payment if isinstance(query, ObjectsQuery) else None,
        since_ms=query.since,
        until_ms=query.until,
        before=after[0] if after else None,
    )
