"""What is due: all endpoints that want to know ask together, in one question, which costs the way there and back once.

Whatever has come up while the last question was asked is in the next, as writes are in a commit: no timer, no tuning.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from webhookd.core.delivery import Priority
from webhookd.store.postgres.connection import Session
from webhookd.store.protocol.log import LATEST_MS, DueBatch
from webhookd.store.sql.schedule import Look, batch_of

TOGETHER_MAX = 8
"""Endpoints in one question: of each and its priorities `bytes_max` may come, and one body more."""


class DueReader:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: list[tuple[Look, asyncio.Future[DueBatch]]] = []
        self._task: asyncio.Task[None] | None = None

    async def due(self, look: Look) -> DueBatch:
        """Raises StoreUnavailableError."""
        found: asyncio.Future[DueBatch] = asyncio.get_running_loop().create_future()
        self._waiting.append((look, found))
        if self._task is None:
            self._task = asyncio.create_task(self._ask(), name="due-reader")
        return await found

    async def _ask(self) -> None:
        while self._waiting:
            together, self._waiting = self._waiting[:TOGETHER_MAX], self._waiting[TOGETHER_MAX:]
            try:
                found = await self._read([look for look, _ in together])
            except Exception as error:  # noqa: BLE001 - it is theirs who asked
                for _, future in together:
                    if not future.done():
                        future.set_exception(error)
            else:
                for (_, future), batch in zip(together, found, strict=True):
                    if not future.done():
                        future.set_result(batch)
        self._task = None

    async def _read(self, looks: Sequence[Look]) -> Sequence[DueBatch]:
        rows: list[dict[Priority, list[Sequence[Any]]]] = [{each: [] for each in look.rooms} for look in looks]
        waits_until: list[dict[Priority, int | None]] = [{} for _ in looks]
        for nth, priority, until, *row in await self._session.read("due.of_each", _asked(looks)):
            waits_until[nth][priority] = until
            if row[0] is not None:
                rows[nth][priority].append(row)
        return [
            batch_of(look, of.__getitem__, until.__getitem__)
            for look, of, until in zip(looks, rows, waits_until, strict=True)
        ]


def _asked(looks: Sequence[Look]) -> Mapping[str, Any]:
    each = [(nth, look, priority, room) for nth, look in enumerate(looks) for priority, room in look.rooms.items()]
    return {
        "nths": [nth for nth, *_ in each],
        "endpoints": [look.endpoint for _, look, *_ in each],
        "priorities": [priority for *_, priority, _ in each],
        "rooms": [room for *_, room in each],
        "bytes": [look.bytes_max for _, look, *_ in each],
        "now": [look.now_ms for _, look, *_ in each],
        "farthest": [look.farthest_ms for _, look, *_ in each],
        "latest": LATEST_MS,
        "known_endpoints": [look.endpoint for look in looks for _ in look.known],
        "known_events": [event for look in looks for event in look.known],
    }
