"""The ledger counted again in PostgreSQL: in tables that are one connection's own, and gone with it.

Nothing of it is in memory here but a chunk of the log. What is temporary hides what is kept: the trigger that makes the
ledger writes to the one that is counted, in this session, and the kept one has another name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

import asyncpg
import msgspec

from webhookd.core.event import Event
from webhookd.store.postgres.connection import Session, Speaking
from webhookd.store.postgres.database import UnfitDatabaseError
from webhookd.store.postgres.statements import as_text, without_nul
from webhookd.store.postgres.transaction import alone
from webhookd.store.protocol.store import Reread
from webhookd.store.sql import recount
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.rebuild import rebuild
from webhookd.store.sql.recount import CHUNK_EVENTS, Difference, Object, Row, Told, found_different, nobody
from webhookd.store.sql.retention import listed
from webhookd.store.sql.values import EVENT_COLUMNS

T = TypeVar("T")
CHUNK_BYTES = 8 * 2**20
"""Of bodies that are in memory at a time; a larger one comes alone."""
LEFT_OUT = 50
"""Events that are counted together when later ones have been."""
_NAMES = EVENT_COLUMNS.index("names")
_MADE = ("kept_ledger", "kept_reference", "ledger", "reference", "arriving", "trigger", "counted")
_encode = msgspec.json.Encoder().encode


class Recount(recount.Recount):
    """On a connection of its own, from within the functions that its session runs."""

    def __init__(self, connection: Speaking, reread: Reread) -> None:
        """Raises UnfitDatabaseError."""
        super().__init__(reread)
        self._connection = connection
        try:
            for each in _MADE:
                connection.execute(f"recount.make_{each}")
        except asyncpg.InsufficientPrivilegeError:
            raise UnfitDatabaseError(
                "store.url: the role may not count in tables of its own: GRANT TEMPORARY ON DATABASE to it"
            ) from None

    def hold(self) -> None:
        """See that nothing is forgotten until this connection is closed."""
        self._connection.execute("recount.hold")

    def total(self) -> int:
        return int(self._connection.execute("recount.total").fetchone()[0])

    def follow(self, told: Told = nobody) -> Iterator[int]:
        while self._count(self._stretch(), self._last_key, told):
            yield self.events

    def differences(self) -> Iterator[Difference]:
        connection = self._connection
        connection.ask("BEGIN ISOLATION LEVEL REPEATABLE READ")
        connection.ask("SET LOCAL idle_in_transaction_session_timeout = 0")  # it holds nobody up
        self.catch_up()
        connection.execute("recount.analyze_counted")
        self._count_left_out("left_out", {"last": self._last_key})
        for each in ("ledger", "reference"):
            connection.execute(f"recount.analyze_{each}")
        yield from found_different(connection)
        connection.ask("COMMIT")

    def put_right(self, connection: Connection, objects: Sequence[Object]) -> None:
        given = {"objects": _encode(objects).decode()}
        self.catch_up()
        self._count_left_out("left_out_of", given)
        for statement in ("drop_objects", "keep_objects", "drop_references", "keep_references"):
            connection.execute(f"recount.{statement}", given)

    def _stretch(self) -> Iterator[Row]:
        given = {"after": self._last_key, "events": CHUNK_EVENTS, "bytes": CHUNK_BYTES}
        return iter(self._connection.execute("recount.stretch", given))

    def _count_left_out(self, statement: str, given: Mapping[str, object]) -> None:
        """What another node has committed later than what comes after it."""
        while found := self._connection.execute(f"recount.{statement}", {**given, "events": LEFT_OUT}).fetchall():
            keys = [key for (key,) in found]
            self._count(self._connection.execute("recount.these", listed(keys)), 0, nobody)

    def _add(self, rows: Sequence[Row]) -> None:
        columns = dict(zip(EVENT_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
        self._connection.execute("recount.add", columns)

    def _kept(self, event: Event) -> Row:
        row = [as_text(value) for value in super()._kept(event)]
        row[_NAMES] = without_nul(row[_NAMES])
        return tuple(row)


async def rebuild_on(
    session: Session, reread: Reread, told: Callable[[int, int], None], put_right: Callable[[Object], None]
) -> int:
    """See `store.sql.rebuild`: on this session, which is to be closed afterwards. Raises StoreUnavailableError when the
    connection is lost: what was counted is gone with it.
    """

    async def run(function: Callable[[], T]) -> T:
        return await session.run(lambda _connection: function())

    async def change(function: Callable[[Connection], object]) -> object:
        return await session.run(partial(alone, change=function))

    recount = await session.run(lambda connection: Recount(connection, reread))
    await run(recount.hold)
    return await rebuild(recount, run, change, told, put_right)
