"""What is in PostgreSQL as a file of SQLite, so that the same questions can be put to either."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import asyncpg

TOGETHER = 5_000
"""Rows that are held at once."""
_TEXTS = {"text", "varchar", "json", "name", "char", "bpchar"}
_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition ORDER BY relname
"""


async def copy(url: str, schemas: Sequence[str], to: Path) -> None:
    """Every table and view of these schemas, as they are at one moment; no two have a name in common."""
    connection = await asyncpg.connect(url.partition("?")[0])
    try:
        with closing(sqlite3.connect(to)) as file:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for schema in schemas:
                    await connection.execute(f"SET LOCAL search_path = {schema}")
                    for (table,) in await connection.fetch(_TABLES, schema):
                        await _copy_table(connection, table, file)
            file.commit()
    finally:
        await connection.close()


async def _copy_table(connection: asyncpg.Connection, table: str, file: sqlite3.Connection) -> None:
    statement = await connection.prepare(f'SELECT * FROM "{table}"')
    columns = statement.get_attributes()
    declared = ", ".join(f'"{each.name}"{" TEXT" if each.type.name in _TEXTS else ""}' for each in columns)
    file.execute(f'CREATE TABLE "{table}" ({declared})')
    marks = ", ".join("?" * len(columns))
    cursor = await statement.cursor()
    while rows := await cursor.fetch(TOGETHER):
        plain = [[int(value) if isinstance(value, Decimal) else value for value in row] for row in rows]
        file.executemany(f'INSERT INTO "{table}" VALUES ({marks})', plain)
