"""A batch of rows that are new, as nearly all are: one statement, which is a transaction of its own."""

from collections.abc import Sequence

from webhookd.core.delivery import Settlement
from webhookd.core.event import Appended, Event
from webhookd.store.postgres.connection import Speaking
from webhookd.store.postgres.statements import rows
from webhookd.store.protocol.errors import FencedError
from webhookd.store.sql.batch import ANNOUNCED_MAX, Committed, of_new, owed_of

Row = Event | Settlement
ODD = object()
"""The result of a row that was not written here: it takes looking at what is there."""


def may_be_new(row: Row) -> bool:
    """Whether it is one row and no more, unless it is known."""
    return isinstance(row, Event) or row.aftermath is None


def write_at_once(connection: Speaking, batch: Sequence[Row]) -> Committed:
    """Commits those that are new. The others are ODD: events whose ids are known, attempts that change their endpoint.

    To ask again for the same does no harm: what was written is known then.
    """
    events = [row for row in batch if isinstance(row, Event)]
    attempts = [row for row in batch if isinstance(row, Settlement) and may_be_new(row)]
    given = {
        "events": rows("event", events),
        "aliases": rows("alias", [event for event in events if event.alias is not None]),
        "attempts": rows("attempt", attempts),
        "owed_max": ANNOUNCED_MAX,
    }
    keys, owed, owed_count, fences = connection.execute("add.rows", given).fetchone()
    new, claimed = frozenset(keys), None if fences is None else dict(fences)

    def result(row: Row) -> Appended | FencedError | object | None:
        if isinstance(row, Event):
            return of_new(row) if row.key in new else ODD
        if not may_be_new(row):
            return ODD
        return None if claimed is None or claimed.get(row.key.endpoint) == row.fence else FencedError()

    return Committed(
        [result(row) for row in batch],
        owed_of({event.key: event for event in events}, owed),
        owed_count < ANNOUNCED_MAX,
    )
