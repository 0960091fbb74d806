"""Retention in SQLite: what is finished is taken out of the log, a few events at a time, and one row stays of each.

That row, of `past`, is the event's line in the ledger's books, and what a repeat of it is known by.
"""

import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import cast

import msgspec

from webhookd.store.batch import Change
from webhookd.store.connection import SerialConnection
from webhookd.store.queries import RETENTION
from webhookd.store.retention_protocol import Extent, Found, Freed, Look, PastEvent, Taken, Tally

LOOKS = 500
"""Events that one read looks at."""
KEPT_PAGES_MIN = 1024
"""Free pages that always stay for reuse: 4 MiB."""
INCREMENTAL = 2
_TAKES = ("remember", "take_attempts", "take_deliveries", "take_conflicts", "take_events")
_encode = msgspec.json.Encoder().encode


class SqliteRetention:
    """Fits `retention_protocol.Retention`. `change` runs a function on the writer's thread, in a transaction.

    While `counting` says that the ledger is counted again nothing is forgotten: what was read from the log must be
    where it was read, or past.
    """

    def __init__(
        self,
        reader: SerialConnection,
        change: Callable[[Change], Awaitable[object]],
        queued: Callable[[], int],
        counting: Callable[[], bool],
    ) -> None:
        self._read = reader.read
        self._change = change
        self._queued = queued
        self._counting = counting

    @property
    def queued(self) -> int:
        return self._queued()

    async def look(self, extent: Extent, after: int, *, counted: bool) -> Look:
        given = {
            "after": max(after, extent.above),
            "below": extent.below,
            "looks": LOOKS,
            "provider": extent.provider,
            "bodies": extent.bodies_only,
            "finished_before": extent.finished_before_ms,
            "counted": counted,
        }
        rows = await self._read(RETENTION["looked_at"], given)
        found = [Found(*row) for row in rows if row[1] is not None]
        return Look(found, rows[-1][0] if rows else after, over=len(rows) < LOOKS)

    async def take(self, extent: Extent, keys: Sequence[int], now_ms: int) -> Taken:
        return cast(Taken, await self._change(partial(_take, extent=extent, keys=keys, now_ms=now_ms)))

    async def forget(self, below: int, limit: int) -> Taken:
        rows = [] if self._counting() else await self._read(RETENTION["forgettable"], (below, limit))
        keys = [key for (key,) in rows]
        return cast(Taken, await self._change(partial(_forget, keys=keys))) if keys else Taken({}, 0)

    async def forget_trail(self, before_ms: int, limit: int) -> int:
        return cast(int, await self._change(partial(_forget_trail, before_ms=before_ms, limit=limit)))

    async def give_back(self, pages: int, kept: float) -> Freed:
        return cast(Freed, await self._change(partial(_give_back, pages=pages, kept=kept)))

    async def past(self, key: int, salt: int | None = None) -> PastEvent | None:
        rows = await self._read(RETENTION["past"], (key, salt))
        return PastEvent(*rows[0]) if rows else None


def _take(connection: sqlite3.Connection, extent: Extent, keys: Sequence[int], now_ms: int) -> Taken:
    """What was found may have changed since: it is looked at once more, where nobody else can write."""
    began = time.perf_counter()
    given = {"keys": _encode(keys).decode(), "finished_before": extent.finished_before_ms, "now": now_ms}
    tallies: dict[str, Tally] = {}
    going = []
    for key, provider, size, deliveries, attempts in connection.execute(RETENTION["may_go"], given).fetchall():
        going.append(key)
        counted = Tally(1, 0, 0, size) if extent.bodies_only else Tally(1, deliveries, attempts, size)
        tallies.setdefault(provider, Tally()).add(counted)
    given["keys"] = _encode(going).decode()
    for statement in ("take_bodies",) if extent.bodies_only else _TAKES:
        connection.execute(RETENTION[statement], given)
    return Taken(tallies, time.perf_counter() - began)


def _forget(connection: sqlite3.Connection, keys: Sequence[int]) -> Taken:
    began = time.perf_counter()
    given = {"keys": _encode(keys).decode()}
    count = connection.execute(RETENTION["forget"], given).rowcount
    connection.execute(RETENTION["forget_aliases"], given)
    return Taken({"": Tally(events=count)}, time.perf_counter() - began)


def _forget_trail(connection: sqlite3.Connection, before_ms: int, limit: int) -> int:
    connection.execute(RETENTION["forget_tokens"], (before_ms,))
    return connection.execute(RETENTION["forget_audit"], {"rows": limit, "before": before_ms}).rowcount


def _give_back(connection: sqlite3.Connection, pages: int, kept: float) -> Freed:
    began = time.perf_counter()
    free, total, page_bytes, mode = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("freelist_count", "page_count", "page_size", "auto_vacuum")
    )
    spare = max(0, free - max(KEPT_PAGES_MIN, int(kept * total))) if mode == INCREMENTAL else 0
    if given := min(pages, spare):
        connection.execute(f"PRAGMA incremental_vacuum({given})").fetchall()  # a step for each page
        (left,) = connection.execute("PRAGMA freelist_count").fetchone()
        given, spare = free - left, spare - free + left
    return Freed(given, spare, page_bytes, time.perf_counter() - began)
