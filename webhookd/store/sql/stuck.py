"""Which deliveries of captured payments did not arrive: looked for in the indexes of what is not delivered."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, NamedTuple

from webhookd.store.sql.connection import Connection

PAGE_ROWS = 2_000
"""Of an index; each may need its event, and its payment's other events, to be looked up."""
_LEAST = -(2**63)
_MOST = 2**63 - 1
Leg = Literal["dead", "due", "held"]
_LEGS: dict[Leg, tuple[dict[str, Any], dict[str, Any]]] = {
    "dead": ({"after": _LEAST}, {"upto": _MOST}),
    "due": (
        {"endpoint": _LEAST, "priority": _LEAST, "due_at": _LEAST, "event": _LEAST},
        {"to_endpoint": _MOST, "to_priority": _MOST, "to_due_at": _MOST, "to_event": _MOST},
    ),
    "held": (
        {"endpoint": _LEAST, "chain": "", "event": _LEAST},
        {"to_endpoint": _MOST, "to_chain": "", "to_event": _MOST},
    ),
}
"""The parts of the outbox, in order, each with where it begins and ends."""


class Place(NamedTuple):
    leg: Leg
    after: dict[str, Any]


class StuckPage(NamedTuple):
    found: Sequence[tuple[int, str, int]]
    """Endpoint's number, state, how many."""
    then: Place | None
    """Where the next page begins; None after the last. What moves meanwhile may be counted twice or not at all."""


class SqlStuck:
    """`read` runs a function on a reader's thread, in one snapshot, and for no longer than a read may take.

    Of a payment with very many events each is looked up for each: a page of them alone may take too long.
    """

    def __init__(
        self, read: Callable[[Callable[[Connection], StuckPage]], Awaitable[StuckPage]], rows: int = PAGE_ROWS
    ) -> None:
        self._read = read
        self._rows = rows

    async def stuck(self, older_than: int, place: object | None) -> StuckPage:
        """From a page's `then` on, or from the beginning. Raises StoreUnavailableError."""
        begin = place if isinstance(place, Place) else Place("dead", _LEGS["dead"][0])
        return await self._read(lambda connection: self._page(connection, older_than, begin))

    def _page(self, connection: Connection, older_than: int, begin: Place) -> StuckPage:
        leg, after = begin
        last = connection.execute(f"stuck.{leg}_upto", {**after, "rows": self._rows - 1}).fetchone()
        first, end = _LEGS[leg]
        upto = end if last is None else dict(zip(end, last, strict=True))
        found = connection.execute(f"stuck.{leg}", {**after, **upto, "older_than": older_than}).fetchall()
        if last is not None:
            return StuckPage(found, Place(leg, dict(zip(first, last, strict=True))))
        following = list(_LEGS)[list(_LEGS).index(leg) + 1 :]
        return StuckPage(found, Place(following[0], _LEGS[following[0]][0]) if following else None)
