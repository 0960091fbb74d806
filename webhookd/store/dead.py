"""Deliveries that were given up, by the reason: `delivery_dead` has them in its order, and their events within it."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from webhookd.store.connection import SerialConnection
from webhookd.store.dead_protocol import COUNTED_MAX, COUNTED_MIN, DeadOfEndpoint, Reason
from webhookd.store.protocol import DeliveryRow, Filter
from webhookd.store.queries import DEAD
from webhookd.store.rows import parameters

Found = tuple[int, str | None, int | None]
"""Endpoint's number, error, status."""


class SqliteDeadLetters:
    """Fits `dead_protocol.DeadLetters`."""

    def __init__(self, reader: SerialConnection) -> None:
        self._look = reader.look

    async def by_reason(self, after: int, limit: int, name: str | None = None) -> Sequence[DeadOfEndpoint]:
        def count(connection: sqlite3.Connection) -> Sequence[DeadOfEndpoint]:
            page = connection.execute(DEAD["endpoints"], {"after": after, "limit": limit, "name": name}).fetchall()
            counted, left = [], COUNTED_MAX
            for number, its_name, in_service in page:
                reasons = []
                for found in connection.execute(DEAD["reasons"], narrowing(of=number)).fetchall():
                    reason = _reason(connection, found, max(left, COUNTED_MIN))
                    reasons.append(reason)
                    left -= reason.deliveries
                reasons.sort(key=lambda each: -each.deliveries)
                counted.append(DeadOfEndpoint(number, its_name, bool(in_service), reasons))
            return counted

        return await self._look(count)

    async def deliveries(self, narrowed: Filter, limit: int) -> Sequence[DeliveryRow]:
        given = parameters(narrowed, limit)

        def find(connection: sqlite3.Connection) -> Sequence[DeliveryRow]:
            reasons = narrowing(endpoint=narrowed.endpoint, error=narrowed.error, status=narrowed.status)
            rows: list[Any] = []
            for of, error, status in connection.execute(DEAD["reasons"], reasons).fetchall():
                its = {**given, "of": of, "its_error": error, "its_status": status}
                rows += connection.execute(DEAD["deliveries"], its).fetchall()
            rows.sort(key=lambda row: (row[0], row[2]), reverse=True)
            return [DeliveryRow(*row) for row in rows[:limit]]

        return await self._look(find)


def narrowing(**given: object) -> dict[str, object]:
    """What `reasons` is asked with: of an endpoint by number or name, of an error, of a status; None means any."""
    return {"of": None, "endpoint": None, "error": None, "status": None, **given}


def _reason(connection: sqlite3.Connection, found: Found, most: int) -> Reason:
    [(deliveries,)] = connection.execute(DEAD["count"], (*found, most + 1)).fetchall()
    [(oldest,)] = connection.execute(DEAD["oldest"], found).fetchall()
    [(newest,)] = connection.execute(DEAD["newest"], found).fetchall()
    _endpoint, error, status = found
    return Reason(error, status, min(deliveries, most), deliveries <= most, oldest, newest)
