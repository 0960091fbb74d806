"""One batch of writes, one sync. Runs on the writer's thread.

Few statements, each of many rows: every one lets go of the interpreter's lock five times and more, and getting it back
from a busy event loop costs more than the statement.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import msgspec

from webhookd.core.delivery import Settlement
from webhookd.core.event import Event
from webhookd.store.protocol.errors import StoreBrokenError, StoreError, StoreUnavailableError
from webhookd.store.sql.batch import Committed, note_alone, of_what_is_past, write_all
from webhookd.store.sql.connection import Write
from webhookd.store.sqlite.driver import sorted_error
from webhookd.store.sqlite.statements import STATEMENT_ROWS_MAX, Speaking

Commit = Callable[[Callable[[], Any]], Any]
"""Does what ends a transaction, or is one, and returns what that gives once it is durable."""


def apply(connection: sqlite3.Connection, batch: Sequence[Write], commit: Commit) -> Committed:
    """One batch, one sync. A write that cannot be made fails alone, the others are made again."""
    speaking = Speaking(connection)
    try:
        if _is_plain(batch):
            return cast(Committed, commit(partial(write_all, speaking, batch)))
        connection.execute("BEGIN IMMEDIATE")
        committed = write_all(speaking, batch)
        commit(partial(connection.execute, "COMMIT"))
    except Exception as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if len(batch) == 1 and not isinstance(sorted_error(error), StoreBrokenError):
            if (settlement := of_what_is_past(speaking, batch[0])) is not None:
                return _note_alone(connection, settlement, commit)
            return Committed([sorted_error(error)], [], owed_complete=True)
        if isinstance(sorted_error(error), StoreError):
            if _may_be_there_in_part(batch, sorted_error(error)):
                return Committed([sorted_error(error)] * len(batch), [], owed_complete=False)
            raise
        alone = [apply(connection, [write], commit) for write in batch]
        return Committed(
            [committed.results[0] for committed in alone],
            [due for committed in alone for due in committed.owed],
            all(committed.owed_complete for committed in alone),
        )
    return committed


def _is_plain(batch: Sequence[Write]) -> bool:
    """Whether one statement is enough for each kind of write: so it is with nearly every batch.

    Then each is a transaction by itself, and one sync is for all: to begin one and to end it are statements, too. No
    write needs another of its batch, and nobody is told of one before all are durable.
    """
    return len(batch) <= STATEMENT_ROWS_MAX and all(
        write.alias is None if isinstance(write, Event) else isinstance(write, Settlement) and write.aftermath is None
        for write in batch
    )


def _may_be_there_in_part(batch: Sequence[Write], error: Exception) -> bool:
    """Whether events may be committed, though the settlements after them were not: who they are owed to must look."""
    kinds = {type(write) for write in batch}
    return isinstance(error, StoreUnavailableError) and _is_plain(batch) and kinds == {Event, Settlement}


def _note_alone(connection: sqlite3.Connection, settlement: Settlement, commit: Commit) -> Committed:
    aftermath = settlement.aftermath
    if aftermath is None:
        return Committed([None], [], owed_complete=True)
    note = partial(note_alone, settlement=settlement, aftermath=aftermath)
    return msgspec.structs.replace(apply(connection, [note], commit), owed_complete=False)
