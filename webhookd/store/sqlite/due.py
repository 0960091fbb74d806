"""What is due of an endpoint: a question for each priority, which costs nothing where the engine is in the process."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec

from webhookd.core.delivery import Priority
from webhookd.store.protocol.log import LATEST_MS, DueBatch
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.schedule import Look, batch_of

_encode = msgspec.json.Encoder().encode


def read_due(connection: Connection, look: Look) -> DueBatch:
    """As `protocol.log.Outbox` has it."""
    passed_over = _encode(look.known).decode()

    def rows(priority: Priority) -> Iterator[Sequence[Any]]:
        for first, last in ((0, look.now_ms), (look.farthest_ms + 1, LATEST_MS)):
            asked = (look.endpoint, priority, first, last, passed_over, look.rooms[priority] + 1)
            yield from connection.execute("due.due", asked)

    def waits_until(priority: Priority) -> int | None:
        waiting = (look.endpoint, priority, look.now_ms + 1, look.farthest_ms)
        row = connection.execute("due.next_due_at", waiting).fetchone()
        return cast("int | None", row[0])

    return batch_of(look, rows, waits_until)
