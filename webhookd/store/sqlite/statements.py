"""SQL by name as SQLite is asked it, `schema.sql`, and inserts of as many rows as there are."""

import sqlite3
from collections.abc import Callable, Collection, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from webhookd.core.delivery import DeliveryKey, Settlement
from webhookd.store.sql.connection import Connection, Given, Table
from webhookd.store.sql.statements import statements
from webhookd.store.sql.values import COLUMNS, VALUES

T = TypeVar("T")
STATEMENT_ROWS_MAX = 64
_CONFLICT: dict[Table, str] = {"event": "(source, provider_event_id) "}


def schema() -> str:
    """`schema.sql`: inside the package when it was installed from a wheel, beside it in a checkout."""
    packaged = resources.files("webhookd") / "schema.sql"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[3] / "schema.sql").read_text(encoding="utf-8")


STATEMENTS = statements(__package__)
"""Those of `audit` run on a connection of `open_beside`: `main` is the recount, `log` what is kept."""


class Speaking:
    """A connection that is asked by the names of statements. Fits `store.sql.connection.Connection`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    @property
    def changes(self) -> int:
        return self.connection.total_changes

    def execute(self, statement: str, given: Given = (), /) -> sqlite3.Cursor:
        return self.connection.execute(STATEMENTS[statement], given)

    def execute_many(self, statement: str, given: Sequence[Given], /) -> sqlite3.Cursor:
        return self.connection.executemany(STATEMENTS[statement], given)

    def add(self, table: Table, nouns: Sequence[Any], /) -> int:
        """A statement of each size stays prepared, and keeps the values it was last given, bodies and all.

        Of half the sizes that is a quarter of the memory; a small batch is one statement all the same.
        """
        added, values = 0, VALUES[table]
        for first in range(0, len(nouns), STATEMENT_ROWS_MAX):
            part = nouns[first : first + STATEMENT_ROWS_MAX]
            given = [value for noun in part for value in values(noun)]
            added += self.connection.execute(insert(table, len(part)), given).rowcount
        return added

    def fenced(self, _settlements: Sequence[Settlement], /) -> Collection[DeliveryKey]:
        """One process has the file: nobody else claims anything."""
        return ()


def speaking(function: Callable[[Connection], T]) -> Callable[[sqlite3.Connection], T]:
    """The function, for a connection that is to be asked by names."""
    return lambda connection: function(Speaking(connection))


@cache
def insert(table: Table, rows: int) -> str:
    """Adds what is new of so many rows."""
    columns = COLUMNS[table]
    values = ",".join(["(" + ",".join("?" * len(columns)) + ")"] * rows)
    into = f"{'event' if table == 'notice' else table} ({', '.join(columns)})"
    return f"INSERT INTO {into} VALUES {values} ON CONFLICT {_CONFLICT.get(table, '')}DO NOTHING"  # noqa: S608 - our names
