"""What is due of an endpoint: a question for each priority, which costs nothing where the engine is in the process."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from webhookd.core.delivery import Priority
from webhookd.store.protocol.log import LATEST_MS, DueBatch
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.schedule import batch_of

_encode = msgspec.json.Encoder().encode


def read_due(
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

    def rows(priority: Priority) -> Iterator[Sequence[Any]]:
        for first, last in ((0, now_ms), (farthest_ms + 1, LATEST_MS)):
            asked = (endpoint, priority, first, last, passed_over, rooms[priority] + 1)
            yield from connection.execute("due.due", asked)

    def waits_until(priority: Priority) -> int | None:
        row = connection.execute("due.next_due_at", (endpoint, priority, now_ms + 1, farthest_ms)).fetchone()
        return cast("int | None", row[0])

    return batch_of(endpoint, rooms, bytes_max, rows, waits_until)
