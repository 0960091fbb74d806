"""What is in a file of SQLite's, and in the schema that its log has moved to: table by table, and row by row."""

import asyncio
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from webhookd.store.postgres.database import connect
from webhookd.store.sqlite.driver import driver

CALLED = {"past": "line"}
NOT_THERE = ("moved", "sqlite_sequence", "sqlite_stat1")
OF_THE_TARGET = {"webhookd", "identity", "node", "claim", "leaving", "origin", "stretch", "event_of_no_week"}


def differing(path: Path, url: str) -> list[str]:
    """Tables whose rows are not the same."""
    return asyncio.run(find_differing(path, url))


async def find_differing(path: Path, url: str) -> list[str]:
    connection = await connect(url, "test")()
    try:
        found = []
        for table, (columns, rows) in tables(path).items():
            theirs = await connection.fetch(f"SELECT {', '.join(columns)} FROM {CALLED.get(table, table)}")
            if Counter(map(tuple, theirs)) != rows:
                found.append(table)
        return found
    finally:
        await connection.close()


def tables(path: Path) -> dict[str, tuple[list[str], Counter[Any]]]:
    """The columns that are not generated, and the rows, NUL as it is kept elsewhere."""
    with closing(driver.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found = {}
        for name in names:
            if name not in NOT_THERE:
                columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
                rows = connection.execute(f"SELECT {', '.join(columns)} FROM {name}").fetchall()
                found[name] = columns, Counter(tuple(map(kept, row)) for row in rows)
        return found


def kept(value: Any) -> Any:
    return value.replace("\0", "␀").replace("\\u0000", "␀") if isinstance(value, str) else value
