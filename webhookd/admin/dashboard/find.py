"""`/find`: from any id at hand, of a log line or a customer's mail, to the page that shows what it names."""

from collections.abc import Sequence
from urllib.parse import quote

from aiohttp import web

from webhookd.admin.dashboard.frame.render import url
from webhookd.admin.dashboard.frame.visit import Page, Visit
from webhookd.admin.door.reasons import MistakesError, NotFoundError
from webhookd.admin.door.texts import TEXT_CHARS_MAX
from webhookd.core.identifier import UnknownIdError, parse_delivery_id, parse_replay_id
from webhookd.store.protocol.errors import StoreUnavailableError


class Find:
    def pages(self) -> Sequence[Page]:
        return [Page("GET", "/find", self.find)]

    async def find(self, visit: Visit) -> web.StreamResponse:
        text = visit.query.get("q", "").strip()
        if not text:
            return visit.show("event_find.html", text="", why=None)
        if len(text) > TEXT_CHARS_MAX:
            return _nothing(visit, text[:TEXT_CHARS_MAX], "It is longer than any name that is kept.", 422)
        try:
            place = await self._place(visit, text)
        except MistakesError:
            return _nothing(visit, text, "Very many events bear it: narrow the list of events instead.", 422)
        except StoreUnavailableError:
            return _nothing(visit, text, "The store did not answer in time: try again.", 503)
        if place is None:
            return _nothing(visit, text, None, 404)
        return visit.see_other(place)

    async def _place(self, visit: Visit, text: str) -> str | None:
        if (place := await _of_our_own(visit, text)) is not None:
            return place
        found = (await visit.ask("GET /api/v1/events", query={"q": text, "limit": "50"})).data
        payments = {(each.payment.provider, each.payment.id) for each in found if each.payment is not None}
        named = [each for each in found if text in (each.id, each.provider_event_id)]
        if len(found) == 1 and (named or not payments):
            return f"/events/{found[0].id}"
        if len(payments) == 1 and not named:
            [(provider, payment)] = payments
            return f"/payments/{quote(provider, safe='')}/{quote(payment, safe='')}"
        return url("/events", q=text) if found else None


async def _of_our_own(visit: Visit, text: str) -> str | None:
    """A provider's id may look the same: what is not there under it is looked for elsewhere."""
    try:
        if text.startswith("dlv_"):
            parse_delivery_id(text)
            await visit.ask("GET /api/v1/deliveries/{id}", path={"id": text})
            return f"/deliveries/{text}"
        if text.startswith("rpl_"):
            parse_replay_id(text)
            await visit.ask("GET /api/v1/replays/{id}", path={"id": text})
            return f"/replays/{text}"
    except (UnknownIdError, NotFoundError):
        return None
    return None


def _nothing(visit: Visit, text: str, why: str | None, status: int) -> web.Response:
    return visit.show("event_find.html", status=status, text=text, why=why)
