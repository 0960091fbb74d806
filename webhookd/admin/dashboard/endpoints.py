"""Endpoints: how each is doing, and what can be done about it."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from msgspec import UNSET
from multidict import MultiDict

from webhookd.admin.dashboard.attempts import answer_text
from webhookd.admin.dashboard.charts import bar_chart
from webhookd.admin.dashboard.endpoint_settings import SettingsPages, configured, path_of
from webhookd.admin.dashboard.endpoint_words import WHY, Tried, address, attempts, failed, health
from webhookd.admin.dashboard.frame.visit import Page, Visit
from webhookd.admin.door.pages import Page as ApiPage
from webhookd.admin.door.reasons import Mistake, MistakesError, NotFoundError
from webhookd.admin.endpoint_views import EndpointView
from webhookd.admin.endpoints import PingView
from webhookd.admin.remedy import remedy
from webhookd.core.endpoint import ENDPOINT_STATES

API = "/api/v1/endpoints"


class Endpoints:
    def pages(self) -> Sequence[Page]:
        one = "/endpoints/{name}"
        return [
            Page("GET", "/endpoints", self.list),
            *SettingsPages().pages(),
            Page("GET", one, self.show),
            Page("GET", f"{one}/", self.show),  # of one whose name is "new"
            Page("POST", f"{one}/pause", _standing("pause", "is paused: what it is owed waits"), "admin"),
            Page("POST", f"{one}/resume", _standing("resume", "goes on, with its failures forgotten"), "admin"),
            Page("GET", f"{one}/ping", self.offer_ping, "admin"),
            Page("POST", f"{one}/ping", self.ping, "admin"),
        ]

    async def list(self, visit: Visit) -> web.StreamResponse:
        mistakes: Sequence[Mistake] = ()
        found: ApiPage[EndpointView] = ApiPage([], None)
        try:
            found = await visit.ask(
                f"GET {API}", query=MultiDict((name, value) for name, value in visit.query.items() if value)
            )
        except MistakesError as error:
            mistakes = error.mistakes
        return visit.show(
            "endpoints.html",
            status=422 if mistakes else 200,
            mistakes=mistakes,
            rows=[(each, health(await _minutes(visit, each.name))) for each in found.data],
            next_cursor=found.next_cursor,
            states=ENDPOINT_STATES,
            why=WHY,
            address=address,
            failed=failed,
            path_of=path_of,
        )

    async def show(self, visit: Visit) -> web.StreamResponse:
        view = await _view(visit)
        minutes = await _minutes(visit, view.name)
        return visit.show(
            "endpoint.html",
            each=view,
            chart=bar_chart(
                "Attempts a minute, of the last hour",
                [each.at[11:16] for each in minutes],
                attempts(minutes),
                of="Minute (UTC)",
            ),
            path=path_of(view.name),
            address=address(view.url),
            why=WHY,
            failed=failed,
            remedy=None if view.last_failure is None else remedy(view.last_failure.error, view.last_failure.status),
            failed_event=await _event_of_failure(visit, view),
            configured=configured(view),
            is_known=view.secrets is not UNSET,
            mistakes=() if view.mistakes is UNSET else view.mistakes,
        )

    async def offer_ping(self, visit: Visit) -> web.StreamResponse:
        view = await _view(visit)
        return _pinged(visit, view, None)

    async def ping(self, visit: Visit) -> web.StreamResponse:
        """It is shown at once, and nowhere kept."""
        found = await visit.ask(f"POST {API}/{{name}}/ping", path=visit.path)
        return _pinged(visit, await _view(visit), found)


def _pinged(visit: Visit, view: EndpointView, found: PingView | None) -> web.StreamResponse:
    return visit.show(
        "endpoint_ping.html",
        each=view,
        path=path_of(view.name),
        address=address(view.url),
        found=found,
        answer="" if found is None else answer_text(found.response),
        failed=failed,
        remedy=None if found is None or found.error is None else remedy(found.error, found.status),
    )


def _standing(what: str, said: str) -> Callable[[Visit], Awaitable[web.StreamResponse]]:
    async def stand(visit: Visit) -> web.StreamResponse:
        view = await visit.ask(f"POST {API}/{{name}}/{what}", path=visit.path)
        return visit.see_other(path_of(view.name), f"{view.name} {said}.")

    return stand


async def _view(visit: Visit) -> EndpointView:
    """Raises NotFoundError."""
    view: EndpointView = await visit.ask(f"GET {API}/{{name}}", path=visit.path)
    return view


async def _minutes(visit: Visit, name: str) -> Sequence[Tried]:
    """Of one that is in service."""
    try:
        pulse = await visit.ask(f"GET {API}/{{name}}/pulse", path={"name": name})
    except NotFoundError:
        return ()
    minutes: Sequence[Tried] = pulse.minutes
    return minutes


async def _event_of_failure(visit: Visit, view: EndpointView) -> str | None:
    """None, too, when retention has taken it out since."""
    if view.last_failure is None:
        return None
    try:
        delivery = await visit.ask("GET /api/v1/deliveries/{id}", path={"id": view.last_failure.delivery_id})
    except (NotFoundError, web.HTTPGone):
        return None
    event: str = delivery.event_id
    return event
