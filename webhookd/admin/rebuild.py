"""`/api/v1/ledger/rebuild`: long work on the store, begun with POST, one at a time, and watched with GET."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import msgspec
import structlog

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.door.reasons import ConflictError

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

    def operations(self) -> Sequence[Operation]:
        path = "/api/v1/ledger/rebuild"
        return [
            Operation("GET", path, self.show, "How far the last rebuild of the ledger is", RebuildStatus),
            Operation(
                "POST",
                path,
                self.start,
                "Rebuild the ledger from the log, in the background",
                RebuildStatus,
                scope="admin",
                action="ledger.rebuild",
                status=202,
                problems=[409],
            ),
        ]

    async def show(self, _asked: Asked[Nothing, Nothing]) -> RebuildStatus:
        return self.status

    async def start(self, _asked: Asked[Nothing, Nothing]) -> RebuildStatus:
        if self._task is not None and not self._task.done():
            raise ConflictError("The ledger is being rebuilt already.")
        self.status = RebuildStatus("running")
        self._task = asyncio.create_task(self._run(), name="ledger-rebuild")
        return self.status

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
