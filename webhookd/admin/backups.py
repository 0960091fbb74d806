"""`/api/v1/backup`: a copy of the database, made beside all else; begun with POST, watched with GET."""

import asyncio
import re
from collections.abc import Sequence
from contextvars import Context
from typing import Annotated, Literal

import msgspec
import structlog
from msgspec import Meta

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.admin.door.reasons import ConflictError, Mistake, MistakesError, RefusedError
from webhookd.clock import Clock
from webhookd.core.units import time_text
from webhookd.store.protocol.backups import NAME_PATTERN, Backups, NameTakenError, NoRoomError, check_name

_log = structlog.get_logger("webhookd.admin")


class BackupRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    file: Annotated[str, Meta(pattern=NAME_PATTERN)] | None = None
    """A name in the data directory's `backups/`, which must not be there yet; default: the time."""


class Backup(msgspec.Struct):
    state: Literal["never", "running", "done", "failed"] = "never"
    """Of the last one since the daemon started."""
    step: Literal["copying", "verifying"] | None = None
    """What is being done, of one that runs."""
    file: str | None = None
    path: str | None = None
    """Where it is, once it is done."""
    done: int = 0
    """Bytes copied so far."""
    total: int = 0
    """Bytes to copy; it may grow."""
    size: int | None = None
    """Bytes of the file, once it is done."""
    events: int | None = None
    """In its log."""
    error: str | None = None
    """Of one that failed: why."""
    begun_at: str | None = None
    ended_at: str | None = None


class BackupApi:
    def __init__(self, backups: Backups, clock: Clock) -> None:
        self._backups = backups
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._shown = Backup()

    def operations(self) -> Sequence[Operation]:
        path = "/api/v1/backup"
        return [
            Operation("GET", path, self.show, "How far the last backup is", Backup),
            Operation(
                "POST",
                path,
                self.begin,
                "Copy the database, in the background",
                Backup,
                scope="admin",
                action="backup.create",
                body=BackupRequest,
                status=202,
                problems=[409, 507],
                detail="The copy has its name once it is verified and fsynced. It is one file, and holds all but the "
                "key that endpoints' secrets are sealed with (`store.key`). A second one is refused until the first is "
                "over.",
            ),
        ]

    async def show(self, _asked: Asked[Nothing, Nothing]) -> Backup:
        return self._shown

    async def begin(self, asked: Asked[Nothing, BackupRequest]) -> Backup:
        if self._task is not None and not self._task.done():
            raise ConflictError("A backup is under way already; GET /api/v1/backup shows how far it is.")
        now = time_text(self._clock.now_ms())
        name = asked.body.file or f"webhookd-{re.sub('[^0-9TZ]', '', now)}.db"
        try:
            check_name(name)
            self._backups.check(name)
        except ValueError as error:
            raise MistakesError([Mistake("file", str(error))]) from None
        except NameTakenError as error:
            raise ConflictError(str(error)) from None
        except NoRoomError as error:
            raise RefusedError(507, str(error)) from None
        self._shown = Backup("running", file=name, begun_at=now)
        # It is none of the request's affairs what becomes of it.
        self._task = asyncio.create_task(self._run(name, self._shown), name="backup", context=Context())
        return self._shown

    async def stop(self) -> None:
        """At the next step. What was copied is thrown away."""
        self._stopping = True
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self, name: str, shown: Backup) -> None:
        def told(what: str, done: int, total: int) -> None:
            if self._stopping:
                raise InterruptedError("the daemon was stopped")
            shown.step = "copying" if what == "copying" else "verifying"
            if what == "copying":
                shown.done, shown.total = done, total

        try:
            made = await self._backups.make(name, told)
        except Exception as error:  # noqa: BLE001 - told by the state, and in the log
            shown.state, shown.error = "failed", str(error)[:500]
            _log.error("backup_failed", file=name, kind=type(error).__name__, reason=str(error)[:200])
        else:
            shown.state, shown.path, shown.size, shown.events = "done", made.path, made.size, made.events
            _log.info("backup_made", path=made.path, bytes=made.size, events=made.events)
        shown.step, shown.ended_at = None, time_text(self._clock.now_ms())
