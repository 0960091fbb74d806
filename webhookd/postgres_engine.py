"""PostgreSQL under the store: a server that may be away for a while, which ends nothing here."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from webhookd.admin.door.reasons import ConflictError
from webhookd.clock import Clock
from webhookd.config.model import Config
from webhookd.engine import CommitTold
from webhookd.observe.sd_notify import notify
from webhookd.service import Failed, Service
from webhookd.sharing import Shared
from webhookd.store.data_dir import DataDir
from webhookd.store.move import LOG_FILE
from webhookd.store.postgres.former import FILE as NODE_FILE
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.protocol.backups import BackupMade, Backups, Told
from webhookd.store.protocol.errors import StoreError, StoreUnavailableError

SERVER_CHECK_S = 1.0
CLOCK_CHECK_S = 5.0
WAIT_S_MIN, WAIT_S_MAX = 0.25, 5.0
"""Between two tries to reach a server that is not there yet."""
SAID_EVERY_S = 30.0
PATIENCE_US = 60_000_000
"""What systemd is asked to go on waiting for, each time."""
NO_BACKUPS = (
    "The store is in PostgreSQL, whose own tools back it up while it is in use: pg_dump with --schema, or a base "
    "backup and its WAL for any point in time. Keep a copy of store.key, too."
)
_log = structlog.get_logger("webhookd.daemon")


class PostgresEngine:
    """Fits `engine.Engine`."""

    name = "postgresql"
    files = (0, 0)

    def __init__(self, config: Config, clock: Clock, told: CommitTold) -> None:
        self._config = config
        self._clock = clock
        self.store = PostgresStore(config.store.url.url.reveal(), told, clock.now_ms)
        self._clock_is_off = False

    @property
    def shared(self) -> Shared:
        return self.store

    @property
    def version(self) -> str:
        return self.store.server_version

    def min_free(self, _configured: int) -> int:
        return 0  # what is stored is on the server's disk

    async def open(self, data_dir: DataDir, stop: asyncio.Event) -> bool:
        """Wait for a server that cannot be reached: after a power cut it may be up later than this process.

        To exit would have the supervisor start another one that finds the same. What waiting cannot mend, like a wrong
        password or a clock that is off, raises WrongStoreError at once.
        """
        self.store.node_file = data_dir.path / NODE_FILE
        wait_s, said_at, said = WAIT_S_MIN, 0.0, ""
        while not stop.is_set():
            try:
                if (data_dir.path / LOG_FILE).exists():
                    await self._finish_move(data_dir.path)
                await self.store.open()
            except StoreUnavailableError as error:
                now, why = self._clock.monotonic(), str(error)
                if why != said or now - said_at >= SAID_EVERY_S:
                    said_at, said = now, why
                    _log.warning("store_is_away", why=why, what="waiting for it; hooks are not taken before")
                notify(f"EXTEND_TIMEOUT_USEC={PATIENCE_US}", f"STATUS=waiting for the database: {why}")
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), wait_s)
                wait_s = min(2 * wait_s, WAIT_S_MAX)
            else:
                return True
        return False

    async def _finish_move(self, data_dir: Path) -> None:
        from webhookd.store.move.move import finish  # noqa: PLC0415 - it needs the other engine, too

        await finish(data_dir, self._config.store.url.url.reveal(), self._clock.now_ms())

    def duties(self, failed: Failed) -> Sequence[Service]:
        return [
            Service("server-watch", SERVER_CHECK_S, self.store.look, failed),
            Service("clock-watch", CLOCK_CHECK_S, self._watch_clock, failed),
        ]

    def why_broken(self, error: StoreError) -> str:
        return str(error)

    def why_stalled(self) -> str:
        return self.store.away or "PostgreSQL takes too long to commit"

    def backups(self, _keep_free: int) -> Backups:
        return _NoBackups()

    async def _watch_clock(self) -> None:
        """A clock that is set wrong while this runs is spoken of, once: to end what delivers would help nobody."""
        with suppress(StoreUnavailableError):
            off = await self.store.why_clock_is_off()
            if off and not self._clock_is_off:
                _log.error("clock_is_off", why=off)
            elif self._clock_is_off and not off:
                _log.info("clock_is_right", why="it is the server's again")
            self._clock_is_off = off is not None


class _NoBackups:
    """Fits `store.protocol.backups.Backups`."""

    def check(self, _name: str) -> None:
        raise ConflictError(NO_BACKUPS)

    async def make(self, _name: str, _told: Told) -> BackupMade:
        raise ConflictError(NO_BACKUPS)
