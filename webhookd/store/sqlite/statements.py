"""SQL by name: the files beside this one, `schema.sql`, and inserts of as many rows as there are."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TypeVar

from webhookd.store.sql.connection import Connection, Given

T = TypeVar("T")
FACT_COLUMNS = (
    *("kind", "object_id", "status", "detail", "major", "minor", "counts"),
    *("amount", "currency", "exponent", "refunded", "reference", "names"),
)
EVENT_COLUMNS = (
    *("key", "salt", "source", "provider", "provider_event_id", "type", "state", "received_at"),
    *("occurred_at", "payment_id", *FACT_COLUMNS, "headers", "sha256", "size", "body", "trace"),
)
LEDGER_COLUMNS = (
    *("provider", "kind", "id", "status", "detail", "major", "minor", "tie", "occurred_at", "amount", "currency"),
    *("exponent", "payment_id", "reference", "refunded", "refunded_at", "counted_at", "first_event"),
)
ATTEMPT_COLUMNS = (
    *("event", "endpoint", "number", "started_at", "duration_ms", "status"),
    *("error", "response", "replay", "state", "due_at", "step"),
)


def schema() -> str:
    """`schema.sql`: inside the package when it was installed from a wheel, beside it in a checkout."""
    packaged = resources.files("webhookd") / "schema.sql"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[3] / "schema.sql").read_text(encoding="utf-8")


def named(text: str) -> Mapping[str, str]:
    """The statements of a file, each headed by `-- its_name: what it is for`."""
    statements = {}
    for block in text.strip().split("\n\n"):
        head, _, body = block.partition("\n")
        name = head.removeprefix("-- ").split(":", 1)[0]
        statements[name] = body.strip().rstrip(";")
    return statements


def _all() -> Mapping[str, str]:
    files = [each for each in resources.files("webhookd.store.sqlite").iterdir() if each.name.endswith(".sql")]
    return {
        f"{file.name.removesuffix('.sql')}.{name}": statement
        for file in files
        for name, statement in named(file.read_text(encoding="utf-8")).items()
    }


STATEMENTS = _all()
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


def speaking(function: Callable[[Connection], T]) -> Callable[[sqlite3.Connection], T]:
    """The function, for a connection that is to be asked by names."""
    return lambda connection: function(Speaking(connection))


@cache
def insert_events(rows: int) -> str:
    """Adds the new ones of these events; a known (source, provider event id) is passed over."""
    return f"{_insert('event', EVENT_COLUMNS, rows)} ON CONFLICT (source, provider_event_id) DO NOTHING"


@cache
def insert_notice() -> str:
    """Adds an event of webhookd's own, unless it is there."""
    return f"{_insert('event', EVENT_COLUMNS, 1)} ON CONFLICT DO NOTHING"


@cache
def insert_aliases(rows: int) -> str:
    """Binds aliases to their events; one that is bound already is passed over."""
    return f"{_insert('alias', ('source', 'name', 'event', 'sha256'), rows)} ON CONFLICT DO NOTHING"


@cache
def insert_attempts(rows: int) -> str:
    """Records attempts; one that is on record already (its first commit was not heard of) is passed over."""
    return f"{_insert('attempt', ATTEMPT_COLUMNS, rows)} ON CONFLICT DO NOTHING"


def _insert(table: str, columns: tuple[str, ...], rows: int) -> str:
    values = "(" + ",".join("?" * len(columns)) + ")"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {','.join([values] * rows)}"  # noqa: S608 - our names
