"""What is in PostgreSQL as a file of SQLite, so that the same questions can be put to either."""

import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import asyncpg

TOGETHER = 5_000
"""Rows that are held at once."""
_TYPES = {"int2": "INTEGER", "int4": "INTEGER", "int8": "INTEGER", "float8": "REAL", "bytea": "BLOB"}
"""Without which no index would be used; all others are text."""
_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'p', 'v') AND NOT relispartition ORDER BY relname
"""
_KEY = """
SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
WHERE indrelid = $1::text::regclass AND indisprimary ORDER BY array_position(indkey::smallint[], attnum)
"""


async def copy(url: str, to: Path, *more: str) -> None:
    """Every table and view of the URL's schema and of these, at one moment; no two of them have a name in common."""
    address, _, own = url.partition("?search_path=")
    connection = await asyncpg.connect(address)
    try:
        with closing(sqlite3.connect(to)) as file:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                for schema in (own, *more):
                    await connection.execute(f"SET LOCAL search_path = {schema}")
                    for (table,) in await connection.fetch(_TABLES, schema):
                        await _copy_table(connection, table, file)
            file.commit()
    finally:
        await connection.close()


async def _copy_table(connection: asyncpg.Connection, table: str, file: sqlite3.Connection) -> None:
    statement = await connection.prepare(f'SELECT * FROM "{table}"')
    columns = statement.get_attributes()
    declared = [f'"{each.name}" {_TYPES.get(each.type.name, "TEXT")}' for each in columns]
    if key := [f'"{name}"' for (name,) in await connection.fetch(_KEY, f'"{table}"')]:
        declared.append(f"PRIMARY KEY ({', '.join(key)})")
    file.execute(f'CREATE TABLE "{table}" ({", ".join(declared)})')
    marks = ", ".join("?" * len(columns))
    cursor = await statement.cursor()
    while rows := await cursor.fetch(TOGETHER):
        plain = [[int(value) if isinstance(value, Decimal) else value for value in row] for row in rows]
        file.executemany(f'INSERT INTO "{table}" VALUES ({marks})', plain)
