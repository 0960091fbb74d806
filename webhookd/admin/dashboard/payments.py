"""Payments and all else that the ledger keeps: lists, and a payment with its history, event by event."""

from collections.abc import Sequence

from aiohttp import web

from webhookd.admin.dashboard.filters import filled_in
from webhookd.admin.dashboard.frame.render import segment
from webhookd.admin.dashboard.frame.visit import Page, Visit
from webhookd.admin.dashboard.listing import clean, fresh_s, listed
from webhookd.admin.dashboard.payment_words import why, words
from webhookd.admin.door.reasons import MistakesError, NotFoundError
from webhookd.admin.door.texts import PAYER_NAMES
from webhookd.admin.ledger_views import Payment
from webhookd.clock import Clock
from webhookd.core.ledger import LISTS, RANKS

TABS = {"payments": "/payments", "revenue": "/revenue", **{name: f"/ledger/{name}" for name in LISTS}}
_OF_A_PAYMENT = ("refunds", "disputes", "orders", "invoices", "payment-links", "subscriptions", "transfers")
_OTHERS_MAX = 5
FRESH_S_MIN = 2


class Payments:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def pages(self) -> Sequence[Page]:
        return [
            Page("GET", "/payments", self.payments),
            Page("GET", "/payments/{provider:[^/]+}/{id:[^/]+}", self.payment),
            Page("GET", "/ledger/{list}", self.objects),
        ]

    async def payments(self, visit: Visit) -> web.StreamResponse:
        return await self._list(visit, "payments")

    async def objects(self, visit: Visit) -> web.StreamResponse:
        if visit.path["list"] not in LISTS:
            raise NotFoundError
        return await self._list(visit, visit.path["list"])

    async def _list(self, visit: Visit, name: str) -> web.StreamResponse:
        if (cleaned := clean(visit)) is not None:
            return visit.see_other(cleaned)
        began, kind = self._clock.monotonic(), LISTS.get(name, "payment")
        found = await listed(visit, f"GET /api/v1/{name}")
        is_search = kind == "payment" and "reference" in visit.query and "cursor" not in visit.query
        if is_search and len(found.rows) == 1:
            return visit.see_other(path_of(found.rows[0].provider, found.rows[0].id))
        return visit.show(
            "payments.html" if kind == "payment" else "ledger.html",
            status=found.status,
            found=found,
            fresh_s=fresh_s(self._clock.monotonic() - began, FRESH_S_MIN),
            given=filled_in(visit.query),
            path=TABS[name],
            name=name,
            kind=kind,
            tabs=TABS,
            statuses=list(RANKS[kind]),
            providers=PAYER_NAMES,
            words=words,
        )

    async def payment(self, visit: Visit) -> web.StreamResponse:
        provider, payment_id = visit.path["provider"], visit.path["id"]
        path = {"provider": provider, "id": payment_id}
        try:
            payment = await visit.ask("GET /api/v1/payments/{provider:[^/]+}/{id:[^/]+}", path=path)
            history = await visit.ask("GET /api/v1/payments/{provider:[^/]+}/{id:[^/]+}/history", path=path)
        except NotFoundError:
            others = await _others(visit, payment_id)
            return visit.show(
                "payment_unknown.html",
                status=404,
                provider=provider,
                id=payment_id,
                is_provider=provider in PAYER_NAMES,
                others=others,
            )
        belongings = {}
        for name in _OF_A_PAYMENT:
            query = {"payment": payment_id, "provider": provider}
            page = await visit.ask(f"GET /api/v1/{name}", query=query)
            if page.data:
                belongings[name] = page
        return visit.show(
            "payment.html", payment=payment, history=history, belongings=belongings, why=why, words=words, kinds=LISTS
        )


def path_of(provider: str, payment_id: str) -> str:
    """The page of a payment, whatever its id is made of."""
    return f"/payments/{provider}/{segment(payment_id)}"


async def _others(visit: Visit, name: str) -> Sequence[Payment]:
    """Payments that have this as a reference, or as their id at another provider."""
    try:
        query = {"reference": name, "limit": str(_OTHERS_MAX)}
        found: Sequence[Payment] = (await visit.ask("GET /api/v1/payments", query=query)).data
    except MistakesError:
        return ()
    return found
