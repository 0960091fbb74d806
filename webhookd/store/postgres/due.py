"""What is due of an endpoint, of all priorities in one question: each question costs the way there and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from webhookd.core.delivery import Priority
from webhookd.store.postgres.connection import Session
from webhookd.store.protocol.log import LATEST_MS, DueBatch
from webhookd.store.sql.schedule import batch_of

_encode = msgspec.json.Encoder().encode


async def read_due(
    reader: Session,
    *,
    endpoint: int,
    now_ms: int,
    known: Sequence[int],
    rooms: Mapping[Priority, int],
    bytes_max: int,
    wait_ms_max: int,
) -> DueBatch:
    """As `protocol.log.Outbox` has it."""
    given = {
        "endpoint": endpoint,
        "priorities": [*rooms],
        "rooms": [*rooms.values()],
        "now": now_ms,
        "farthest": min(now_ms + wait_ms_max, LATEST_MS),
        "latest": LATEST_MS,
        "passed_over": _encode(known).decode(),
    }
    rows: dict[Priority, list[Sequence[Any]]] = {priority: [] for priority in rooms}
    waits_until: dict[Priority, int | None] = {}
    for priority, until, *row in await reader.read("due.of_all", given):
        waits_until[priority] = until
        if row[0] is not None:
            rows[priority].append(row)
    return batch_of(endpoint, rooms, bytes_max, rows.__getitem__, waits_until.__getitem__)
