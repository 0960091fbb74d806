"""The ledger's part of the API: payments, one of them waited for, all else the ledger knows, and the revenue."""

import resource
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web

from webhookd.admin.answers import NotFoundError, json_answer
from webhookd.admin.ledger_views import BY, object_view, payment_view, revenue_view
from webhookd.admin.list_query import QueryError, ledger_filter, one_of, refuse_unknown, time_ms
from webhookd.admin.views import Page, cursor_text
from webhookd.admin.waiting import WAITING_MAX, Lookout
from webhookd.clock import Clock
from webhookd.core.event import is_name
from webhookd.core.ledger import LISTS, RANKS, Kind
from webhookd.core.money import EXPONENTS
from webhookd.core.units import duration_ms
from webhookd.store.protocol import Ledger, Payments

WAIT_S_MAX = 60
Handler = Callable[[web.Request], Awaitable[web.Response]]


class LedgerApi:
    def __init__(self, ledger: Ledger, payments: Payments, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        # A connection each; the rest of the descriptors is for hooks and deliveries.
        files_max, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._lookout = Lookout(ledger, payments, clock, min(WAITING_MAX, files_max // 3))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/payments", self.payments),
            web.get("/api/v1/payments/{provider:[^/]+}/{id:[^/]+}", self.payment),
            web.get("/api/v1/revenue", self.revenue),
            *(web.get(f"/api/v1/{name}", self._objects(kind)) for name, kind in LISTS.items()),
        ]

    def close(self) -> None:
        """Answer those who wait; nobody waits from now on."""
        self._lookout.close()

    async def payments(self, request: web.Request) -> web.Response:
        narrowed, limit = ledger_filter(request.query, (), RANKS["payment"])
        rows = await self._ledger.payments(narrowed, limit)
        cursor = cursor_text(rows[-1].first_event) if len(rows) == limit else None
        return json_answer(Page([payment_view(row) for row in rows], cursor))

    async def payment(self, request: web.Request) -> web.Response:
        refuse_unknown(request.query, {"wait"})
        wait_s = _wait_s(request.query)
        provider, payment_id = request.match_info["provider"], request.match_info["id"]
        if provider not in EXPONENTS or not is_name(payment_id):
            raise NotFoundError  # nobody will ever speak of it
        if wait_s:
            row = await self._lookout.settled(provider, payment_id, wait_s)
        else:
            row = await self._ledger.payment(provider, payment_id)
        if row is None:
            raise NotFoundError
        return json_answer(payment_view(row))

    def _objects(self, kind: Kind) -> Handler:
        async def objects(request: web.Request) -> web.Response:
            narrowed, limit = ledger_filter(request.query, {"payment"}, RANKS[kind])
            rows = await self._ledger.objects(kind, narrowed, limit)
            cursor = cursor_text(rows[-1].first_event) if len(rows) == limit else None
            return json_answer(Page([object_view(row) for row in rows], cursor))

        return objects

    async def revenue(self, request: web.Request) -> web.Response:
        query = request.query
        refuse_unknown(query, {"since", "until", "by", "currency", "provider"})
        provider = one_of(query, "provider", EXPONENTS)
        by = one_of(query, "by", BY)
        since_ms, until_ms = time_ms(query, "since") or 0, time_ms(query, "until")
        if until_ms is None:
            until_ms = self._clock.now_ms() + 1
        if since_ms > until_ms:
            raise QueryError("since must not be after until, which is now where it is not given")
        currency = query.get("currency", "").upper()
        if "currency" in query and not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
            raise QueryError("currency must be three letters, like EUR")
        rows = [
            row
            for row in await self._ledger.revenue(since_ms, until_ms)
            if provider in (None, row.provider) and (currency or row.currency) == row.currency
        ]
        return json_answer({"data": revenue_view(rows, by)})


def _wait_s(query: Mapping[str, str]) -> float:
    try:
        wait_s = duration_ms(query.get("wait", "0s")) / 1_000
    except ValueError as error:
        raise QueryError(f"wait: {error}") from None
    if wait_s > WAIT_S_MAX:
        raise QueryError(f"wait must be at most {WAIT_S_MAX}s")
    return wait_s
