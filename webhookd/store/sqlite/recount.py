"""The ledger counted again from a file: in an empty database beside it, with the same triggers."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from webhookd.store.protocol.store import Reread
from webhookd.store.sql import recount
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.recount import READ, Difference, Object, Row, Told, UnreadableError, found_different, nobody
from webhookd.store.sql.values import LEDGER_COLUMNS
from webhookd.store.sqlite.connection import open_beside
from webhookd.store.sqlite.driver import driver, in_its_words
from webhookd.store.sqlite.statements import Speaking, insert

CHUNK_EVENTS = recount.CHUNK_EVENTS
REFERENCE_COLUMNS = ("name", "provider", "payment_id")
_PAST = [{"headers": "'[]'", "body": "NULL"}.get(name, name) for name in READ]


class Recount(recount.Recount):
    """Holds a connection of its own, on a database of its own with the log attached, read only. Not for two threads."""

    def __init__(self, path: Path | None, reread: Reread) -> None:
        """Without a path there is no log attached, for `make_anew`. Raises StoreError, OSError."""
        super().__init__(reread)
        try:
            self._connection = open_beside(path)
        except (driver.Error, UnicodeDecodeError) as error:  # SQLite may quote a damaged file, and that is no text
            raise UnreadableError(f"the file is not as webhookd made it: {in_its_words(error)}") from None

    def close(self) -> None:
        self._connection.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """`main` is the recount, `log` what is kept."""
        return self._connection

    def total(self) -> int:
        query = "SELECT (SELECT count(*) FROM log.event) + (SELECT count(*) FROM log.past)"
        return int(self._connection.execute(query).fetchone()[0])

    def follow(self, told: Told = nobody) -> Iterator[int]:
        return self._follow(self._connection, "log.", told)

    def follow_within(self, writer: sqlite3.Connection) -> None:
        """The same from a connection that is about to write: then nothing can be missing."""
        for _ in self._follow(writer, "", nobody):
            pass

    def make_anew(self, writer: sqlite3.Connection) -> Iterator[int]:
        """Put right what all events say, and the ledger in the place of the kept one; gives how many events so far.

        Within the writer's transaction, and for who has the database alone.
        """
        for done in self._follow(writer, "", nobody):
            self.put_facts_right(Speaking(writer), self.outdated)
            yield done
        for table, names in (("ledger", LEDGER_COLUMNS), ("reference", REFERENCE_COLUMNS)):
            columns, marks = ", ".join(names), ", ".join("?" * len(names))
            writer.execute(f"DELETE FROM {table}")  # noqa: S608
            rows = self._connection.execute(f"SELECT {columns} FROM main.{table}")  # noqa: S608
            writer.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)  # noqa: S608

    def _follow(self, log: sqlite3.Connection, database: str, told: Told) -> Iterator[int]:
        # One statement, so that what is taken out of the log meanwhile is found in one of the two places.
        query = (
            f"SELECT {', '.join(READ)} FROM {database}event WHERE key > ?1"  # noqa: S608
            f" UNION ALL SELECT {', '.join(_PAST)} FROM {database}past WHERE key > ?1 ORDER BY key LIMIT {CHUNK_EVENTS}"
        )
        while self._count(log.execute(query, (self._last_key,)), self._last_key, told):
            yield self.events

    def _add(self, rows: Sequence[Row]) -> None:
        self._connection.execute(insert("event", len(rows)), [value for row in rows for value in row])
        self._connection.execute("DELETE FROM main.event")

    def differences(self) -> Iterator[Difference]:
        connection = self._connection
        connection.execute("BEGIN")
        try:
            self.catch_up()
            yield from found_different(Speaking(connection))
        finally:
            connection.execute("COMMIT")

    def put_right(self, connection: Connection, objects: Sequence[Object]) -> None:
        writer = cast(Speaking, connection).connection
        self.follow_within(writer)
        columns = ", ".join(LEDGER_COLUMNS)
        marks = ", ".join("?" * len(LEDGER_COLUMNS))
        for each in objects:
            writer.execute("DELETE FROM ledger WHERE provider = ? AND kind = ? AND id = ?", each)
            row = self._connection.execute(
                f"SELECT {columns} FROM main.ledger WHERE provider = ? AND kind = ? AND id = ?",  # noqa: S608
                each,
            ).fetchone()
            if row is not None:
                writer.execute(f"INSERT INTO ledger ({columns}) VALUES ({marks})", row)  # noqa: S608
            if each.kind == "payment":
                names = self._connection.execute(
                    "SELECT name, provider, payment_id FROM main.reference WHERE provider = ? AND payment_id = ?",
                    (each.provider, each.id),
                ).fetchall()
                writer.execute("DELETE FROM reference WHERE provider = ? AND payment_id = ?", (each.provider, each.id))
                writer.executemany("INSERT INTO reference (name, provider, payment_id) VALUES (?, ?, ?)", names)
