"""Retention in PostgreSQL: a week of which all may go goes at once, anything less event by event."""

from collections.abc import Awaitable, Callable

from msgspec.structs import replace

from webhookd.store.postgres.connection import Session
from webhookd.store.postgres.leaving import Leaving
from webhookd.store.postgres.weeks import Weeks, week_begins, week_of
from webhookd.store.protocol.retention import Extent, Freed, Look, Step, Whole
from webhookd.store.sql.connection import Change, Reader
from webhookd.store.sql.retention import SqlRetention

PAGE_BYTES = 8192


class PostgresRetention(SqlRetention):
    """`session` is one that writes, for changes of tables and what goes with them."""

    step_s = 0.02  # eight statements are on their way for a good part of it

    def __init__(
        self,
        reader: Reader,
        change: Callable[[Change], Awaitable[object]],
        queued: Callable[[], int],
        session: Session,
    ) -> None:
        super().__init__(reader, change, queued, lambda: False, self._see_to_weeks)
        self._weeks = Weeks(session)
        self._leaving = Leaving(session)

    async def look(self, extent: Extent, after: int, *, counted: bool, whole: bool = False) -> Look:
        if extent.may_wait:
            extent = await self._in_weeks(extent)
        if whole and extent.provider is None and not extent.bodies_only:
            found = await self._whole(extent, after)
            if found is not None:
                return found
        return await super().look(extent, after, counted=counted)

    async def take_whole(self, extent: Extent, whole: Whole, now_ms: int) -> Step:
        return await self._leaving.step(week_of(whole.first), extent, now_ms)

    async def _whole(self, extent: Extent, after: int) -> Look | None:
        """The next week, if all of it is meant; first of all one that another sweep has not come to the end of."""
        for (week,) in await self._read("leaving.unfinished"):
            return Look((), after, over=False, whole=_of(week))
        rows = await self._read("leaving.first", (max(after, extent.above), extent.below))
        week = week_of(rows[0][0]) if rows else 0
        its = _of(week)
        if not rows or its.first <= extent.above or its.last >= extent.below or not await self._has_week(week):
            return None
        return Look((), its.last, over=False, whole=its)

    async def _in_weeks(self, extent: Extent) -> Extent:
        """Of what begins or ends within a week: with all of the first, and nothing of the last."""
        begun, ended = week_of(extent.above), week_of(extent.below)
        if await self._has_week(begun):
            extent = replace(extent, above=week_begins(begun) - 1)
        if await self._has_week(ended):
            extent = replace(extent, below=week_begins(ended))
        return extent

    async def _has_week(self, week: int) -> bool:
        [(has,)] = await self._read("weeks.has", ("event", week))
        return bool(has)

    async def _see_to_weeks(self, _pages: int, _kept: float) -> Freed:
        """The next weeks are made, and one that has been taken event by event is dropped."""
        await self._weeks.make()
        emptied = await self._weeks.drop_empty()
        pages = 0 if emptied is None else emptied.bytes // PAGE_BYTES
        return Freed(pages, left=0, page_bytes=PAGE_BYTES, writer_s=0.0)


def _of(week: int) -> Whole:
    return Whole(week_begins(week), week_begins(week + 1) - 1)
