"""`/api/v1/cleanup`: finished history taken out now, or only counted; begun with POST, watched with GET."""

import asyncio
from collections.abc import Sequence
from contextvars import Context
from typing import Annotated, Literal

import msgspec
import structlog
from msgspec import Meta

from webhookd.admin.broom import Broom, Sweep
from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.door.reasons import ConflictError
from webhookd.admin.door.texts import SignerName
from webhookd.clock import Clock
from webhookd.core.fault import place
from webhookd.core.identifier import COUNTER_BITS, key_floor
from webhookd.core.units import time_text
from webhookd.store.protocol.retention import Extent, Tally

DAYS_MAX = 36_500
_DAY_MS = 86_400_000
_log = structlog.get_logger("webhookd.admin")


class CleanupRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    days: Annotated[int, Meta(ge=0, le=DAYS_MAX)]
    """History that was received, and finished, longer ago goes. 0: all that is finished."""
    provider: SignerName | None = None
    dry_run: bool = False
    """Only count it."""


class Gone(msgspec.Struct):
    """What went; of a dry run, what would go."""

    events: int = 0
    deliveries: int = 0
    attempts: int = 0
    bytes: int = 0
    """Of bodies."""


class Kept(msgspec.Struct):
    """Events that are old enough and stay."""

    undelivered: int = 0
    """Something of them is pending."""
    recent: int = 0
    """Settled too recently."""
    replayed: int = 0
    """A replay that is under way may come to them."""


class Cleanup(msgspec.Struct):
    state: Literal["never", "running", "done", "failed", "cancelled"] = "never"
    """Of the last one since the daemon started."""
    dry_run: bool = False
    days: int | None = None
    before: str | None = None
    """Received, and finished, before this time."""
    provider: str | None = None
    progress: float = 0.0
    """How much of the log's time has been looked at, 0 to 1."""
    gone: Gone = msgspec.field(default_factory=Gone)
    by_provider: dict[str, Gone] = msgspec.field(default_factory=dict)
    kept: Kept = msgspec.field(default_factory=Kept)
    given_back: int = 0
    """Bytes that the database's file has become shorter by."""
    begun_at: str | None = None
    ended_at: str | None = None


class CleanupApi:
    def __init__(self, broom: Broom, clock: Clock) -> None:
        self._broom = broom
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._sweep: Sweep | None = None
        self._shown = Cleanup()

    def operations(self) -> Sequence[Operation]:
        path = "/api/v1/cleanup"
        return [
            Operation("GET", path, self.show, "How far the last cleanup is", Cleanup),
            Operation(
                "POST",
                path,
                self.begin,
                "Take finished history out of the log, in the background",
                Cleanup,
                scope="admin",
                action="cleanup",
                body=CleanupRequest,
                status=202,
                problems=[409],
                detail="Never anything undelivered. What it said of money stays in the ledger, and a repeat of it is "
                "still known as one. A second one is refused until the first is over.",
            ),
            Operation(
                "POST",
                f"{path}/cancel",
                self.cancel,
                "End a cleanup before it is done",
                Cleanup,
                scope="admin",
                action="cleanup.cancel",
                detail="What is gone stays gone.",
            ),
        ]

    async def show(self, _asked: Asked[Nothing, Nothing]) -> Cleanup:
        return self._now()

    async def begin(self, asked: Asked[Nothing, CleanupRequest]) -> Cleanup:
        if self._task is not None and not self._task.done():
            raise ConflictError("A cleanup is under way already; GET /api/v1/cleanup shows how far it is.")
        wanted, now_ms = asked.body, self._clock.now_ms()
        before_ms = max(0, now_ms - wanted.days * _DAY_MS)
        extent = Extent(key_floor(before_ms), before_ms, provider=wanted.provider)
        self._sweep = Sweep(extent, is_dry=wanted.dry_run)
        self._shown = Cleanup(
            state="running",
            dry_run=wanted.dry_run,
            days=wanted.days,
            before=time_text(before_ms),
            provider=wanted.provider,
            begun_at=time_text(now_ms),
        )
        # It is none of the request's affairs what becomes of it.
        self._task = asyncio.create_task(self._run(self._sweep, self._shown), name="cleanup", context=Context())
        return self._now()

    async def cancel(self, _asked: Asked[Nothing, Nothing]) -> Cleanup:
        """One that is over stays what it is."""
        if self._sweep is not None and self._task is not None and not self._task.done():
            self._sweep.is_stopped = True
            await asyncio.wait([self._task])
        return self._now()

    async def stop(self) -> None:
        """At the next step; a rest is cut short."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, sweep: Sweep, shown: Cleanup) -> None:
        try:
            await self._broom.sweep(sweep)
            if not sweep.is_dry:
                await self._broom.give_back(sweep)
        except Exception as error:  # noqa: BLE001 - told by the state, and in the log
            shown.state = "cancelled" if sweep.is_stopped else "failed"
            if not sweep.is_stopped:
                _log.error("cleanup_failed", kind=type(error).__name__, at=place(error))
        else:
            shown.state = "cancelled" if sweep.is_stopped else "done"
        shown.ended_at = time_text(self._clock.now_ms())
        gone = sweep.total
        _log.info("cleanup_over", state=shown.state, dry_run=sweep.is_dry, events=gone.events, bytes=gone.bytes)

    def _now(self) -> Cleanup:
        sweep, shown = self._sweep, self._shown
        if sweep is not None:
            shown.gone = _gone(sweep.total)
            shown.by_provider = {name: _gone(sweep.tallies[name]) for name in sorted(sweep.tallies)}
            shown.kept = Kept(*(sweep.stay.get(each, 0) for each in ("undelivered", "recent", "replayed")))
            shown.given_back = sweep.given_back
            shown.progress = 1.0 if shown.state == "done" else _progress(sweep)
        return shown


def _gone(tally: Tally) -> Gone:
    return Gone(tally.events, tally.deliveries, tally.attempts, tally.bytes)


def _progress(sweep: Sweep) -> float:
    if sweep.first is None:
        return 0.0
    first_ms, then_ms, end_ms = (key >> COUNTER_BITS for key in (sweep.first, sweep.then, sweep.extent.below))
    return round(max(0, then_ms - first_ms) / max(1, end_ms - first_ms), 4)
