"""Rows written to PostgreSQL, and read back before they are committed: what is there is what was read, row by row.

Text in PostgreSQL holds no NUL: ␀ stands in its place, and it is that which is compared.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from webhookd.postgres_errors import LOST, in_its_words
from webhookd.store.postgres.connection import sorted_error
from webhookd.store.postgres.statements import NUL_SIGN, without_nul
from webhookd.store.protocol.errors import StoreError, StoreUnavailableError

Rows = Sequence[tuple[Any, ...]]


class NotTakenError(StoreError):
    """What was written is not what is there."""


class TwiceError(StoreError):
    """Two rows would be one: because one was moved about while it was copied, or because ␀ stands for NUL."""


class Writing:
    """On one connection, a transaction at a time."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def execute(self, statement: str, *given: Any) -> None:
        await self.connection.execute(statement, *given)

    async def copy(self, table: str, columns: Sequence[str], rows: Rows) -> None:
        if rows:
            await self.connection.copy_records_to_table(table, records=rows, columns=columns)

    async def see_same(self, table: str, columns: Sequence[str], rows: Rows, where: str = "", *given: Any) -> None:
        listed = ", ".join("sha256(body)" if name == "body" else name for name in columns)
        found = await self.connection.fetch(f"SELECT {listed} FROM {table} {where}", *given)  # noqa: S608
        body = columns.index("body") if "body" in columns else None
        if len(found) != len(rows) or {tuple(row) for row in found} != {_hashed(row, body) for row in rows}:
            raise NotTakenError(
                f"store.url: what was written to {table} is not what is there now: nothing of it was kept"
            )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self.sorted():
            await self.connection.execute("BEGIN")
            try:
                yield
                await self.connection.execute("COMMIT")
            except BaseException:
                if not self.connection.is_closed():
                    try:
                        await asyncio.shield(self.connection.execute("ROLLBACK"))
                    except (asyncpg.PostgresError, *LOST):
                        self.connection.terminate()
                raise

    @asynccontextmanager
    async def sorted(self) -> AsyncIterator[None]:
        try:
            yield
        except asyncpg.UniqueViolationError as error:
            raise TwiceError(f"store.url: two rows of {error.table_name} would be one") from error
        except LOST as error:
            raise StoreUnavailableError(
                f"store.url: the connection to PostgreSQL was lost: {in_its_words(error)}"
            ) from error
        except asyncpg.PostgresError as error:
            found = sorted_error(error)
            if found is error:
                raise NotTakenError(f"store.url: PostgreSQL says {in_its_words(error)}") from error
            raise found from error


def as_kept(columns: Sequence[str], rows: Rows) -> Rows:
    """As PostgreSQL keeps them."""
    kept = [  # not by `as_text`: there are a hundred million values
        tuple([each.replace("\0", NUL_SIGN) if each.__class__ is str and "\0" in each else each for each in row])
        for row in rows
    ]
    if "names" in columns:
        place = columns.index("names")
        kept = [(*row[:place], without_nul(row[place]), *row[place + 1 :]) for row in kept]
    return kept


def _hashed(row: tuple[Any, ...], body: int | None) -> tuple[Any, ...]:
    if body is None or row[body] is None:
        return row
    return (*row[:body], hashlib.sha256(row[body]).digest(), *row[body + 1 :])
