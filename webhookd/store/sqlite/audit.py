"""Every promise checked against the database, beside a running daemon or on a copy. Reads only."""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from webhookd.store.protocol.store import Reread
from webhookd.store.sql.audit import Finding, Progress, among_deliveries, in_the_ledger, in_the_log, unheard
from webhookd.store.sql.recount import UnreadableError
from webhookd.store.sqlite.driver import driver, in_its_words
from webhookd.store.sqlite.recount import Recount
from webhookd.store.sqlite.statements import Speaking

INTEGRITY_LINES_MAX = 100
_UNREADABLE = (driver.DatabaseError, sqlite3.DatabaseError, UnreadableError, UnicodeDecodeError, struct.error)
"""Of a damaged file: also what SQLite says of it, where that quotes bytes of it, and keys that are none."""


def audit(path: Path, reread: Reread, progress: Progress = unheard) -> Iterator[Finding]:
    """All that is wrong. Raises StoreError for a file that is no database of webhookd's."""
    with closing(Recount(path, reread)) as recount:
        connection = Speaking(recount.connection)
        try:
            yield from _integrity(recount.connection, progress)
            yield from in_the_log(recount, progress)
            yield from among_deliveries(connection, progress)
            yield from in_the_ledger(recount, connection, progress)
        except _UNREADABLE as error:
            yield Finding("integrity", "database", f"cannot be read further: {in_its_words(error)}")


def _integrity(connection: sqlite3.Connection, progress: Progress) -> Iterator[Finding]:
    progress("integrity of the database", 0, None)
    for (line,) in connection.execute(f"PRAGMA log.integrity_check({INTEGRITY_LINES_MAX})"):
        if line != "ok":
            yield Finding("integrity", "database", str(line))
    for table, row, parent, _number in connection.execute("PRAGMA log.foreign_key_check"):
        yield Finding("integrity", f"{table} {row}", f"points to nothing in {parent}")
