"""What an outbox in a database of PostgreSQL's is like, and whether this role may use it."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import asyncpg

from webhookd.relay.shape import MARK, Shape
from webhookd.relay.table import UnfitError

_TABLE = """
    SELECT c.oid::int8, format('%I.%I', n.nspname, c.relname), c.relkind IN ('r', 'p')
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)"""
_COLUMNS = """
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, b.typname::text, b.typcategory::text
    FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
    JOIN pg_type AS b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
    WHERE a.attrelid = $1::int8::oid AND a.attnum > 0 AND NOT a.attisdropped"""
_TEXT, _ENUM = "S", "E"
_KINDS = {
    "id": ((_TEXT,), ("uuid", "int8", "int4", "int2"), "text, uuid or bigint"),
    "type": ((_TEXT, _ENUM), (), "text"),
    "body": ((_TEXT,), ("json", "jsonb", "bytea"), "json, jsonb, text or bytea"),
    "refused": ((_TEXT,), (), "text"),
    "created_at": ((), ("timestamptz", "timestamp"), "timestamptz"),
    MARK: ((), ("timestamptz", "timestamp"), "timestamptz"),
}
"""Of each column the categories and the names of types that it may have, and what is said of them."""
_IS_UNIQUE = """
    SELECT EXISTS (SELECT FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = 'id'
                   WHERE i.indrelid = $1::int8::oid AND i.indisunique AND i.indpred IS NULL AND i.indisvalid
                         AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)"""


async def shape_of(connection: asyncpg.Connection, name: str, *, is_marked: bool) -> tuple[int, Shape]:
    """The table's number, and what it is like. Raises UnfitError with all that it lacks."""
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        raise UnfitError("the server is a replica, which takes no writes: name the primary")
    if await connection.fetchval("SHOW server_encoding") == "SQL_ASCII":
        raise UnfitError("the database is encoded in SQL_ASCII, which says of no text what it is: make one in UTF8")
    try:
        found = await connection.fetchrow(_TABLE, name)
    except asyncpg.InsufficientPrivilegeError:
        schema = name.rpartition(".")[0]
        raise UnfitError(
            f"table {name}: a right is missing: GRANT USAGE ON SCHEMA {schema} TO {await _role(connection)}"
        ) from None
    if found is None or not found[2]:
        raise UnfitError(
            f"there is no table {name}: `webhookd outbox sql --engine postgres` prints what makes it. Where it is in "
            'another schema than the first of search_path, name that too: table = "shop.webhookd_outbox"'
        )
    number, table, _ = found
    columns = {row[0]: row for row in await connection.fetch(_COLUMNS, number)}
    shape = Shape(table, {name: row[1] for name, row in columns.items()}, is_marked)
    mistakes = [*shape.missing("timestamptz"), *_wrong_types(columns, is_marked=is_marked)]
    if not mistakes:
        mistakes = [mistake async for mistake in _mistakes(connection, number, shape, columns)]
    if mistakes:
        raise UnfitError(f"table {table}: {'; '.join(mistakes)}")
    return number, shape


def _wrong_types(columns: Mapping[str, Any], *, is_marked: bool) -> Iterator[str]:
    for name, (categories, types, wanted) in _KINDS.items():
        if name not in columns or (name == MARK and not is_marked):
            continue
        _, written, _, base, category = columns[name]
        if category not in categories and base not in types:
            yield f"column {name} is {written}, and must be {wanted}"


async def _mistakes(
    connection: asyncpg.Connection, number: int, shape: Shape, columns: Mapping[str, Any]
) -> AsyncIterator[str]:
    if not await connection.fetchval(_IS_UNIQUE, number):
        yield f"column id must be unique: CREATE UNIQUE INDEX ON {shape.table} (id)"
    if not columns["id"][2]:
        yield f"column id must be NOT NULL: ALTER TABLE {shape.table} ALTER COLUMN id SET NOT NULL"
    rights = [("SELECT", None), ("UPDATE", "refused"), ("UPDATE", MARK) if shape.is_marked else ("DELETE", None)]
    for right, column in rights:
        if column is None:
            has = await connection.fetchval("SELECT has_table_privilege($1::int8::oid, $2)", number, right)
        else:
            has = await connection.fetchval("SELECT has_column_privilege($1::int8::oid, $2, $3)", number, column, right)
        if not has:
            what = right if column is None else f"{right} ({column})"
            yield f"a right is missing: GRANT {what} ON {shape.table} TO {await _role(connection)}"


async def _role(connection: asyncpg.Connection) -> str:
    return str(await connection.fetchval("SELECT quote_ident(current_user)"))
