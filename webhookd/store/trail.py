"""The audit trail in SQLite: the row of a deed is written by the change that it makes, in its transaction."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from webhookd.store.batch import Change
from webhookd.store.connection import SerialConnection
from webhookd.store.queries import ACCESS
from webhookd.store.trail_protocol import AuditRow, Deed, TrailFilter

NUMBER_MAX = 2**63 - 1


class SqliteTrail:
    """Fits `trail_protocol.Trail`. `change` runs a function on the writer's thread, in a transaction."""

    def __init__(self, reader: SerialConnection, change: Callable[[Change], Awaitable[object]]) -> None:
        self._read = reader.read
        self._change = change

    async def record(self, deed: Deed) -> None:
        def put(connection: sqlite3.Connection) -> None:
            _record(connection, deed, by=put)

        await self._change(put)

    async def list(self, narrowed: TrailFilter, limit: int) -> Sequence[AuditRow]:
        given = {
            "below": NUMBER_MAX if narrowed.below is None else narrowed.below,
            "actor": narrowed.actor,
            "action": narrowed.action,
            "subject": narrowed.subject,
            "since": narrowed.since_ms,
            "until": narrowed.until_ms,
            "limit": limit,
        }
        return [AuditRow(*row) for row in await self._read(ACCESS["trail"], given)]


async def on_record(change: Change, deed: Deed, submit: Callable[[Change], Awaitable[object]]) -> Any:
    """Submit the change of a deed: whichever is the first to write something writes the deed's row, too.

    A batch that fails is written again, change by change; so what holds the row is known by the change that wrote it.
    """

    def recorded(connection: sqlite3.Connection) -> object:
        before = connection.total_changes
        result = change(connection)
        if connection.total_changes != before:
            _record(connection, deed, by=recorded)
        return result

    try:
        return await submit(recorded)
    except Exception:
        if deed.recorded_by is recorded:  # it was undone with all else
            deed.recorded_by = None
        raise


def _record(connection: sqlite3.Connection, deed: Deed, *, by: object) -> None:
    if deed.recorded_by in (None, by):
        deed.recorded_by = by
        row = (deed.at_ms, deed.actor, deed.address, deed.action, deed.subject, deed.detail)
        connection.execute(ACCESS["record"], row)
