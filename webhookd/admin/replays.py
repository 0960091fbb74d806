"""`/api/v1/replays`: make deliveries due again, or for the first time; and see how far that is."""

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec
import structlog

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.door.pages import Page, Paged, Pages
from webhookd.admin.door.reasons import ConflictError, Mistake, MistakesError, NotFoundError
from webhookd.admin.replay_request import ReplayBody, ReplayRequest, read_request
from webhookd.clock import Clock
from webhookd.core.event import OPERATIONAL, PUBLISHED
from webhookd.core.identifier import parse_replay_id, replay_id
from webhookd.core.units import time_text
from webhookd.store.protocol.replays import (
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
    error: str | None = None
    status: int | None = None


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
    by_endpoint: Mapping[str, int] | msgspec.UnsetType = msgspec.UNSET
    """Of a dry run: how many are to whom."""


class ReplaysApi:
    """`begun` is called when there is something for the replayer to do. `sources` gives the configured ones' names."""

    def __init__(
        self,
        store: Replays,
        clock: Clock,
        begun: Callable[[], None],
        sources: Callable[[], Collection[str]],
        pages: Pages,
    ) -> None:
        self._pages = pages
        self._store = store
        self._clock = clock
        self._begun = begun
        self._sources = sources

    def operations(self) -> Sequence[Operation]:
        path = "/api/v1/replays"
        one, segments = f"{path}/{{id}}", {"id": "^rpl_[0-9a-f]{16}$"}
        return [
            Operation("GET", path, self.list, "List replays, the newest first", Page[ReplayView], query=Paged),
            Operation(
                "POST",
                path,
                self.begin,
                "Make deliveries due again, or for the first time",
                ReplayView,
                scope="replay",
                action="replay.begin",
                body=ReplayBody,
                read=read_request,
                status=202,
                problems=[409],
            ),
            Operation("GET", one, self.show, "How far a replay is", ReplayView, problems=[404], segments=segments),
            Operation(
                "POST",
                f"{one}/cancel",
                self.cancel,
                "Stop a replay; what it made due stays so",
                ReplayView,
                scope="replay",
                action="replay.cancel",
                problems=[404],
                segments=segments,
            ),
        ]

    async def begin(self, asked: Asked[Nothing, ReplayRequest]) -> ReplayView:
        request = asked.body
        await self._check_source(request.selection.source)
        try:
            return await (self._count(request) if request.dry_run else self._begin(request))
        except SelectionError as error:
            raise MistakesError([Mistake(error.field, error.reason)]) from None
        except TooManyReplaysError:
            why = (
                f"{RUNNING_MAX} replays are under way already: wait until one is done, or cancel one. "
                "GET /api/v1/replays and `webhookd replay --list` show them."
            )
            raise ConflictError(why) from None

    async def list(self, asked: Asked[Paged, Nothing]) -> Page[ReplayView]:
        (below,) = self._pages.after(asked) or (None,)
        rows = await self._store.list(below, asked.query.limit)
        return self._pages.page(asked, [_view(row) for row in rows], *(row.number for row in rows[-1:]))

    async def show(self, asked: Asked[Nothing, Nothing]) -> ReplayView:
        return await self._shown(asked.path["id"])

    async def cancel(self, asked: Asked[Nothing, Nothing]) -> ReplayView:
        """Those that are over stay what they are."""
        await self._store.cancel(parse_replay_id(asked.path["id"]), self._clock.now_ms())
        return await self._shown(asked.path["id"])

    async def _check_source(self, name: str | None) -> None:
        if (
            name is None
            or name in (OPERATIONAL, PUBLISHED)
            or name in self._sources()
            or await self._store.has_source(name)
        ):
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
            by_endpoint=found.by_endpoint,
        )

    async def _begin(self, asked: ReplayRequest) -> ReplayView:
        view = _view(await self._store.begin(asked.selection, asked.per_s, self._clock.now_ms()))
        _log.info("replay_begun", replay_id=view.id, deliveries=view.total, all_counted=view.total_is_exact)
        self._begun()
        return view

    async def _shown(self, public_id: str) -> ReplayView:
        replay = await self._store.get(parse_replay_id(public_id))
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
        error=selection.error,
        status=selection.status,
    )
