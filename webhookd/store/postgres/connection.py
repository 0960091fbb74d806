"""A connection to PostgreSQL that runs whole functions, as the other engine's does, and comes back when it is lost.

What a store in SQL asks is asked without `await`; asyncpg is awaited. greenlet lets the one stand still in the other: a
function runs on the event loop's thread, and whenever it asks something the loop goes on without it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, TypeVar

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement
from greenlet import getcurrent, greenlet

from webhookd.core.delivery import DeliveryKey, Settlement
from webhookd.postgres_errors import LATER, LOST, in_its_words
from webhookd.store.postgres.statements import STATEMENTS, as_text, rows
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.sql.connection import Connection, Given, Table

T = TypeVar("T")
CONNECT_S_MAX = 5.0
READ_S_MAX = 2.0
WAIT_S_MAX = 10.0
"""So long a read waits for its turn."""
_numbers = count()


class LostError(StoreUnavailableError):
    """The connection was lost before all of it was answered: whether the last statement did anything is unknown."""


class Rows:
    """What a statement gave, all of it. Fits `store.sql.connection.Rows`."""

    def __init__(self, rows: Sequence[Any], status: str) -> None:
        self._rows = iter(rows)
        self._status = status

    @property
    def rowcount(self) -> int:
        return int(self._status.rpartition(" ")[2] or 0)

    def fetchone(self) -> Any:
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        return [*self._rows]

    def __iter__(self) -> Iterator[Any]:
        return self._rows


class Speaking:
    """A connection that is asked by names, within `spoken`. Fits `store.sql.connection.Connection`."""

    def __init__(self, connection: asyncpg.Connection, prepared: dict[str, PreparedStatement]) -> None:
        self._connection = connection
        self._prepared = prepared
        self.changes = 0

    def execute(self, statement: str, given: Given = (), /) -> Rows:
        asked = STATEMENTS[statement]
        return self.ask(asked.sql, asked.arguments(given))

    def execute_many(self, statement: str, given: Sequence[Given], /) -> Rows:
        done = [self.execute(statement, each).rowcount for each in given]
        return Rows((), f"MANY {sum(done)}")

    def add(self, table: Table, nouns: Sequence[Any], /) -> int:
        if not nouns:
            return 0
        asked = f"add.{'event' if table == 'notice' else table}"
        [(added,)] = self.execute(asked, {"rows": rows(table, nouns)})
        self.changes += added
        return int(added)

    def fenced(self, settlements: Sequence[Settlement], /) -> Collection[DeliveryKey]:
        claimed = dict(self.execute("claims.fences", ([each.key.endpoint for each in settlements],)).fetchall())
        return {each.key for each in settlements if claimed.get(each.key.endpoint) != each.fence}

    def ask(self, sql: str, given: Sequence[Any] = ()) -> Rows:
        """SQL that is no statement of the store's."""
        rows, status = _await(self._fetch(sql, given))
        answer = Rows(rows, status)
        if not status.startswith("SELECT"):
            self.changes += answer.rowcount if status[-1:].isdigit() else 0
        return answer

    async def _fetch(self, sql: str, given: Sequence[Any]) -> tuple[list[tuple[Any, ...]], str]:
        statement = self._prepared.get(sql)
        if statement is None:
            # With a name: without one, and without a cache of its own, asyncpg has it parsed anew for each question.
            statement = await self._connection.prepare(sql, name=f"webhookd_{next(_numbers)}")
            self._prepared[sql] = statement
        rows = await statement.fetch(*map(as_text, given))
        return [tuple(row) for row in rows], statement.get_statusmsg()


def _await(awaitable: Awaitable[T]) -> T:
    """Have whoever runs the function await it."""
    result: T = getcurrent().parent.switch(awaitable)
    return result


