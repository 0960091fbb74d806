"""What an outbox in a database of PostgreSQL's is like, and whether this role may use it."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import asyncpg

from webhookd.relay.shape import MARK, Shape
from webhookd.relay.table import UnfitError

_TABLE = """
    SELECT c.oid::int8, format('%I.%I', n.nspname, c.relname), quote_ident(n.nspname), c.relkind IN ('r', 'p'),
           has_schema_privilege(n.oid, 'USAGE')
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)"""
_COLUMNS = """
    SELECT attname::text, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
    WHERE attrelid = $1::int8::oid AND attnum > 0 AND NOT attisdropped"""
_IS_UNIQUE = """
    SELECT EXISTS (SELECT FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = 'id'
                   WHERE i.indrelid = $1::int8::oid AND i.indisunique AND i.indpred IS NULL AND i.indisvalid
                         AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)"""


async def shape_of(connection: asyncpg.Connection, name: str, *, is_marked: bool) -> tuple[int, Shape]:
    """The table's number, and what it is like. Raises UnfitError with all that it lacks."""
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        raise UnfitError("the server is a replica, which takes no writes: name the primary")
    found = await connection.fetchrow(_TABLE, name)
    if found is None or not found[3]:
        raise UnfitError(
            f"there is no table {name}: `webhookd outbox sql --engine postgres` prints what makes it. Where it is in "
            'another schema than the first of search_path, name that too: table = "shop.webhookd_outbox"'
        )
    number, table, schema, _, may_use = found
    columns = {row[0]: row for row in await connection.fetch(_COLUMNS, number)}
    shape = Shape(table, {name: row[1] for name, row in columns.items()}, is_marked)
    mistakes = [*shape.missing("timestamptz")]
    if not may_use:
        mistakes.append(f"a right is missing: GRANT USAGE ON SCHEMA {schema} TO {await _role(connection)}")
    if not mistakes:
        mistakes = [mistake async for mistake in _mistakes(connection, number, shape, columns)]
    if mistakes:
        raise UnfitError(f"table {table}: {'; '.join(mistakes)}")
    return number, shape


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
