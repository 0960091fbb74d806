"""Brings the data directory up to date before the store is opened: what a crash has left of backups, the schema."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from webhookd.clock import Clock
from webhookd.config.model import Config
from webhookd.observe.sd_notify import notify
from webhookd.providers import reread
from webhookd.store.data_dir import DataDir
from webhookd.store.protocol.backups import Told
from webhookd.store.seal import seal_for
from webhookd.store.sqlite.backup import remove_drafts
from webhookd.store.sqlite.compact import COMPACTED_BYTES_MAX, NotNowError, compact, is_compact
from webhookd.store.sqlite.migrate import Migrated, migrate, outdated
from webhookd.store.sqlite.uncut import to_its_end

SAID_EVERY_S = 5.0
PATIENCE_US = 60_000_000
"""What systemd is asked to go on waiting for, each time. A long statement cannot say that it lives, so this is said
whether or not it does; the log shows what is going on."""
_log = structlog.get_logger("webhookd.upgrade")
T = TypeVar("T")


def nobody(_what: str, _done: int, _total: int) -> None:
    """Hears it and does not care."""


async def bring_up_to_date(
    data_dir: DataDir, config: Config, clock: Clock, told: Told = nobody, *, compact_up_to: int = COMPACTED_BYTES_MAX
) -> Migrated | None:
    """What was migrated, if anything was. `told` is called on another thread; what it raises ends the work.

    A crash leaves the database as it was or as it is to be. Raises StoreError, SealError, OSError.
    """
    if drafts := remove_drafts(data_dir.path):
        _log.info("unfinished_backups_removed", count=drafts)
    path = config.database
    migrated = None
    if (found := await to_its_end(lambda: outdated(path))) is not None:
        seal = seal_for(data_dir.path, config.store.key, config.store.old_keys)
        stamp = datetime.fromtimestamp(clock.now_ms() / 1_000, UTC).strftime("%Y%m%dT%H%M%SZ")
        _log.info("migrating", schema=found, what="a verified copy is made first, then all is changed at once")
        migrated = await _said("migrating", told, lambda told: migrate(path, seal, reread, told, stamp=stamp))
        if migrated is not None:
            _log.info("migrated", was=migrated.schema, backup=str(migrated.backup))
    if config.store.checkpoint == "own" and not await to_its_end(lambda: is_compact(path)):
        try:
            await _said("compacting", told, lambda told: compact(path, told, bytes_max=compact_up_to))
        except NotNowError as error:
            _log.warning("not_compacted", why=str(error), what="freed space is used again, but the file stays as it is")
        else:
            _log.info("compacted", bytes=path.stat().st_size)
    return migrated


async def _said(doing: str, told: Told, work: Callable[[Told], T]) -> T:
    """Have it done on a thread, and the log and systemd told about it now and then."""
    at = ("", 0, 0)

    def note(what: str, done: int, total: int) -> None:
        nonlocal at
        at = (what, done, total)
        told(what, done, total)

    working = asyncio.ensure_future(to_its_end(lambda: work(note)))
    try:
        while True:
            notify(f"EXTEND_TIMEOUT_USEC={PATIENCE_US}", f"STATUS={doing}: {at[0]}")
            ended, _ = await asyncio.wait([working], timeout=SAID_EVERY_S)
            if ended:
                return working.result()
            _log.info(doing, step=at[0], done=at[1], total=at[2])
    finally:
        if not working.done():  # it was cancelled
            working.cancel()
            await asyncio.wait([working])
