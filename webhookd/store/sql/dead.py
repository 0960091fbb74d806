"""Deliveries that were given up, by the reason: `delivery_dead` has them in its order, and their events within it."""

from collections.abc import Sequence
from typing import Any

from webhookd.store.protocol.dead_letters import COUNTED_MAX, COUNTED_MIN, DeadOfEndpoint, Reason
from webhookd.store.protocol.history import DeliveryRow, Filter, Looked
from webhookd.store.sql import looks
from webhookd.store.sql.connection import Connection, Reader
from webhookd.store.sql.rows import parameters

REASONS_MAX = 100
"""More of them are not looked through one by one, but all that is dead."""
Found = tuple[int, str | None, int | None]
"""Endpoint's number, error, status."""


class SqlDeadLetters:
    """Fits `protocol.dead_letters.DeadLetters`."""

    def __init__(self, reader: Reader) -> None:
        self._look = reader.look

    async def by_reason(self, after: int, limit: int, name: str | None = None) -> Sequence[DeadOfEndpoint]:
        def count(connection: Connection) -> Sequence[DeadOfEndpoint]:
            page = connection.execute("dead.endpoints", {"after": after, "limit": limit, "name": name}).fetchall()
            counted, left = [], COUNTED_MAX
            for number, its_name, in_service in page:
                reasons = []
                for found in connection.execute("dead.reasons", narrowing(of=number)).fetchall():
                    reason = _reason(connection, found, max(left, COUNTED_MIN))
                    reasons.append(reason)
                    left -= reason.deliveries
                reasons.sort(key=lambda each: -each.deliveries)
                counted.append(DeadOfEndpoint(number, its_name, bool(in_service), reasons))
            return counted

        return await self._look(count)

    async def deliveries(self, narrowed: Filter, limit: int) -> Looked[DeliveryRow]:
        def find(connection: Connection) -> Looked[DeliveryRow]:
            given = narrowing(endpoint=narrowed.endpoint, error=narrowed.error, status=narrowed.status)
            reasons = connection.execute("dead.reasons", given).fetchall()
            is_bounded = looks.is_of_some_events(narrowed)
            if is_bounded and len(reasons) > REASONS_MAX:
                return looks.deliveries(connection, narrowed, limit)
            given = parameters(narrowed, limit)
            each_of = [{**given, "of": of, "its_error": error, "its_status": status} for of, error, status in reasons]
            end = _end(connection, each_of) if is_bounded else None
            rows: list[Any] = []
            for its in each_of:
                rows += connection.execute("dead.deliveries", its if end is None else {**its, "since": end}).fetchall()
            rows.sort(key=lambda row: (row[0], row[2]), reverse=True)
            return looks.looked_at([DeliveryRow(*row) for row in rows[:limit]], limit, end)

        return await self._look(find)


def narrowing(**given: object) -> dict[str, object]:
    """What `reasons` is asked with: of an endpoint by number or name, of an error, of a status; None means any."""
    return {"of": None, "endpoint": None, "error": None, "status": None, **given}


def _end(connection: Connection, each_of: Sequence[looks.Given]) -> int | None:
    """The event that a look ends with which looks at as many of each reason; None where it reaches all their ends."""
    shares = looks.LOOKS // max(1, len(each_of))
    ends = [looks.end_of(connection, "dead.back_to", its, shares) for its in each_of]
    return max((end for end in ends if end is not None), default=None)


def _reason(connection: Connection, found: Found, most: int) -> Reason:
    [(deliveries,)] = connection.execute("dead.count", (*found, most + 1)).fetchall()
    [(oldest,)] = connection.execute("dead.oldest", found).fetchall()
    [(newest,)] = connection.execute("dead.newest", found).fetchall()
    _endpoint, error, status = found
    return Reason(error, status, min(deliveries, most), deliveries <= most, oldest, newest)
