"""Lists as looks along an index: each looks at a bounded number of rows, and says where the next one goes on.

What is wanted may be rare, or not there at all: to go on until a page of it is found would hold the one reader.
What is not narrowed needs no bound: every row of the index is wanted.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from webhookd.store.protocol.history import DeliveryRow, EventRow, Filter, Looked
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.rows import event_row, parameters

LOOKS = 5_000
"""Rows of the log, or of an index of it, that one look goes through."""
Given = Mapping[str, Any]
Row = TypeVar("Row")


def events(connection: Connection, narrowed: Filter, limit: int) -> Looked[EventRow]:
    """Newest first; or, with `after`, oldest first."""
    given = parameters(narrowed, limit)
    is_odd = narrowed.state in ("unrouted", "quarantined")
    is_narrowed = any((narrowed.source, narrowed.provider, narrowed.type))
    if narrowed.after is not None:
        query, ends = "newer_events", "newer_events_up_to"
        is_narrowed |= narrowed.state is not None
    elif is_odd:
        query, ends = "odd_events_page", "odd_events_back_to"
    else:
        query, ends = "events", "events_back_to"
        is_narrowed |= narrowed.state is not None
    end = end_of(connection, f"log.{ends}", given) if is_narrowed else None
    if end is not None:
        given |= {"before": end + 1} if narrowed.after is not None else {"since": end}
    rows = [event_row(row) for row in connection.execute(f"log.{query}", given)]
    return looked(rows, limit, lambda row: (row.key,), None if end is None else (end,))


def deliveries(connection: Connection, narrowed: Filter, limit: int) -> Looked[DeliveryRow]:
    """Newest event first."""
    given = parameters(narrowed, limit)
    query = "deliveries_given_up" if narrowed.state in ("dead", "cancelled") else "deliveries"
    is_narrowed = is_of_some_events(narrowed) or any((narrowed.endpoint, narrowed.error, narrowed.status))
    if query == "deliveries":
        is_narrowed |= narrowed.state is not None
    end = end_of(connection, f"log.{query}_back_to", given) if is_narrowed else None
    if end is not None:
        given["since"] = end
    rows = [DeliveryRow(*row) for row in connection.execute(f"log.{query}", given)]
    return looked_at(rows, limit, end)


def is_of_some_events(narrowed: Filter) -> bool:
    """Whether it asks for something that no index of deliveries knows."""
    return any((narrowed.source, narrowed.provider, narrowed.type))


def end_of(connection: Connection, query: str, given: Given, looks: int | None = None) -> int | None:
    """The key that the look ends with; None where it reaches the end of the list. `looks` is LOOKS unless given."""
    row = connection.execute(query, {**given, "looks": LOOKS if looks is None else looks}).fetchone()
    return None if row is None else int(row[0])


def looked_at(rows: Sequence[DeliveryRow], limit: int, end: int | None) -> Looked[DeliveryRow]:
    """Of deliveries, to the end of the event that the look ended with."""
    return looked(rows, limit, lambda row: (row.event, row.endpoint), None if end is None else (end, 0))


def looked(
    rows: Sequence[Row], limit: int, place: Callable[[Row], Sequence[int]], end: Sequence[int] | None
) -> Looked[Row]:
    """The next look goes on behind the last row if there may be more, otherwise behind the end of this one."""
    return Looked(rows, place(rows[-1]) if len(rows) == limit else end)
