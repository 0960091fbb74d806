"""`/api/v1/ledger/rebuild`: long work on the store, begun with POST, one at a time, and watched with GET."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec
import structlog
from aiohttp import web

from webhookd.admin.answers import json_answer, problem_answer

Told = Callable[[int, int], None]
_log = structlog.get_logger("webhookd.admin")


class RebuildStatus(msgspec.Struct):
    state: Literal["never", "running", "done", "failed"] = "never"
    events: int = 0
    """Counted so far."""
    total: int = 0
    put_right: int | None = None
    """Objects of the ledger that were otherwise; known once it is done."""


class LedgerRebuild:
    """`rebuild` is the store's; it is told where to report how far it is."""

    def __init__(self, rebuild: Callable[[Told], Awaitable[int]]) -> None:
        self._rebuild = rebuild
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.status = RebuildStatus()

    def routes(self) -> list[web.RouteDef]:
        path = "/api/v1/ledger/rebuild"
        return [web.get(path, self.show), web.post(path, self.start)]

    async def show(self, _request: web.Request) -> web.Response:
        return json_answer(self.status)

    async def start(self, _request: web.Request) -> web.Response:
        if self._task is not None and not self._task.done():
            return problem_answer(409, "The ledger is being rebuilt already.")
        self.status = RebuildStatus("running")
        self._task = asyncio.create_task(self._run(), name="ledger-rebuild")
        answer = json_answer(self.status)
        answer.set_status(202)
        return answer

    async def stop(self) -> None:
        """At the next step. What was put right stays so; the rest is for the next one."""
        self._stopping = True
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            self.status.put_right = await self._rebuild(self._told)
        except Exception as error:  # noqa: BLE001 - told by the status, and in the log
            self.status.state = "failed"
            _log.error("ledger_rebuild_failed", kind=type(error).__name__, reason=str(error)[:200])
        else:
            self.status.state = "done"
            _log.info("ledger_rebuilt", events=self.status.events, put_right=self.status.put_right)

    def _told(self, events: int, total: int) -> None:
        if self._stopping:
            raise InterruptedError("the daemon is stopping")
        self.status.events, self.status.total = events, max(events, total)
