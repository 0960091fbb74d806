"""What was given up on, by endpoint and reason; and one reason's deliveries, with the buttons that bring them back."""

from collections.abc import Sequence
from typing import Any

from aiohttp import web
from multidict import MultiDict

from webhookd.admin.dashboard.attempts import answer_text
from webhookd.admin.dashboard.frame.visit import Page, Visit
from webhookd.admin.dashboard.listing import Listed, clean, fresh_s, listed
from webhookd.admin.dashboard.replay_words import asked, because, counted
from webhookd.admin.door.reasons import Mistake, MistakesError
from webhookd.admin.remedy import remedy
from webhookd.clock import Clock
from webhookd.core.story_words import failure

ENDPOINTS = 20
"""On a page."""
FRESH_S_MIN = 2
FILTERS = ("endpoint", "error", "status", "source", "type", "since", "until")
"""What a list is narrowed by is what a replay of all of it can be asked for."""


class DeadLetters:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def pages(self) -> Sequence[Page]:
        return [Page("GET", "/dead", self.show), Page("POST", "/dead", self.replay, "replay")]

    async def show(self, visit: Visit) -> web.StreamResponse:
        if (cleaned := clean(visit)) is not None:
            return visit.see_other(cleaned)
        if visit.query.keys() - {"endpoint", "cursor"}:
            return await _letters(visit, await _found(visit))
        began = self._clock.monotonic()
        found = await listed(visit, "GET /api/v1/dead", limit=str(ENDPOINTS))
        again_s = fresh_s(self._clock.monotonic() - began, FRESH_S_MIN)
        return visit.show("dead.html", status=found.status, found=found, fresh_s=again_s)

    async def replay(self, visit: Visit) -> web.StreamResponse:
        """What is ticked, or all that the list is narrowed to; or only counted."""
        found = await _found(visit)
        if found.status != 200:
            return await _letters(visit, found)
        body = asked(visit.form, "rate")
        if visit.form.get("which") == "all":
            body |= {**asked(visit.query, *FILTERS), "state": "dead"}
        else:
            body["ids"] = visit.form.getall("id", [])
        dry_run = visit.form.get("do") == "count"
        try:
            if body.get("ids") == []:
                raise MistakesError([Mistake("deliveries", "tick some of them, or choose all")])
            replay = await visit.ask("POST /api/v1/replays", body={**body, "dry_run": dry_run})
        except MistakesError as error:
            return await _letters(visit, found, error.mistakes)
        if dry_run:
            return await _letters(visit, found, said=counted(replay))
        return visit.see_other(f"/replays/{replay.id}")


async def _found(visit: Visit) -> Listed:
    """Of one reason, or as the query has it."""
    stray = visit.query.keys() - {*FILTERS, "cursor"}
    if stray:
        mistakes = [Mistake(each, "is nothing that dead letters are found by") for each in sorted(stray)]
        return Listed((), None, 422, mistakes)
    return await listed(visit, "GET /api/v1/deliveries", state="dead")


async def _letters(
    visit: Visit, found: Listed, mistakes: Sequence[Mistake] = (), said: str | None = None
) -> web.StreamResponse:
    """`mistakes` are in what was filled in beside the list; `said` is what a dry run found."""
    is_found = found.status == 200
    error, status = visit.query.get("error"), visit.query.get("status")
    number = int(status) if is_found and status is not None else None
    return visit.show(
        "dead_letters.html",
        status=422 if mistakes else found.status,
        found=found,
        mistakes=mistakes,
        said=said,
        reason=because(error, number) if is_found else None,
        advice=remedy(error, number) if is_found and (error or status) else None,
        its=await _counted(visit, error, number) if is_found else None,
        answer=await _answer(visit, found.rows),
        failure=failure,
        ticked=visit.form.getall("id", []),
        which=visit.form.get("which", "ticked"),
        rate=visit.form.get("rate", ""),
    )


async def _counted(visit: Visit, error: str | None, status: int | None) -> Any:
    """As the reasons are counted; None where something else narrows the list."""
    if "endpoint" not in visit.query or visit.query.keys() & {"source", "type", "since", "until"}:
        return None
    page = await visit.ask("GET /api/v1/dead", query=MultiDict(endpoint=visit.query["endpoint"]))
    return next(
        (its for each in page.data for its in each.reasons if (its.error, its.status) == (error, status)),
        None,
    )


async def _answer(visit: Visit, rows: Sequence[Any]) -> str | None:
    """The first bytes of what the newest one was answered: it may say what is wrong."""
    if not rows or rows[0].last_status is None:
        return None
    newest = await visit.ask("GET /api/v1/deliveries/{id}", path={"id": rows[0].id})
    return answer_text(newest.history[-1].response) or None if newest.history else None
