"""Rows of the log and of the outbox as the values they are, and what a list is narrowed by as parameters."""

from collections.abc import Sequence
from typing import Any

import msgspec

from webhookd.core.delivery import Due, Priority
from webhookd.core.event import Event
from webhookd.core.identifier import key_floor
from webhookd.store.protocol.history import EventRow, Filter

_KEY_MAX = 2**63 - 1
_headers = msgspec.json.Decoder(list[tuple[str, str]])


def due_row(endpoint: int, priority: Priority, row: Sequence[Any]) -> Due:
    due_at, attempts, step, replay, chained, *event = row
    event[12] = _headers.decode(event[12])
    return Due(endpoint, Event(*event), due_at, attempts, step, bool(replay), priority, bool(chained))


def event_row(row: Sequence[Any]) -> EventRow:
    values = [*row]
    values[-1] = _headers.decode(row[-1])
    return EventRow(*values)


def parameters(narrowed: Filter, limit: int) -> dict[str, Any]:
    before, before_endpoint = narrowed.before or (_KEY_MAX, _KEY_MAX)
    if narrowed.until_ms is not None and key_floor(narrowed.until_ms) < before:
        before, before_endpoint = key_floor(narrowed.until_ms), 0
    return {
        "before": before,
        "before_endpoint": before_endpoint,
        "after": narrowed.after,
        "since": key_floor(narrowed.since_ms or 0),
        "source": narrowed.source,
        "provider": narrowed.provider,
        "type": narrowed.type,
        "state": narrowed.state,
        "endpoint": narrowed.endpoint,
        "error": narrowed.error,
        "status": narrowed.status,
        "limit": limit,
    }
