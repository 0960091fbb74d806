"""An outbox in an application's database of PostgreSQL's.

One connection listens, looks and takes. Of several nodes on one table one relays at a time, by an advisory lock of that
connection's: so rows are taken in their order. That nothing is there twice does not hang on it, but on the log.
"""

import asyncio
from collections.abc import Awaitable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import asyncpg

from webhookd.postgres_errors import LATER, LOST, in_its_words
from webhookd.relay.postgres_shape import shape_of
from webhookd.relay.statements import for_postgres
from webhookd.relay.table import LOOK_S, AwayError, OutboxError, Row, TakenElsewhereError, UnfitError

T = TypeVar("T")
CONNECT_S_MAX = 5.0
STATEMENT_S_MAX = 10
CHANNEL = "webhookd_outbox"
"""Of every outbox's NOTIFY: a look for nothing costs little."""
_LOCK = 0x57484B44 << 32
"""With the number of the table: what one node holds while it relays."""
_SILENT_S_MAX = 10
"""A node that is frozen loses its connection, and with it the lock, after so long (PostgreSQL 14 and later)."""


class PostgresTable:
    """Fits `table.Table`."""

    def __init__(self, url: str, name: str, *, is_marked: bool) -> None:
        self._url = url
        self._name = name
        self._is_marked = is_marked
        self._connection: asyncpg.Connection | None = None
        self._news = asyncio.Event()

    async def open(self) -> None:
        try:
            await self._sorted(self._open())
        except ValueError as error:  # the driver may quote a password
            raise UnfitError("the url cannot be understood") from error

    async def waiting(self, known: Collection[Any], body_bytes_max: int) -> Sequence[Row]:
        return await self._sorted(self._read(list(known), body_bytes_max))

    async def backlog(self) -> tuple[int, int | None]:
        return await self._sorted(self._backlog())

    async def take(self, keys: Collection[Any], refused: Mapping[Any, str]) -> Collection[Any]:
        return await self._sorted(self._take(list(keys), dict(refused)))

    async def changed(self) -> None:
        assert self._connection is not None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), LOOK_S)
        if self._connection.is_closed():
            raise AwayError("the connection to PostgreSQL was lost")

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=CONNECT_S_MAX)
            except Exception:  # noqa: BLE001 - it is of no more use, however it ends
                connection.terminate()

    async def _open(self) -> None:
        several = "," in self._url.partition("?")[0] or "host=" in self._url
        self._connection = connection = await asyncpg.connect(
            self._url,
            timeout=CONNECT_S_MAX,
            command_timeout=2 * STATEMENT_S_MAX,
            statement_cache_size=0,
            target_session_attrs="primary" if several else None,
            server_settings={
                "application_name": "webhookd outbox",
                "statement_timeout": f"{STATEMENT_S_MAX}s",
                "lock_timeout": "2s",
                "idle_in_transaction_session_timeout": "10s",
                "synchronous_commit": "off",  # what is taken and not kept so is taken again
                "jit": "off",
            },
        )
        connection.add_termination_listener(lambda _connection: self._news.set())
        if connection.get_server_version().major >= 14:
            await connection.execute(f"SET idle_session_timeout = '{_SILENT_S_MAX}s'")
        number, self._shape = await shape_of(connection, self._name, is_marked=self._is_marked)
        self._statements = for_postgres(self._shape)
        await connection.add_listener(CHANNEL, lambda *_: self._news.set())
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK | number):
            raise TakenElsewhereError(f"another webhookd takes from {self._shape.table}: this one stands by")

    async def _read(self, known: Sequence[str], body_bytes_max: int) -> Sequence[Row]:
        assert self._connection is not None
        self._news.clear()  # what is told from here on is looked for again
        rows = await self._connection.fetch(self._statements.waiting, known, body_bytes_max)
        return [self._row(*row) for row in rows]

    async def _backlog(self) -> tuple[int, int | None]:
        assert self._connection is not None
        count, oldest = await self._connection.fetchrow(self._statements.backlog)
        return count, oldest

    def _row(self, key: str, size: int, body: bytes | None, *values: str | int | None) -> Row:
        columns = {name: str(value) for name, value in zip(self._shape.read, values, strict=True) if value is not None}
        return Row(key, columns, body, size)

    async def _take(self, keys: Sequence[str], refused: Mapping[str, str]) -> Collection[str]:
        connection = self._connection
        assert connection is not None
        async with connection.transaction():
            if keys:
                await connection.execute(self._statements.take, keys)
            if refused:
                await connection.execute(self._statements.refuse, [*refused], [*refused.values()])
            return {row[0] for row in await connection.fetch(self._statements.held, [*keys, *refused])}

    async def _sorted(self, awaitable: Awaitable[T]) -> T:
        """What it gives. Raises OutboxError for the driver's errors."""
        try:
            return await awaitable
        except OutboxError:
            raise
        except (asyncpg.PostgresError, TimeoutError, *LOST) as error:
            if isinstance(error, ValueError):
                raise
            raise _of(error) from error


def _of(error: Exception) -> OutboxError:
    """What it means for who reads the log; no row and no password is in it."""
    words = in_its_words(error)
    if isinstance(error, asyncpg.QueryCanceledError):
        return AwayError(f"it took too long: {words}")
    if isinstance(error, (TimeoutError, *LOST)):
        return AwayError(f"PostgreSQL cannot be reached: {words}")
    if isinstance(error, LATER):
        return AwayError(f"PostgreSQL says: {words}")
    return UnfitError(f"PostgreSQL says: {words}")
