"""Of an endpoint's deliveries: what is due, what waits, and where that goes when the wall clock is set."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from webhookd.core.delivery import PRIORITIES, Due, Priority
from webhookd.store.protocol.log import LATEST_MS, DueBatch, Stretch
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.rows import due_row

RETIMED_MAX = 1_000
"""Deliveries of each priority that are moved in a step, and those that are due in the same millisecond as the last."""


class Look(NamedTuple):
    """What `protocol.log.Outbox.due` is asked."""

    endpoint: int
    now_ms: int
    known: Sequence[int]
    rooms: Mapping[Priority, int]
    bytes_max: int
    wait_ms_max: int

    @property
    def farthest_ms(self) -> int:
        """What is scheduled for later was scheduled by a clock that has been set back since."""
        return min(self.now_ms + self.wait_ms_max, LATEST_MS)


def batch_of(
    look: Look,
    rows: Callable[[Priority], Iterable[Sequence[Any]]],
    waits_until: Callable[[Priority], int | None],
) -> DueBatch:
    """As much as there is room for. `rows` of a priority may be one more than its room, and tell by that of more."""
    found: list[Due] = []
    behind: set[Priority] = set()
    next_due_at: int | None = None
    bytes_left = look.bytes_max
    for priority, room in sorted(look.rooms.items()):
        for count, row in enumerate(rows(priority)):
            each = due_row(look.endpoint, priority, row)
            if count == room or (found and each.event.size > bytes_left):
                behind.add(priority)
                break
            found.append(each)
            bytes_left -= each.event.size
        else:
            next_due_at = min(filter(None, (next_due_at, waits_until(priority))), default=None)
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
