"""Replays: what is found of a selection is made due, and the replay moved on, in one transaction."""

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, cast

import msgspec

from webhookd.store.protocol.replays import RUNNING_MAX, Found, Replay, Selection, Step, TooManyReplaysError
from webhookd.store.sql.connection import Change, Connection, Reader
from webhookd.store.sql.selection import LOOKS, Page, Pair, Scope, Search

COUNT_S_MAX = 1.0
NUMBER_MAX = 2**63 - 1
KEPT = 1_000
"""Replays that are remembered when they are over."""
_encode = msgspec.json.Encoder().encode
_selection = msgspec.json.Decoder(Selection)
_chosen = msgspec.json.Decoder(list[Pair])


class SqlReplays:
    """Fits `protocol.replays.Replays`. `change` runs a function in the transaction of a commit."""

    def __init__(self, reader: Reader, change: Callable[[Change], Awaitable[object]]) -> None:
        self._read = reader.read
        self._change = change
        self._search = Search(reader)

    async def count(self, selection: Selection) -> Found:
        return await self._count(await self._search.scope(selection))

    async def has_source(self, name: str) -> bool:
        [(found,)] = await self._read("replay.has_source", (name,))
        return bool(found)

    async def begin(self, selection: Selection, per_s: float | None, now_ms: int) -> Replay:
        scope = await self._search.scope(selection)
        found = await self._count(scope)
        number = await self._change(partial(_begin, scope=scope, found=found, per_s=per_s, now_ms=now_ms))
        begun = await self.get(cast(int, number))
        assert begun is not None
        return begun

    async def step(self, number: int, limit: int, now_ms: int) -> Step:
        rows = await self._read("replay.replay", (number,))
        if not rows or rows[0][4] != "running":
            return Step(0, (), over=True)
        scope = _scope(rows[0])
        page = await self._search.page(scope, limit)
        step = await self._change(partial(_make_due, number=number, scope=scope, page=page, now_ms=now_ms))
        return cast(Step, step)

    async def running(self) -> Sequence[Replay]:
        return [_replay(row) for row in await self._read("replay.running")]

    async def list(self, below: int | None, limit: int) -> Sequence[Replay]:
        given = (NUMBER_MAX if below is None else below, limit)
        return [_replay(row) for row in await self._read("replay.replays", given)]

    async def get(self, number: int) -> Replay | None:
        rows = await self._read("replay.replay", (number,))
        return _replay(rows[0]) if rows else None

    async def cancel(self, number: int, now_ms: int) -> None:
        await self._change(lambda connection: connection.execute("replay.cancel", (now_ms, number)).rowcount)

    async def _count(self, scope: Scope) -> Found:
        deliveries, enough = Counter[int](), time.monotonic() + COUNT_S_MAX
        while True:
            page = await self._search.page(scope, LOOKS)
            deliveries.update(pair.endpoint for pair in page.pairs)
            if page.over or time.monotonic() > enough:
                names = dict(await self._read("replay.names", (_encode([*deliveries]).decode(),)))
                by_endpoint = {names[number]: count for number, count in sorted(deliveries.items())}
                return Found(deliveries.total(), page.over, by_endpoint)
            scope = scope._replace(begin=page.then)


def _begin(connection: Connection, scope: Scope, found: Found, per_s: float | None, now_ms: int) -> int:
    begun = connection.execute(
        "replay.begin",
        {
            "selection": _encode(scope.selection).decode(),
            "chosen": None if scope.chosen is None else _encode(scope.chosen).decode(),
            "per_s": per_s,
            "next_event": scope.begin.event,
            "last_event": scope.last_event,
            "total": found.deliveries,
            "total_is_exact": found.is_exact,
            "now": now_ms,
            "running_max": RUNNING_MAX,
        },
    ).fetchall()
    if not begun:
        raise TooManyReplaysError
    [(number,)] = begun
    connection.execute("replay.forget", (number - KEPT,))
    return int(number)


def _make_due(connection: Connection, number: int, scope: Scope, page: Page, now_ms: int) -> Step:
    """What was found may have changed since: it is looked at once more, where nobody else can write."""
    meant = scope.selection
    found = {"found": _encode(page.pairs).decode(), "state": meant.state, "error": meant.error, "status": meant.status}
    pairs = [Pair(*row) for row in connection.execute("replay.still_match", found).fetchall()]
    moved = {
        "number": number,
        "next_event": scope.begin.event,
        "next_endpoint": scope.begin.endpoint,
        "then_event": page.then.event,
        "then_endpoint": page.then.endpoint,
        "count": len(pairs),
        "over": page.over,
        "now": now_ms,
    }
    if connection.execute("replay.move_on", moved).rowcount == 0:
        return Step(0, (), over=False)
    connection.execute("replay.make_due", {"found": _encode(pairs).decode(), "now": now_ms})
    return Step(len(pairs), {pair.endpoint for pair in pairs}, page.over)


def _scope(row: Sequence[Any]) -> Scope:
    _number, selection, chosen, _per_s, _state, next_event, next_endpoint, last_event, *_counts = row
    return Scope(
        _selection.decode(selection),
        None if chosen is None else _chosen.decode(chosen),
        Pair(next_event, next_endpoint),
        last_event,
    )


def _replay(row: Sequence[Any]) -> Replay:
    number, selection, _chosen, per_s, state, _event, _endpoint, _last, total, is_exact, *rest = row
    return Replay(number, _selection.decode(selection), per_s, state, total, bool(is_exact), *rest)