async def spoken(function: Callable[[], T]) -> T:
    """Run the function; what it asks meanwhile is awaited here. One that is cancelled hears of it where it asked."""
    speaker = greenlet(function)
    asked = speaker.switch()
    while not speaker.dead:
        try:
            answer = await asked
        except BaseException as error:  # noqa: BLE001 - it is the function's
            asked = speaker.throw(error)
        else:
            asked = speaker.switch(answer)
    result: T = asked
    return result


class Session:
    """One connection, run a whole function at a time. Fits `store.sql.connection.Reader`.

    A connection that is lost is made anew when it is next needed. Raises StoreUnavailableError.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]]) -> None:
        self._connect = connect
        self._connection: asyncpg.Connection | None = None
        self._prepared: dict[str, PreparedStatement] = {}
        self._turn = asyncio.Lock()

    async def run(self, function: Callable[[Speaking], T]) -> T:
        """Raises LostError when the connection was lost meanwhile, and StoreUnavailableError when there is none."""
        async with self._turn:
            speaking = Speaking(await self._connected(), self._prepared)
            try:
                return await spoken(lambda: function(speaking))
            except BaseException as error:
                raise await self._sorted(error) from error

    async def read(self, statement: str, given: Given = (), /) -> list[Any]:
        """One statement as one short snapshot."""
        return await self._in_turn(lambda connection: connection.execute(statement, given).fetchall())

    async def query(self, sql: str, given: Sequence[Any] = ()) -> list[Any]:
        """The same of SQL that is no statement of the store's."""
        return await self._in_turn(lambda connection: connection.ask(sql, given).fetchall())

    async def look(self, function: Callable[[Connection], T], /) -> T:
        """All that a function reads: one snapshot, of several statements."""

        def within(connection: Speaking) -> T:
            connection.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                return function(connection)
            finally:
                connection.ask("ROLLBACK")

        return await self._in_turn(within)

    def abandon(self) -> None:
        """What a kill does to it: nothing more is sent, and there is no other connection."""

        async def refuse() -> asyncpg.Connection:
            raise StoreUnavailableError("the store is closed")

        self._connect = refuse
        if self._connection is not None:
            self._connection.terminate()

    async def close(self) -> None:
        if self._connection is not None:
            with suppress(TimeoutError, *LOST):
                await self._connection.close(timeout=CONNECT_S_MAX)
            self._connection = None

    async def _in_turn(self, function: Callable[[Speaking], T]) -> T:
        """It waits for those before it no longer than WAIT_S_MAX, and takes no longer than READ_S_MAX."""
        try:
            async with asyncio.timeout(WAIT_S_MAX + READ_S_MAX):
                return await self.run(function)
        except TimeoutError:
            raise StoreUnavailableError("too many reads waited before this one") from None

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._prepared.clear()
            try:
                self._connection = await self._connect()
            except (TimeoutError, asyncpg.PostgresError, *LOST) as error:
                raise StoreUnavailableError(f"PostgreSQL cannot be reached: {in_its_words(error)}") from error
        return self._connection

    async def _sorted(self, error: BaseException) -> BaseException:
        """The store's own error for the driver's; what the connection was left in is ended."""
        connection = self._connection
        assert connection is not None
        if not isinstance(error, Exception):  # whoever asked has left
            if connection.is_in_transaction():
                connection.terminate()
            return error
        if not connection.is_closed() and connection.is_in_transaction():
            with suppress(Exception):
                await connection.execute("ROLLBACK")
        if isinstance(error, asyncpg.QueryCanceledError):
            return StoreUnavailableError(f"it took too long: {in_its_words(error)}")
        if isinstance(error, LOST) and not isinstance(error, ValueError):  # ValueError: of what it was given
            connection.terminate()
            return LostError(f"the connection to PostgreSQL was lost: {in_its_words(error)}")
        return sorted_error(error)


def sorted_error(error: Exception) -> Exception:
    """StoreUnavailableError for what may go another time; others as they are."""
    if isinstance(error, LATER):
        return StoreUnavailableError(f"PostgreSQL says {in_its_words(error)}")
    return error
