"""One event's story: what the log, the outbox, the ledger and the audit trail have of it, in one snapshot."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from webhookd.core.breaker import Health
from webhookd.core.identifier import delivery_id, event_id
from webhookd.store.protocol.history import EventRow
from webhookd.store.protocol.stories import (
    ATTEMPTS_MAX,
    CANDIDATES_MAX,
    CHANGES_LOOKED_AT_MAX,
    DELIVERIES_MAX,
    ROUTES_MAX,
    ChangeRow,
    ConflictRow,
    MovedRow,
    OwedRow,
    Record,
    ReplayRow,
    RouteRow,
    TriedRow,
)
from webhookd.store.sql.connection import Connection, Reader
from webhookd.store.sql.values import tie

CHANGES_MAX = 100
NO_EVENT = -1
_headers = msgspec.json.Decoder(list[tuple[str, str]])
_encode = msgspec.json.Encoder().encode


class SqlStories:
    """Fits `protocol.stories.Stories`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def record(self, key: int, salt: int | None, endpoint: int | None) -> Record | None:
        return await self._reader.look(partial(_record, key=key, salt=salt, endpoint=endpoint))

    async def bearing(self, name: str) -> Sequence[EventRow]:
        given = {"name": name, "limit": CANDIDATES_MAX}
        return [_event(row) for row in await self._reader.read("story.bearing", given)]


def _record(connection: Connection, key: int, salt: int | None, endpoint: int | None) -> Record | None:
    def all_of(query: str, limit: int | None = None) -> list[Any]:
        return connection.execute(f"story.{query}", {"key": its, "endpoint": endpoint, "limit": limit}).fetchall()

    its = key
    row = connection.execute("story.event", {"key": key, "salt": salt}).fetchone()
    if row is None:
        return None
    event = _event(row[:13])
    body, has_body, taken_at, kind, object_id, said = row[13:]
    replays = [ReplayRow(*each) for each in all_of("replays")]
    if taken_at is not None:  # whatever is still there of it
        its = NO_EVENT
    owed = [_owed(connection, each) for each in all_of("owed", DELIVERIES_MAX)]
    if endpoint is not None and not owed and taken_at is None:
        return None
    tried = [TriedRow(*_with_flags(each, 6)) for each in all_of("tried", ATTEMPTS_MAX)]
    return Record(
        event=event,
        body=body,
        has_body=bool(has_body),
        taken_at=taken_at,
        owed=owed,
        owed_left_out=all_of("owed_count")[0][0] - len(owed),
        tried=sorted(tried, key=lambda each: (each.started_at, each.number)),
        tried_left_out=all_of("tried_count")[0][0] - len(tried),
        conflicts=[ConflictRow(*each) for each in connection.execute("story.conflicts", (its,))],
        changes=_changes(connection, event, owed),
        replays=replays,
        routes=_routes(connection, event) if event.state == "unrouted" else (),
        moved=_moved(connection, event, kind, object_id, said),
        payment_status=_payment_status(connection, event),
    )


def _owed(connection: Connection, row: Sequence[Any]) -> OwedRow:
    values = _with_flags(row, 5, 10)
    if (behind := row[11]) is not None:
        values[11] = (behind, connection.execute("story.salt", (behind,)).fetchone()[0])
    values[14:] = [Health(*row[14:])]
    return OwedRow(*values)


def _changes(connection: Connection, event: EventRow, owed: Sequence[OwedRow]) -> list[ChangeRow]:
    subjects = [event_id(event.key, event.salt)]
    for each in owed:
        subjects += [delivery_id(event.key, each.endpoint), each.endpoint_name]
    given = {
        "subjects": _encode(subjects).decode(),
        "since": event.received_at,
        "looks": CHANGES_LOOKED_AT_MAX,
        "limit": CHANGES_MAX,
    }
    return [ChangeRow(*row) for row in connection.execute("story.changes", given)][::-1]


def _routes(connection: Connection, event: EventRow) -> list[RouteRow]:
    given = {"source": event.source, "type": event.type, "limit": ROUTES_MAX}
    return [RouteRow(*_with_flags(row, 4, 5)) for row in connection.execute("story.routes", given)]


def _moved(connection: Connection, event: EventRow, kind: Any, object_id: Any, said: Any) -> MovedRow | None:
    if kind is None:
        return None
    given = (tie(event.provider_event_id, event.source), event.provider, kind, object_id)
    row = connection.execute("story.stands", given).fetchone()
    return MovedRow(kind, object_id, said, row is not None and bool(row[0]))


def _payment_status(connection: Connection, event: EventRow) -> str | None:
    if event.payment_id is None:
        return None
    row = connection.execute("story.payment_status", (event.provider, event.payment_id)).fetchone()
    return None if row is None else str(row[0])


def _event(row: Sequence[Any]) -> EventRow:
    values = [*row]
    values[-1] = _headers.decode(row[-1])
    return EventRow(*values)


def _with_flags(row: Sequence[Any], *places: int) -> list[Any]:
    """The row with what the store has as 0 or 1 as a truth value."""
    return [bool(value) if place in places else value for place, value in enumerate(row)]
