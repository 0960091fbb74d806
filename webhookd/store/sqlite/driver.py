"""The SQLite library of this process, and what its errors mean.

One per process: two SQLite libraries on one file drop each other's locks (sqlite.org/howtocorrupt.html, 2.2.1).
"""

import sqlite3
from typing import TYPE_CHECKING

from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError

if TYPE_CHECKING:
    driver = sqlite3
else:
    try:
        from pysqlite3 import dbapi2 as driver
    except ImportError:
        driver = sqlite3

# Both bind as they are; but the driver first looks for an adapter, and not to find one costs it two exceptions each.
for _bound_as_is in (bytes, type(None)):
    driver.register_adapter(_bound_as_is, lambda value: value)
_BROKEN = ("SQLITE_IOERR", "SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_PROTOCOL", "SQLITE_READONLY", "SQLITE_CANTOPEN")
_LATER = ("SQLITE_FULL", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_NOMEM", "SQLITE_INTERRUPT")
WORDS_CHARS_MAX = 200
_RESET_BUG_FIXED = ((3, 44, 6), (3, 50, 7), (3, 51, 3))


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Whether this SQLite can lose commits when two connections checkpoint and write (sqlite.org/wal.html)."""
    fixed = any(version[:2] == fix[:2] and version >= fix for fix in _RESET_BUG_FIXED) or version >= (3, 51, 3)
    return version >= (3, 7, 0) and not fixed


def in_its_words(error: Exception) -> str:
    """What SQLite says may quote a damaged file: no more of that than a line can hold."""
    text = str(error)
    return text if len(text) <= WORDS_CHARS_MAX else f"{text[:WORDS_CHARS_MAX]} …"


def sorted_error(error: Exception) -> Exception:
    """The store's own error for a driver's, by what the caller can do about it; others as they are."""
    if isinstance(error, driver.Error | sqlite3.Error):
        name = getattr(error, "sqlite_errorname", None) or ""
        if name.startswith(_BROKEN):
            return StoreBrokenError(f"{name}: {in_its_words(error)}")
        if name.startswith(_LATER):
            return StoreUnavailableError(f"{name}: {in_its_words(error)}")
    return error
