"""What an outbox is asked, in the words of each engine. Names in it are from its catalogue, values never are in it."""
# ruff: noqa: S608

from typing import NamedTuple

from webhookd.core.event import NAME_CHARS_MAX
from webhookd.relay.shape import MARK, Shape
from webhookd.relay.table import BYTES_MAX, COUNTED_MAX, ROWS_MAX

CHARS_MAX = NAME_CHARS_MAX + 1
"""Of each column but the body: one that is longer is seen to be too long."""


class Statements(NamedTuple):
    waiting: str
    """Without those whose keys are the first argument, and without a body that is larger than the second."""
    backlog: str
    take: str
    refuse: str
    held: str = ""
    """Those of the keys given whose rows wait still."""


def for_sqlite(shape: Shape) -> Statements:
    """Rows are taken and refused one by one. A text that is none in UTF-8 is bound as its bytes."""
    table, order = shape.table, shape.order
    columns = ", ".join(
        _SQLITE_TIME if name == "created_at" else f"substr({name}, 1, {CHARS_MAX})" for name in shape.read
    )
    now = "strftime('%Y-%m-%dT%H:%M:%fZ')"
    this = "id = iif(?1 IS NULL, CAST(?2 AS TEXT), ?1)"
    return Statements(
        waiting=f"""
            WITH first AS (
                SELECT id AS key, length(CAST(body AS BLOB)) AS size, row_number() OVER (ORDER BY {order}) AS number
                FROM (SELECT * FROM {table} WHERE {shape.waits} AND id NOT IN (SELECT value FROM json_each(?1))
                      ORDER BY {order} LIMIT {ROWS_MAX})
            ), fitting AS (
                SELECT *, sum(iif(size > ?2, 0, size)) OVER (ORDER BY number) - size AS ahead FROM first
            )
            SELECT id, coalesce(size, 0), iif(size > ?2, NULL, body), {columns}
            FROM fitting JOIN {table} ON id = key WHERE coalesce(ahead, 0) < {BYTES_MAX} ORDER BY number""",
        backlog=_backlog(shape, _SQLITE_TIME),
        take=f"UPDATE {table} SET {MARK} = {now} WHERE {this}"
        if shape.is_marked
        else f"DELETE FROM {table} WHERE {this}",
        refuse=f"UPDATE {table} SET refused = ?3 WHERE {this}",
    )


_SQLITE_TIME = """CAST(round(iif(typeof(created_at) = 'integer', created_at * 1000,
                                (julianday(created_at) - 2440587.5) * 86400000)) AS INTEGER)"""
"""Unix milliseconds, of what SQLite takes for a time, and of whole Unix seconds."""


def for_postgres(shape: Shape) -> Statements:
    """Keys are given as texts, many at a time. A row that somebody else holds is passed over: the others go."""
    table, order, key = shape.table, shape.order, shape.columns["id"]
    body = "body" if shape.columns["body"] == "bytea" else "convert_to(body::text, 'UTF8')"
    columns = ", ".join(
        _POSTGRES_TIME if name == "created_at" else f"left({name}::text, {CHARS_MAX})" for name in shape.read
    )
    these = f"id = ANY ($1::text[]::{key}[])"
    # As an array it is looked up in the index: of `IN (SELECT … FOR UPDATE)` PostgreSQL makes a scan of the table.
    free = f"id = ANY (ARRAY(SELECT id FROM {table} WHERE {these} FOR UPDATE SKIP LOCKED))"
    return Statements(
        waiting=f"""
            WITH first AS (
                SELECT id AS key, octet_length({body}) AS size, row_number() OVER (ORDER BY {order}) AS number
                FROM (SELECT * FROM {table} WHERE {shape.waits} AND id <> ALL ($1::text[]::{key}[])
                      ORDER BY {order} LIMIT {ROWS_MAX}) AS waiting
            ), fitting AS (
                SELECT *, sum(CASE WHEN size > $2 THEN 0 ELSE size END) OVER (ORDER BY number) - size AS ahead
                FROM first
            )
            SELECT id::text, coalesce(size, 0), CASE WHEN size > $2 THEN NULL ELSE {body} END, {columns}
            FROM fitting JOIN {table} ON id = key WHERE coalesce(ahead, 0) < {BYTES_MAX} ORDER BY number""",
        backlog=_backlog(shape, _POSTGRES_TIME),
        take=f"UPDATE {table} SET {MARK} = now() WHERE {free}"
        if shape.is_marked
        else f"DELETE FROM {table} WHERE {free}",
        refuse=f"""
            UPDATE {table} SET refused = why FROM unnest($1::text[], $2::text[]) AS given (key, why)
            WHERE id = key::{key} AND {free}""",
        held=f"""
            WITH given AS MATERIALIZED (SELECT * FROM {table} WHERE {these})  -- by its id, not by what waits
            SELECT id::text FROM given WHERE {shape.waits}""",
    )


_POSTGRES_TIME = "CASE WHEN isfinite(created_at) THEN (extract(epoch FROM created_at) * 1000)::int8 END"


def _backlog(shape: Shape, time: str) -> str:
    at = time if "created_at" in shape.columns else "NULL"
    first = f"SELECT {at} AS at FROM {shape.table} WHERE {shape.waits} ORDER BY {shape.order} LIMIT {COUNTED_MAX}"
    return f"SELECT count(*), min(at) FROM ({first}) AS waiting"
