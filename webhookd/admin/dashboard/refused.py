"""What came in and was refused, or not understood: why, and what to do about it."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from webhookd.admin.dashboard.diagnosis import Diagnosis, diagnosed
from webhookd.admin.dashboard.frame.visit import Page, Visit
from webhookd.admin.door.reasons import BusyError, ConflictError, MistakesError, NotFoundError
from webhookd.admin.refusals import RefusalList, RefusalView
from webhookd.admin.reloaded import Reloaded
from webhookd.admin.sources import SourceView
from webhookd.core.story import Quarantined, Story
from webhookd.core.story_words import words

PATH = "/refused"
QUARANTINED_MAX = 10
"""Of a page: the story of each is read."""
_ORDER = ("refusing", "recovered", "quiet")


class Refusals:
    def pages(self) -> Sequence[Page]:
        source, quarantined = f"{PATH}/sources/{{name}}", f"{PATH}/quarantined"
        return [
            Page("GET", PATH, self.show),
            Page("GET", source, self.show_source),
            Page("POST", source, self.change, "admin"),
            Page("GET", quarantined, self.show_quarantined),
            Page("POST", quarantined, self.deliver, "replay"),
        ]

    async def show(self, visit: Visit) -> web.StreamResponse:
        found: RefusalList = await visit.ask("GET /api/v1/refusals")
        sources = await _hooked(visit)
        every = [diagnosed(each, sources, found.data) for each in sources]
        return visit.show(
            "refused.html",
            clock_off_s=found.clock_off_s,
            diagnoses=sorted(every, key=_urgency),
            strays=_strays(found.data),
            quarantined=(await visit.ask("GET /api/v1/events", query={"state": "quarantined", "limit": "5"})).data,
            unrouted=(await visit.ask("GET /api/v1/events", query={"state": "unrouted", "limit": "1"})).data,
        )

    # --- One source

    async def show_source(self, visit: Visit) -> web.StreamResponse:
        return await self._show_source(visit)

    async def change(self, visit: Visit) -> web.StreamResponse:
        return await (self._reload(visit) if "reload" in visit.form else self._try_secret(visit))

    async def _try_secret(self, visit: Visit) -> web.StreamResponse:
        """Answered with the page itself: what was tried is nowhere but in this request."""
        given = {"secret": visit.form.get("secret", "")}
        try:
            tried = await visit.ask("POST /api/v1/sources/{name}/try-secret", path=visit.path, body=given)
        except MistakesError as error:
            return await self._show_source(visit, 422, mistakes=error.mistakes)
        return await self._show_source(visit, tried=tried)

    async def _reload(self, visit: Visit) -> web.StreamResponse:
        try:
            reloaded = await visit.ask("POST /api/v1/reload")
        except MistakesError as error:
            return await self._show_source(visit, 422, not_read=[each.reason for each in error.mistakes])
        except (ConflictError, BusyError) as error:
            return await self._show_source(visit, 409, not_read=[str(error)])
        return visit.see_other(f"{PATH}/sources/{visit.path['name']}", _said(reloaded))

    async def _show_source(self, visit: Visit, status: int = 200, **values: Any) -> web.StreamResponse:
        name = visit.path["name"]
        sources = await _hooked(visit)
        source = next((each for each in sources if each.name == name), None)
        if source is None:
            raise NotFoundError
        found: RefusalList = await visit.ask("GET /api/v1/refusals", query={"source": name})
        given = {"tried": None, "mistakes": (), "not_read": (), **values}
        return visit.show(
            "refused_source.html",
            status=status,
            found=diagnosed(source, sources, found.data),
            clock_off_s=found.clock_off_s,
            **given,
        )

    # --- What was taken and not understood

    async def show_quarantined(self, visit: Visit) -> web.StreamResponse:
        asked = {name: value for name, value in visit.query.items() if value}
        query = {**asked, "state": "quarantined", "limit": str(QUARANTINED_MAX)}
        page = await visit.ask("GET /api/v1/events", query=query)
        stories = [(await visit.ask("GET /api/v1/why/{id}", path={"id": each.id})).story for each in page.data]
        endpoints = (await visit.ask("GET /api/v1/endpoints", query={"limit": "500"})).data
        return visit.show(
            "refused_quarantined.html",
            events=[(each, _why(story), story) for each, story in zip(page.data, stories, strict=True)],
            endpoints=[each.name for each in endpoints],
            query=asked,
            next_cursor=page.next_cursor,
            looked_to=page.looked_to or None,
        )

    async def deliver(self, visit: Visit) -> web.StreamResponse:
        event, endpoint = visit.form.get("event", ""), visit.form.get("endpoint", "")
        replay = await visit.ask("POST /api/v1/replays", body={"ids": [event], "endpoint": endpoint})
        return visit.see_other(visit.request.path_qs, f"{replay.total} delivery of {event} to {endpoint} is due now.")


async def _hooked(visit: Visit) -> Sequence[SourceView]:
    """The sources that hooks come to."""
    return [each for each in (await visit.ask("GET /api/v1/sources")).data if each.outbox is None]


def _urgency(found: Diagnosis) -> tuple[int, int, str]:
    return (_ORDER.index(found.state), -len(found.since_taken), found.source.name)


def _strays(refusals: Sequence[RefusalView]) -> Mapping[str, Sequence[RefusalView]]:
    """By the path that was asked for, each with what came there; the newest first."""
    found: dict[str, list[RefusalView]] = {}
    for each in refusals:
        if each.source is None:
            found.setdefault(each.path, []).append(each)
    return found


def _why(story: Story | None) -> str:
    """In the words of `webhookd why`."""
    entries = () if story is None else story.entries
    return next((words(each) for each in entries if isinstance(each, Quarantined)), "")


def _said(reloaded: Reloaded) -> str:
    changed = [*reloaded.sources.added, *reloaded.sources.removed, *reloaded.sources.changed]
    what = f"changed: {', '.join(changed)}" if changed else "no source was changed by it"
    later = f" Only a restart brings: {', '.join(reloaded.restart_needed)}." if reloaded.restart_needed else ""
    return f"The configuration was read; {what}.{later}"
