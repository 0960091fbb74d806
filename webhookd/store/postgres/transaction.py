"""Transactions that write to the log: beside those of other nodes, or with the log to themselves."""

from collections.abc import Callable
from typing import TypeVar

from webhookd.store.postgres.connection import Speaking

T = TypeVar("T")
_LOCK = "SELECT pg_advisory_xact_lock{}(log_lock())"
TOGETHER, ALONE = _LOCK.format("_shared"), _LOCK.format("")


def together(connection: Speaking, write: Callable[[Speaking], T]) -> T:
    """Events and attempts: several nodes commit theirs at the same time, and none while a change is made."""
    return _committed(connection, (TOGETHER,), write)


def alone(connection: Speaking, change: Callable[[Speaking], T], waits: tuple[str, ...] = ()) -> T:
    """A change has the log to itself, as if there were one writer: what it has read is so until it has written.

    `waits` are settings of this transaction, made before it waits for its turn.
    """
    return _committed(connection, (*waits, ALONE), change)


def _committed(connection: Speaking, first: tuple[str, ...], write: Callable[[Speaking], T]) -> T:
    connection.ask("BEGIN")
    for each in first:
        connection.ask(each)
    written = write(connection)
    connection.ask("COMMIT")
    return written
