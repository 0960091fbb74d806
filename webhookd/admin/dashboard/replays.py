"""Replays: each with how far it is, and a form for those that are asked for by more than a list has."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping

from webhookd.admin.dashboard.frame.visit import Page, Visit
from webhookd.admin.dashboard.listing import listed
from webhookd.admin.dashboard.replay_words import ERRORS, FIELDS, asked, counted, meant
from webhookd.admin.door.reasons import Mistake, MistakesError, NotFoundError
from webhookd.admin.replays import ReplayView
from webhookd.core.event import OPERATIONAL, PUBLISHED
from webhookd.core.identifier import UnknownIdError
from webhookd.store.protocol.replays import SELECTED_STATES

SHOWN = 20
"""Of the deliveries that were asked for by id, so many are shown with how they stand."""


class Replays:
    def pages(self) -> Sequence[Page]:
        one = "/replays/{id}"
        return [
            Page("GET", "/replays", self.list),
            Page("GET", "/replays/new", self.new, "replay"),
            Page("POST", "/replays/new", self.begin, "replay"),
            Page("GET", one, self.show),
            Page("POST", f"{one}/cancel", self.cancel, "replay"),
        ]

    async def list(self, visit: Visit) -> web.StreamResponse:
        found = await listed(visit, "GET /api/v1/replays")
        return visit.show("replays.html", status=found.status, found=found, meant=meant, section="/dead")

    async def show(self, visit: Visit) -> web.StreamResponse:
        replay: ReplayView = await visit.ask("GET /api/v1/replays/{id}", path=visit.path)
        return visit.show(
            "replay.html",
            replay=replay,
            meant=meant,
            deliveries=await _deliveries(visit, replay.selection.ids),
            endpoint=await _endpoint(visit, replay.selection.endpoint),
            section="/dead",
        )

    async def cancel(self, visit: Visit) -> web.StreamResponse:
        replay: ReplayView = await visit.ask("POST /api/v1/replays/{id}/cancel", path=visit.path)
        said = "It was over already." if replay.state == "done" else "It is cancelled: what it made due stays so."
        return visit.see_other(f"/replays/{replay.id}", said)

    async def new(self, visit: Visit) -> web.StreamResponse:
        """A link may fill it in."""
        return await _form(visit, visit.query)

    async def begin(self, visit: Visit) -> web.StreamResponse:
        """Counts first: it begins what was counted, and nothing else."""
        body = asked(visit.form, *FIELDS, "rate")
        is_counted = visit.form.get("do") == "begin" and visit.form.get("counted") == _signed(body)
        try:
            replay: ReplayView = await visit.ask("POST /api/v1/replays", body={**body, "dry_run": not is_counted})
        except MistakesError as error:
            return await _form(visit, visit.form, mistakes=error.mistakes)
        if replay.id is not None:
            return visit.see_other(f"/replays/{replay.id}")
        return await _form(visit, visit.form, replay, _signed(body))


def _signed(body: dict[str, Any]) -> str:
    return urlencode(sorted((name, value) for name, value in body.items() if name != "rate"))


async def _form(
    visit: Visit,
    filled_in: MultiMapping[str],
    found: ReplayView | None = None,
    signed: str = "",
    mistakes: Sequence[Mistake] = (),
) -> web.StreamResponse:
    """`found` is what a dry run of it found."""
    sources = [each.name for each in (await visit.ask("GET /api/v1/sources")).data]
    endpoints = [each.name for each in (await visit.ask("GET /api/v1/endpoints", query={"limit": "500"})).data]
    return visit.show(
        "replay_new.html",
        status=422 if mistakes else 200,
        filled_in={name: filled_in.get(name, "").strip() for name in (*FIELDS, "rate")},
        found=found,
        said=None if found is None else counted(found),
        what=None if found is None else meant(found.selection),
        signed=signed,
        mistakes=mistakes,
        sources=[*sources, PUBLISHED, OPERATIONAL],
        endpoints=endpoints,
        states=SELECTED_STATES,
        errors=ERRORS,
        section="/dead",
    )


async def _deliveries(visit: Visit, ids: Sequence[str]) -> Sequence[Any]:
    """How they stand now; of events, and of what is past, nothing."""
    found = []
    for each in [each for each in ids if each.startswith("dlv_")][:SHOWN]:
        try:
            found.append(await visit.ask("GET /api/v1/deliveries/{id}", path={"id": each}))
        except (NotFoundError, UnknownIdError, web.HTTPGone):
            continue
    return found


async def _endpoint(visit: Visit, name: str | None) -> Any:
    """How it is with who gets it: that it is due does not mean that it is taken."""
    if name is None:
        return None
    try:
        return await visit.ask("GET /api/v1/endpoints/{name}", path={"name": name})
    except NotFoundError:
        return None
