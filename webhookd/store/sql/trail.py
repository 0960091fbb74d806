"""The audit trail: the row of a deed is written by the change that it makes, in its transaction."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from webhookd.store.protocol.trail import AuditRow, Deed, TrailFilter
from webhookd.store.sql.connection import Change, Connection, Reader

NUMBER_MAX = 2**63 - 1


class SqlTrail:
    """Fits `protocol.trail.Trail`. `change` runs a function in the transaction of a commit."""

    def __init__(self, reader: Reader, change: Callable[[Change], Awaitable[object]]) -> None:
        self._read = reader.read
        self._change = change

    async def record(self, deed: Deed) -> None:
        def put(connection: Connection) -> None:
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
        return [AuditRow(*row) for row in await self._read("access.trail", given)]


async def on_record(change: Change, deed: Deed, submit: Callable[[Change], Awaitable[object]]) -> Any:
    """Submit the change of a deed: whichever is the first to write something writes the deed's row, too.

    A batch that fails is written again, change by change; so what holds the row is known by the change that wrote it.
    """

    def recorded(connection: Connection) -> object:
        before = connection.changes
        result = change(connection)
        if connection.changes != before:
            _record(connection, deed, by=recorded)
        return result

    try:
        return await submit(recorded)
    except Exception:
        if deed.recorded_by is recorded:  # it was undone with all else
            deed.recorded_by = None
        raise


def _record(connection: Connection, deed: Deed, *, by: object) -> None:
    if deed.recorded_by in (None, by):
        deed.recorded_by = by
        row = (deed.at_ms, deed.actor, deed.address, deed.action, deed.subject, deed.detail)
        connection.execute("access.record", row)
