"""Retention: what is finished is taken out of the log, a few events at a time, and one row stays of each.

That row, of `past`, is the event's line in the ledger's books, and what a repeat of it is known by.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, cast

import msgspec

from webhookd.store.protocol.retention import Extent, Found, Freed, Look, PastEvent, Step, Taken, Tally, Whole
from webhookd.store.sql.connection import Change, Connection, Reader

LOOKS = 500
"""Events that one read looks at."""
_TAKES = ("remember", "take_attempts", "take_deliveries", "take_conflicts", "take_events")
_encode = msgspec.json.Encoder().encode


class SqlRetention:
    """Fits `protocol.retention.Retention`. `change` runs a function in the transaction of a commit.

    While `counting` says that the ledger is counted again nothing is forgotten: what was read from the log must be
    where it was read, or past.
    """

    step_s = 0.003

    def __init__(
        self,
        reader: Reader,
        change: Callable[[Change], Awaitable[object]],
        queued: Callable[[], int],
        counting: Callable[[], bool],
        give_back: Callable[[int, float], Awaitable[Freed]],
    ) -> None:
        self._read = reader.read
        self._change = change
        self._queued = queued
        self._counting = counting
        self._give_back = give_back

    @property
    def queued(self) -> int:
        return self._queued()

    async def look(self, extent: Extent, after: int, *, counted: bool, whole: bool = False) -> Look:
        given = {
            "after": max(after, extent.above),
            "below": extent.below,
            "looks": LOOKS,
            "provider": extent.provider,
            "bodies": extent.bodies_only,
            "finished_before": extent.finished_before_ms,
            "counted": counted,
        }
        rows = await self._read("retention.looked_at", given)
        found = [Found(*row) for row in rows if row[1] is not None]
        return Look(found, rows[-1][0] if rows else after, over=len(rows) < LOOKS)

    async def take(self, extent: Extent, keys: Sequence[int], now_ms: int) -> Taken:
        return cast(Taken, await self._change(partial(_take, extent=extent, keys=keys, now_ms=now_ms)))

    async def take_whole(self, extent: Extent, whole: Whole, now_ms: int) -> Step:
        raise NotImplementedError  # where a look finds none

    async def forget(self, below: int, limit: int) -> Taken:
        rows = [] if self._counting() else await self._read("retention.forgettable", (below, limit))
        keys = [key for (key,) in rows]
        return cast(Taken, await self._change(partial(_forget, keys=keys))) if keys else Taken({}, 0)

    async def forget_trail(self, before_ms: int, limit: int) -> int:
        return cast(int, await self._change(partial(_forget_trail, before_ms=before_ms, limit=limit)))

    async def give_back(self, pages: int, kept: float) -> Freed:
        return await self._give_back(pages, kept)

    async def past(self, key: int, salt: int | None = None) -> PastEvent | None:
        rows = await self._read("retention.past", (key, salt))
        return PastEvent(*rows[0]) if rows else None


def listed(keys: Sequence[int]) -> dict[str, Any]:
    """As statements are given them."""
    return {"keys": _encode(keys).decode(), "first": min(keys, default=0), "last": max(keys, default=0)}


def _take(connection: Connection, extent: Extent, keys: Sequence[int], now_ms: int) -> Taken:
    """What was found may have changed since: it is looked at once more, where nobody else can write."""
    began = time.perf_counter()
    given = {**listed(keys), "finished_before": extent.finished_before_ms, "now": now_ms}
    tallies: dict[str, Tally] = {}
    going = []
    for key, provider, size, deliveries, attempts in connection.execute("retention.may_go", given).fetchall():
        going.append(key)
        counted = Tally(1, 0, 0, size) if extent.bodies_only else Tally(1, deliveries, attempts, size)
        tallies.setdefault(provider, Tally()).add(counted)
    given |= listed(going)
    for statement in ("take_bodies",) if extent.bodies_only else _TAKES:
        connection.execute(f"retention.{statement}", given)
    return Taken(tallies, time.perf_counter() - began)


def _forget(connection: Connection, keys: Sequence[int]) -> Taken:
    began = time.perf_counter()
    given = {"keys": _encode(keys).decode()}
    count = connection.execute("retention.forget", given).rowcount
    connection.execute("retention.forget_aliases", given)
    return Taken({"": Tally(events=count)}, time.perf_counter() - began)


def _forget_trail(connection: Connection, before_ms: int, limit: int) -> int:
    connection.execute("retention.forget_tokens", (before_ms,))
    return connection.execute("retention.forget_audit", {"rows": limit, "before": before_ms}).rowcount
