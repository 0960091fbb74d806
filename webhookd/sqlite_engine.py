"""SQLite under the store: files in the data directory, which are brought up to date, looked at and copied."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from webhookd.clock import Clock
from webhookd.config.mistake import ConfigError
from webhookd.config.model import Config
from webhookd.engine import CommitTold
from webhookd.service import Failed, Service
from webhookd.store.data_dir import DataDir, file_system_of, is_read_only
from webhookd.store.protocol.backups import Backups
from webhookd.store.protocol.errors import StoreError
from webhookd.store.sqlite.driver import driver, has_wal_reset_bug
from webhookd.store.sqlite.store import SqliteStore
from webhookd.store.sqlite.wal import WalWatch
from webhookd.upgrade import bring_up_to_date

FILES_CHECK_S = 1.0
_log = structlog.get_logger("webhookd.daemon")


class SqliteEngine:
    """Fits `engine.Engine`."""

    name = "sqlite"
    shared = None
    version = driver.sqlite_version

    def __init__(self, config: Config, clock: Clock, told: CommitTold) -> None:
        if config.server.role != "all":
            raise ConfigError(["server.role: is for several nodes on one PostgreSQL; with SQLite one does all"])
        self._config = config
        self._clock = clock
        self.store = SqliteStore(config.database, told=told, checkpoints=config.store.checkpoint == "own")
        self._wal = WalWatch(config.database)

    @property
    def files(self) -> tuple[int, int]:
        database = self._config.database
        return _size(database), _size(database.with_name(f"{database.name}-wal"))

    def min_free(self, configured: int) -> int:
        return configured

    async def open(self, data_dir: DataDir, stop: asyncio.Event) -> bool:
        _warn(data_dir.path)

        def told(_what: str, _done: int, _total: int) -> None:
            if stop.is_set():
                raise InterruptedError  # what has been begun is then undone

        try:
            await bring_up_to_date(data_dir, self._config, self._clock, told)
        except (StoreError, InterruptedError):
            if stop.is_set():
                return False
            raise
        await self.store.open()
        return True

    def duties(self, failed: Failed) -> Sequence[Service]:
        return [
            Service("files-watch", FILES_CHECK_S, self.store.upkeep.look, failed),
            Service("wal-watch", FILES_CHECK_S, self._watch_wal, failed),
        ]

    def why_broken(self, error: StoreError) -> str:
        if is_read_only(self._config.data_dir):
            return f"the file system of {self._config.data_dir} has become read-only ({error})"
        return str(error)

    def why_stalled(self) -> str:
        return "the disk takes too long to commit"

    def backups(self, keep_free: int) -> Backups:
        return self.store.backups(keep_free)

    async def _watch_wal(self) -> None:
        if self._wal.look():
            what = "whoever checkpoints (store.checkpoint) does not, or somebody reads the database and does not stop"
            if self._wal.is_large:
                _log.warning("wal_large", bytes=self._wal.bytes, what=what)
            else:
                _log.info("wal_has_shrunk")


def _warn(data_dir: Path) -> None:
    if has_wal_reset_bug(tuple(map(int, driver.sqlite_version.split(".")))):
        _log.warning(
            "sqlite_has_wal_reset_bug",
            version=driver.sqlite_version,
            what="only this process may write the database, which keeps it safe; SQLite 3.51.3 has the fix",
        )
    if file_system_of(data_dir).startswith("fuse"):
        _log.warning("data_dir_on_fuse", what="whether fsync is honoured depends on the file system")


def _size(path: Path) -> int:
    """By its name only: to open the database beside SQLite would drop its locks."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
