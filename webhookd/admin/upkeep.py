"""Long work on the store, begun by a person and watched from outside: rebuilding the ledger."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

import msgspec
import structlog

Told = Callable[[int, int], None]
_log = structlog.get_logger("webhookd.admin")


class RebuildStatus(msgspec.Struct):
    state: Literal["never", "running", "done", "failed"] = "never"
    events: int = 0
    """Counted so far."""
    total: int = 0
    put_right: int | None = None
    """Objects of the ledger that were otherwise; known when it is done."""


class LedgerRebuild:
    """One at a time. `rebuild` is the store's."""

    def __init__(self, rebuild: Callable[[Told], Awaitable[int]]) -> None:
        self._rebuild = rebuild
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self.status = RebuildStatus()

    def start(self) -> bool:
        """False when one is under way."""
        if self._task is not None and not self._task.done():
            return False
        self.status = RebuildStatus("running")
        self._task = asyncio.create_task(self._run(), name="ledger-rebuild")
        return True

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
