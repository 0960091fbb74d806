"""The log: what came in, what became of it, and one event with all that was made of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from aiohttp import web

from webhookd.admin.dashboard.advised import advised
from webhookd.admin.dashboard.attempts import ANSWER_CHARS, owed
from webhookd.admin.dashboard.curl import curl, signed_until_ms, url_mistake
from webhookd.admin.dashboard.frame.visit import Page, Visit
from webhookd.admin.dashboard.listing import FRESH_S_MIN, clean, fresh_s, listed, ranges
from webhookd.admin.dashboard.masking import by_check_digits
from webhookd.admin.dashboard.payload import shown, visible
from webhookd.admin.door.reasons import NotFoundError
from webhookd.admin.door.texts import PAYER_NAMES
from webhookd.admin.views import Delivery, Event
from webhookd.clock import Clock
from webhookd.core.event import EVENT_STATES, IMPORTED, OPERATIONAL, PUBLISHED
from webhookd.core.story import Story
from webhookd.core.story_words import words
from webhookd.core.units import time_text

ROWS = 50
DELIVERIES_MAX = 100
"""Of an event, so many are shown with their attempts, what needs somebody first: thousands may ask for it."""
SETTLED_FRESH_S = 10
"""So often is an event looked at again of which nothing is pending."""
LOCAL = "http://127.0.0.1:8080/webhooks/{}"
"""Where `copy as curl` goes unless told otherwise: a webhookd that runs here."""
LOCAL_APP = "http://127.0.0.1:3000/webhooks"
"""The same of what no provider has sent."""


class Events:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def pages(self) -> Sequence[Page]:
        one = "/events/{id}"
        return [
            Page("GET", "/events", self.list),
            Page("GET", one, self.show),
            Page("GET", f"{one}/body", self.download),
            Page("POST", f"{one}/replay", self.replay, "replay"),
        ]

    async def list(self, visit: Visit) -> web.StreamResponse:
        if (cleaned := clean(visit)) is not None:
            return visit.see_other(cleaned)
        began = self._clock.monotonic()
        more = {"limit": str(ROWS), "delivery_states": "true"}
        found = await listed(visit, "GET /api/v1/events", "live", "delivery_states", **more)
        may_be_live = found.status == 200 and not visit.query.keys() & {"cursor", "until", "after"}
        return visit.show(
            "events.html",
            status=found.status,
            found=found,
            sources=[each.name for each in (await visit.ask("GET /api/v1/sources")).data] + [PUBLISHED, OPERATIONAL],
            providers=[*PAYER_NAMES, OPERATIONAL],
            states=EVENT_STATES,
            ranges=ranges(visit, time_text(self._clock.now_ms())),
            may_be_live=may_be_live,
            fresh_s=fresh_s(self._clock.monotonic() - began),
        )

    async def show(self, visit: Visit) -> web.StreamResponse:
        began = self._clock.monotonic()
        event: Event = await visit.ask("GET /api/v1/events/{id}", path=visit.path)
        story = await _story(visit, event.id)
        deliveries = sorted(event.deliveries or (), key=_urgency)
        replay = await _replay(visit)
        goes_on = any(each.state == "pending" for each in deliveries)
        goes_on = goes_on or (replay is not None and replay.state == "running")
        headers = {name: by_check_digits(value) for name, value in (event.headers or {}).items()}
        payload = await self._payload(visit, event, headers)
        least_s = FRESH_S_MIN if goes_on else SETTLED_FRESH_S
        return visit.show(
            "event.html",
            status=422 if payload.get("to_mistake") else 200,
            event=event,
            headers={name: visible(value) for name, value in headers.items()},
            deliveries=[owed(each, story) for each in deliveries[:DELIVERIES_MAX]],
            owed_count=len(deliveries),
            answer_chars=ANSWER_CHARS,
            replay=replay,
            fresh_s=fresh_s(self._clock.monotonic() - began, least_s),
            story=story,
            advised=advised,
            words=words,
            endpoints=await _endpoints(visit) if event.state != "accepted" and visit.may("replay") else (),
            **payload,
        )

    async def _payload(self, visit: Visit, event: Event, headers: Mapping[str, str]) -> Mapping[str, Any]:
        """The body as it may be shown, and the command that posts it, with headers that may be shown."""
        given: dict[str, Any] = {"body": None, "gone": None, "curl": None, "to_mistake": None, "view": "pretty"}
        try:
            raw = (await visit.ask("GET /api/v1/events/{id}/body", path=visit.path)).body
        except web.HTTPGone as gone:
            return {**given, "gone": gone.reason}
        if visit.query.get("view") == "raw":
            given["view"] = "raw"
        given["body"] = body = shown(raw, pretty=given["view"] == "pretty")
        to = visit.query.get("to") or (LOCAL_APP if event.provider == OPERATIONAL else LOCAL.format(event.source))
        given["to"] = to
        given["to_mistake"] = url_mistake(to)
        if given["to_mistake"] is None:
            given["curl"] = curl(event.id, headers, raw, to, _here(visit), may_be_shown=not body.is_masked)
        given["signature"] = self._signature(event)
        return given

    def _signature(self, event: Event) -> tuple[str, str | None]:
        """How its signature fares with time: `never` signed by a provider, `ever` good, `until` then, or `over`."""
        if event.provider == OPERATIONAL or IMPORTED in (event.headers or {}):
            return "never", None
        received_ms = round(datetime.fromisoformat(event.received_at).timestamp() * 1_000)
        until_ms = signed_until_ms(event.provider, received_ms)
        if until_ms is None:
            return "ever", None
        return ("over" if until_ms < self._clock.now_ms() else "until"), time_text(until_ms)

    async def download(self, visit: Visit) -> web.StreamResponse:
        response: web.Response = await visit.ask("GET /api/v1/events/{id}/body", path=visit.path)
        return response

    async def replay(self, visit: Visit) -> web.StreamResponse:
        """To all that it is owed to, or to one endpoint, be it owed to it or not."""
        named, endpoint = visit.path["id"], visit.form.get("endpoint")
        body = {"ids": [named], "endpoint": endpoint} if endpoint else {"ids": [named]}
        replay = await visit.ask("POST /api/v1/replays", body=body)
        many = "one delivery is" if replay.total == 1 else f"{replay.total} deliveries are"
        return visit.see_other(f"/events/{named}?replay={replay.id}#deliveries", f"It is sent again: {many} due.")


def _urgency(delivery: Delivery) -> int:
    return ("dead", "pending", "cancelled", "delivered").index(delivery.state)


async def _story(visit: Visit, named: str) -> Story | None:
    try:
        story: Story | None = (await visit.ask("GET /api/v1/why/{id}", path={"id": named})).story
    except NotFoundError:  # retention has come in between
        return None
    return story


async def _replay(visit: Visit) -> Any:
    """The one that has brought somebody here."""
    named = visit.query.get("replay")
    if not named:
        return None
    try:
        return await visit.ask("GET /api/v1/replays/{id}", path={"id": named})
    except (NotFoundError, ValueError):
        return None


async def _endpoints(visit: Visit) -> Sequence[str]:
    return [each.name for each in (await visit.ask("GET /api/v1/endpoints", query={"limit": "500"})).data]


def _here(visit: Visit) -> str:
    """Where the API is, as this browser reaches it."""
    request = visit.request
    scheme = "https" if request.headers.get("X-Forwarded-Proto", "").lower() == "https" else request.scheme
    return f"{scheme}://{request.host}"
