"""Every promise checked against the database, beside a running daemon or on a copy. Reads only."""

import hashlib
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from webhookd.core.event import Event
from webhookd.core.identifier import delivery_id, event_id
from webhookd.store.sqlite.driver import driver, in_its_words
from webhookd.store.sqlite.recount import Recount, Reread, UnreadableError
from webhookd.store.sqlite.statements import STATEMENTS

INTEGRITY_LINES_MAX = 100
_UNREADABLE = (driver.DatabaseError, sqlite3.DatabaseError, UnreadableError, UnicodeDecodeError, struct.error)
"""Of a damaged file: also what SQLite says of it, where that quotes bytes of it, and keys that are none."""
Progress = Callable[[str, int, int | None], None]
"""What is being checked, how much of it is done, and of how much, if that is known."""


class Finding(msgspec.Struct, frozen=True):
    """A broken promise."""

    check: str
    subject: str
    """What it is about: an event, a delivery, an object of the ledger."""
    detail: str


def audit(path: Path, reread: Reread, progress: Progress = lambda _what, _done, _total: None) -> Iterator[Finding]:
    """All that is wrong. Raises StoreError for a file that is no database of webhookd's."""
    with closing(Recount(path, reread)) as recount:
        try:
            yield from _integrity(recount.connection, progress)
            yield from _log(recount, progress)
            yield from _deliveries(recount.connection, progress)
            yield from _ledger(recount, progress)
        except _UNREADABLE as error:
            yield Finding("integrity", "database", f"cannot be read further: {in_its_words(error)}")


def _integrity(connection: sqlite3.Connection, progress: Progress) -> Iterator[Finding]:
    progress("integrity of the database", 0, None)
    for (line,) in connection.execute(f"PRAGMA log.integrity_check({INTEGRITY_LINES_MAX})"):
        if line != "ok":
            yield Finding("integrity", "database", str(line))
    for table, row, parent, _number in connection.execute("PRAGMA log.foreign_key_check"):
        yield Finding("integrity", f"{table} {row}", f"points to nothing in {parent}")


def _log(recount: Recount, progress: Progress) -> Iterator[Finding]:
    """Every event's bytes are those that were signed; counting them on the way."""
    changed: list[Finding] = []

    def told(event: Event, body: bytes | None) -> None:
        if body is not None and (len(body) != event.size or hashlib.sha256(body).digest() != event.sha256):
            changed.append(Finding("bodies", event.id, "the bytes are not those that were taken in"))

    total = recount.total()
    for done in recount.follow(told):
        progress("events", done, total)
        yield from changed
        changed.clear()


def _deliveries(connection: sqlite3.Connection, progress: Progress) -> Iterator[Finding]:
    progress("deliveries", 0, None)
    for key, salt, endpoint in connection.execute(STATEMENTS["audit.not_owed"]):
        yield Finding("deliveries", event_id(key, salt), f"endpoint {endpoint} asked for it and was never owed it")
    for key, salt in connection.execute(STATEMENTS["audit.owed_to_nobody"]):
        yield Finding("deliveries", event_id(key, salt), "passes for routed, and is owed to nobody")
    for event, endpoint in connection.execute(STATEMENTS["audit.owed_twice"]):
        yield Finding("deliveries", delivery_id(event, endpoint), "is there more than once")
    for event, endpoint in connection.execute(STATEMENTS["audit.held_for_nothing"]):
        yield Finding("deliveries", delivery_id(event, endpoint), "waits for one of its payment that is not there")
    for event, endpoint, counted, recorded in connection.execute(STATEMENTS["audit.attempts_unlike"]):
        detail = f"counts {counted} attempts, and {recorded} are on record"
        yield Finding("deliveries", delivery_id(event, endpoint), detail)


def _ledger(recount: Recount, progress: Progress) -> Iterator[Finding]:
    progress("the ledger", 0, None)
    for difference in recount.differences():
        yield Finding("ledger", " ".join(map(str, difference.object)), _difference(difference.what))
    rows: Any = recount.connection.execute(STATEMENTS["audit.captured_untold"])
    for provider, payment_id, endpoint, states in rows:
        if endpoint is None:
            detail = "was captured, and no endpoint was ever owed that"
        else:
            detail = f"was captured, and endpoint {endpoint} will not hear of it: {states}"
        yield Finding("payments", f"{provider} {payment_id}", detail)


def _difference(what: str) -> str:
    if what in ("missing", "extra"):
        return "is missing in the ledger" if what == "missing" else "is in the ledger, and no event speaks of it"
    return f"is not as the log has it: {what}"
