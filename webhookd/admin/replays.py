"""`/api/v1/replays`: make deliveries due again, or for the first time; and see how far that is."""

from collections.abc import Callable, Collection

import msgspec
import structlog
from aiohttp import web

from webhookd.admin.answers import ConflictError, Mistake, MistakesError, NotFoundError, json_answer, json_object
from webhookd.admin.list_query import page_of
from webhookd.admin.replay_request import ReplayRequest, read_request
from webhookd.admin.views import Page, cursor_text
from webhookd.clock import Clock
from webhookd.core.event import OPERATIONAL
from webhookd.core.identifier import parse_replay_id, replay_id
from webhookd.core.units import time_text
from webhookd.store.replay_protocol import (
    RUNNING_MAX,
    Replay,
    Replays,
    Selection,
    SelectionError,
    TooManyReplaysError,
)

_log = structlog.get_logger("webhookd.admin")


class SelectionView(msgspec.Struct, omit_defaults=True):
    """What was asked for."""

    ids: tuple[str, ...] = ()
    endpoint: str | None = None
    source: str | None = None
    type: str | None = None
    state: str | None = None
    since: str | None = None
    until: str | None = None


class ReplayView(msgspec.Struct):
    id: str | None
    """None of a dry run."""
    dry_run: bool
    state: str
    total: int
    """Deliveries found when it was asked for."""
    total_is_exact: bool
    """False: there were more, and counting them all took too long."""
    replayed: int
    """Deliveries made due so far."""
    rate: float | None
    selection: SelectionView
    created_at: str | None
    ended_at: str | None


class ReplaysApi:
    """`begun` is called when there is something for the replayer to do. `sources` gives the configured ones' names."""

    def __init__(
        self, store: Replays, clock: Clock, begun: Callable[[], None], sources: Callable[[], Collection[str]]
    ) -> None:
        self._store = store
        self._clock = clock
        self._begun = begun
        self._sources = sources

    def routes(self) -> list[web.RouteDef]:
        path = "/api/v1/replays"
        return [
            web.get(path, self.list),
            web.post(path, self.begin),
            web.get(f"{path}/{{id}}", self.show),
            web.post(f"{path}/{{id}}/cancel", self.cancel),
        ]

    async def begin(self, request: web.Request) -> web.Response:
        asked = read_request(await json_object(request))
        await self._check_source(asked.selection.source)
        try:
            view = await (self._count(asked) if asked.dry_run else self._begin(asked))
        except SelectionError as error:
            raise MistakesError([Mistake(error.field, error.reason)]) from None
        except TooManyReplaysError:
            why = (
                f"{RUNNING_MAX} replays are under way already: wait until one is done, or cancel one. "
                "GET /api/v1/replays and `webhookd replay --list` show them."
            )
            raise ConflictError(why) from None
        return json_answer(view, 202)

    async def list(self, request: web.Request) -> web.Response:
        below, limit = page_of(request.query, ())
        rows = await self._store.list(below or None, limit)
        cursor = cursor_text(rows[-1].number) if len(rows) == limit else None
        return json_answer(Page([_view(row) for row in rows], cursor))

    async def show(self, request: web.Request) -> web.Response:
        return json_answer(await self._shown(request))

    async def cancel(self, request: web.Request) -> web.Response:
        """Those that are over stay what they are."""
        await self._store.cancel(parse_replay_id(request.match_info["id"]), self._clock.now_ms())
        return json_answer(await self._shown(request))

    async def _check_source(self, name: str | None) -> None:
        if name is None or name == OPERATIONAL or name in self._sources() or await self._store.has_source(name):
            return
        raise MistakesError([Mistake("source", f'there is no source "{name[:64]}", nor an event of one')])

    async def _count(self, asked: ReplayRequest) -> ReplayView:
        found = await self._store.count(asked.selection)
        return ReplayView(
            id=None,
            dry_run=True,
            state="done",
            total=found.deliveries,
            total_is_exact=found.is_exact,
            replayed=0,
            rate=asked.per_s,
            selection=_selection_view(asked.selection),
            created_at=None,
            ended_at=None,
        )

    async def _begin(self, asked: ReplayRequest) -> ReplayView:
        view = _view(await self._store.begin(asked.selection, asked.per_s, self._clock.now_ms()))
        _log.info("replay_begun", replay_id=view.id, deliveries=view.total, all_counted=view.total_is_exact)
        self._begun()
        return view

    async def _shown(self, request: web.Request) -> ReplayView:
        replay = await self._store.get(parse_replay_id(request.match_info["id"]))
        if replay is None:
            raise NotFoundError
        return _view(replay)


def _view(replay: Replay) -> ReplayView:
    return ReplayView(
        id=replay_id(replay.number),
        dry_run=False,
        state=replay.state,
        total=replay.total,
        total_is_exact=replay.total_is_exact,
        replayed=replay.replayed,
        rate=replay.per_s,
        selection=_selection_view(replay.selection),
        created_at=time_text(replay.created_at),
        ended_at=time_text(replay.ended_at),
    )


def _selection_view(selection: Selection) -> SelectionView:
    return SelectionView(
        ids=selection.ids,
        endpoint=selection.endpoint,
        source=selection.source,
        type=selection.type,
        state=selection.state,
        since=time_text(selection.since_ms),
        until=time_text(selection.until_ms),
    )
