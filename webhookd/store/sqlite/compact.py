"""Has an older file give back the space that retention frees: it is written anew, once, and put in its own place.

A file that was made before schema 4 keeps all that it ever took. What `auto_vacuum` is can only be changed by writing
all of it again: into a copy beside it (VACUUM would do that in memory), verified, fsynced, and renamed over it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from webhookd.store.protocol.backups import NoRoomError, Told
from webhookd.store.protocol.errors import StoreError
from webhookd.store.sqlite.backup import check_room, remove_draft, size_of, sync, verified
from webhookd.store.sqlite.connection import SCHEMA_VERSION, open_alone
from webhookd.store.sqlite.driver import driver, sorted_error

COMPACTED_BYTES_MAX = 2**30
"""What `serve` compacts when it starts: some seconds. `webhookd migrate` takes the time for more."""
_INCREMENTAL = 2
_TICK_INSTRUCTIONS = 1_000_000


class NotNowError(StoreError):
    """The file was left as it is, which is good to go on with. The message says why."""


def is_compact(path: Path) -> bool:
    """Whether there is nothing to do: also when there is no file yet."""
    if not path.exists():
        return True
    with closing(open_alone(path, read_only=True)) as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (kind,) = connection.execute("PRAGMA auto_vacuum").fetchone()
        return bool(pages == 0 or kind == _INCREMENTAL)


def compact(path: Path, told: Told, *, bytes_max: int) -> None:
    """For who holds the data directory. A crash leaves the file as it was, or as it is to be.

    Raises NotNowError when it is larger than that, the disk has no room for both, or another process has it open.
    """
    draft = path.with_name(f".{path.name}.unfinished")
    remove_draft(draft)
    if (size := size_of(path)) > bytes_max:
        raise NotNowError(f"{path} has {size} bytes: stop the daemon when there is time, and run `webhookd migrate`")
    try:
        check_room(path, path.parent, size)
    except NoRoomError as error:
        raise NotNowError(str(error)) from None
    try:
        last_key = _write_anew(path, draft, told)
        verified(draft, SCHEMA_VERSION, last_key, told)
        sync(draft)
        # A WAL that is still there belongs to the file as it was.
        if any(path.with_name(f"{path.name}{end}").exists() for end in ("-wal", "-journal")):
            raise NotNowError("another process has the database open")
        sync(path.parent)  # nor may it come back after a power cut, beside the file that it would be played into
        draft.rename(path)
        sync(path.parent)
    except (driver.Error, sqlite3.Error) as error:
        raise NotNowError(str(sorted_error(error))) from error
    finally:
        remove_draft(draft)


def _write_anew(path: Path, draft: Path, told: Told) -> int:
    """The last event in it; the file has no WAL any more once it is closed, unless somebody else has it open."""

    def tick() -> None:
        told("writing the database anew", 0, 0)

    with closing(open_alone(path, auto_vacuum="INCREMENTAL")) as connection:
        draft.touch(mode=0o600, exist_ok=False)
        connection.set_progress_handler(tick, _TICK_INSTRUCTIONS)
        connection.execute("VACUUM INTO ?", (str(draft),))
        connection.set_progress_handler(None, 0)
        (last_key,) = connection.execute("SELECT coalesce(max(key), 0) FROM event").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return int(last_key)
