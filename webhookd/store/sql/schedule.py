"""Of an endpoint's deliveries: what is due, what waits, and where that goes when the wall clock is set."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from webhookd.core.delivery import PRIORITIES, Due, Priority
from webhookd.store.protocol.log import LATEST_MS, DueBatch, Stretch
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.rows import due_row

RETIMED_MAX = 1_000
"""Deliveries of each priority that are moved in a step, and those that are due in the same millisecond as the last."""
_encode = msgspec.json.Encoder().encode


def due(
    connection: Connection,
    *,
    endpoint: int,
    now_ms: int,
    known: Sequence[int],
    rooms: Mapping[Priority, int],
    bytes_max: int,
    wait_ms_max: int,
) -> DueBatch:
    """As `protocol.log.Outbox` has it."""
    passed_over, farthest_ms = _encode(known).decode(), min(now_ms + wait_ms_max, LATEST_MS)
    found: list[Due] = []
    behind: set[Priority] = set()
    next_due_at: int | None = None
    bytes_left = bytes_max

    def rows(priority: Priority, room: int) -> Iterator[Sequence[Any]]:
        for first, last in ((0, now_ms), (farthest_ms + 1, LATEST_MS)):
            yield from connection.execute("log.due", (endpoint, priority, first, last, passed_over, room + 1))

    for priority, room in sorted(rooms.items()):
        for count, row in enumerate(rows(priority, room)):
            each = due_row(endpoint, priority, row)
            if count == room or (found and each.event.size > bytes_left):
                behind.add(priority)
                break
            found.append(each)
            bytes_left -= each.event.size
        else:
            waiting = (endpoint, priority, now_ms + 1, farthest_ms)
            (waits_until,) = connection.execute("log.next_due_at", waiting).fetchone()
            next_due_at = min(filter(None, (next_due_at, waits_until)), default=None)
    return DueBatch(found, frozenset(behind), next_due_at)


def retime(connection: Connection, *, endpoint: int, stretch: Stretch, by_ms: int, new_ms: int) -> Stretch | None:
    """As `protocol.log.Outbox` has it. What is moved first lands where nothing is looked for any more."""
    first_ms, last_ms = part = _part(connection, endpoint, stretch, backwards=by_ms > 0)
    for priority in PRIORITIES:
        connection.execute("log.retime", (by_ms, endpoint, priority, *part, new_ms))
    connection.execute("log.retime_held", (by_ms, endpoint, *part, new_ms))
    if part == stretch:
        return None
    return (stretch[0], first_ms - 1) if by_ms > 0 else (last_ms + 1, stretch[1])


def _part(connection: Connection, endpoint: int, stretch: Stretch, *, backwards: bool) -> Stretch:
    """Of that stretch of time as much as one step may move, from its end or from its beginning."""
    first_ms, last_ms = stretch
    found = [
        connection.execute(
            "log.waits_from" if backwards else "log.waits_until", (endpoint, priority, *stretch, RETIMED_MAX - 1)
        ).fetchone()
        for priority in PRIORITIES
    ]
    bounds = [row[0] for row in found if row is not None]
    if backwards:
        return max(bounds, default=first_ms), last_ms
    return first_ms, min(bounds, default=last_ms)
