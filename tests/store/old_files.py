"""Databases as earlier releases left them: `schemas/N.sql` is the schema, `schemas/rows_of_N.sql` the rows."""

import re
from contextlib import closing
from pathlib import Path
from typing import Any

from webhookd.core.secret import Secret
from webhookd.store.seal import Seal
from webhookd.store.sqlite.driver import driver

SCHEMAS = Path(__file__).parent / "schemas"
OLD = sorted(int(path.stem) for path in SCHEMAS.glob("[0-9]*.sql"))
KEY_OF_3 = "Zq2fmVXV08_IfaziiIP2XYqr9tJ1Vnw76IIXSFG7Y_c"
"""The store's key when the rows of schema 3 and of those after it were written."""
SEAL_OF_3 = Seal(Secret(KEY_OF_3))
DUE_MS = 1_000
"""When all that is pending in them is due: long ago, whatever the time is."""


def old_file(path: Path, version: int) -> Path:
    """A file that the daemon of that time had open last, and closed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(driver.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript((SCHEMAS / f"{version}.sql").read_text(encoding="utf-8"))
        # The rows that triggers wrote are among the rows.
        triggers = rows(connection, "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        for name, _sql in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        connection.executescript((SCHEMAS / f"rows_of_{version}.sql").read_text(encoding="utf-8"))
        connection.execute("UPDATE delivery SET due_at = ? WHERE state = 'pending'", (DUE_MS,))
        for _name, sql in triggers:
            connection.execute(sql)
    path.chmod(0o600)
    return path


def rows(connection: Any, query: str) -> list[Any]:
    return list(connection.execute(query).fetchall())


def ask(path: Path, query: str) -> list[Any]:
    with closing(driver.connect(path)) as connection:
        return rows(connection, query)


def looks(path: Path) -> list[tuple[str, str, str]]:
    """What the file is made of, without comments and spaces."""
    found = ask(path, "SELECT type, name, sql FROM sqlite_schema WHERE name <> 'sqlite_sequence' ORDER BY type, name")
    return [(kind, name, re.sub(r"\s+", "", re.sub(r"--[^\n]*", "", sql or ""))) for kind, name, sql in found]
