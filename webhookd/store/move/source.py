"""The log that moves, as SQLite's file has it: read by short transactions, beside a daemon that goes on writing.

It is read a stretch at a time: all events of a range of keys, in the log or past, with all that hangs on them. Of a
stretch that was read there is a gist, by which it is seen later whether anything in it has changed since.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from webhookd.store.move.writing import Rows
from webhookd.store.sqlite.connection import MOVED, SCHEMA_VERSION, WrongDatabaseError, open_alone, schema_version
from webhookd.store.sqlite.driver import driver, sorted_error

EVENTS, ROWS, BYTES = 1_000, 20_000, 8 * 2**20
"""At most so many events in a stretch, deliveries with attempts, and bytes of bodies; but one event may have more."""
KEY_MAX = 2**63 - 1
HANGING = {
    "event": "key",
    "past": "key",
    "alias": "event",
    "conflict": "event",
    "delivery": "event",
    "attempt": "event",
}
"""Tables whose rows belong to an event, and the column with its key; before what points to them."""
FEW = ("endpoint", "secret", "route", "replay", "token", "session", "minute")
"""Tables that are copied as a whole, in this order, once nobody writes any more."""
_KEYS, _EVENTS = (f"{key} > :after AND {key} <= :last" for key in ("key", "event"))
_MS = 2**48 - 1
"""Of what is Unix milliseconds this leaves all, and of what is to stand for never a number that can be summed."""
_GIST = f"""
  SELECT json_array(
    (SELECT json_array(count(*), sum(state = 'accepted'), sum(body IS NULL)) FROM event WHERE {_KEYS}),
    (SELECT count(*) FROM past WHERE {_KEYS}),
    (SELECT count(*) FROM alias INDEXED BY alias_of_event WHERE {_EVENTS}),
    (SELECT json_array(count(*), sum(times)) FROM conflict WHERE {_EVENTS}),
    (SELECT json_array(count(*), sum(state = 'pending'), sum(state = 'dead'), sum(state = 'cancelled'), sum(attempts),
                       sum(step), sum(replay), sum(held), sum(due_at & {_MS}), sum(settled_at & {_MS}))
     FROM delivery WHERE {_EVENTS}),
    (SELECT count(*) FROM attempt WHERE {_EVENTS}))
"""  # noqa: S608 - our own names
_SIZES = "SELECT key, coalesce(length(body), 0) + length(headers) FROM event WHERE key > ? ORDER BY key LIMIT ?"
_SIZES_OF_PAST = "SELECT key, 0 FROM past WHERE key > ? ORDER BY key LIMIT ?"
_SAID = f"""
  WITH said AS (
    SELECT provider, kind, object_id, payment_id, names FROM event WHERE {_KEYS}
    UNION ALL SELECT provider, kind, object_id, payment_id, names FROM past WHERE {_KEYS})
"""  # noqa: S608
_LEDGER = f"""{_SAID}
  SELECT l.* FROM (
    SELECT provider, kind, object_id AS id FROM said WHERE kind IS NOT NULL
    UNION SELECT provider, 'payment', payment_id FROM said WHERE payment_id IS NOT NULL
  ) AS its CROSS JOIN ledger AS l ON l.provider = its.provider AND l.kind = its.kind AND l.id = its.id
"""  # noqa: S608
_REFERENCES = f"""{_SAID}
  SELECT DISTINCT r.name, r.provider, r.payment_id FROM said CROSS JOIN json_each(said.names) AS its
    CROSS JOIN reference AS r ON r.name = its.value AND r.provider = said.provider AND r.payment_id = said.payment_id
  WHERE names IS NOT NULL AND said.payment_id IS NOT NULL
"""  # noqa: S608


class Stretch(NamedTuple):
    """Of the log: all that belongs to events of a key above `after`, up to `last`."""

    after: int
    last: int


class Read(NamedTuple):
    """What was read of a stretch, of one snapshot."""

    stretch: Stretch
    gist: str
    rows: Mapping[str, Rows]
    """By table: those of HANGING, and what the ledger has of the objects that the events speak of."""


class Source:
    """Holds a connection that cannot write. Not for two threads. Raises StoreError for a file that is damaged."""

    def __init__(self, path: Path) -> None:
        """Raises WrongDatabaseError for a file that holds no log of this schema."""
        self._path = path
        self._connection = open_alone(path, read_only=True)
        try:
            with self._sorted():
                self._recognise()
                self.columns = {
                    table: self._columns_of(table) for table in (*HANGING, *FEW, "audit", "ledger", "reference")
                }
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def end(self) -> int:
        """The greatest key that is there by now; -1 where there is none."""
        with self._sorted():
            query = "SELECT max((SELECT coalesce(max(key), -1) FROM event), (SELECT coalesce(max(key), -1) FROM past))"
            return int(self._ask(query)[0][0])

    def following(self, after: int) -> Stretch | None:
        """The next stretch of what is there by now; None where there is nothing more."""
        with self._snapshot():
            sizes = dict(self._ask(_SIZES, (after, EVENTS)))
            past = dict(self._ask(_SIZES_OF_PAST, (after, EVENTS)))
            ends = [max(keys) for keys in (sizes, past) if len(keys) == EVENTS]
            keys = sorted(key for key in {*sizes, *past} if key <= min(ends, default=KEY_MAX))
            if not keys:
                return None
            keys = _up_to(keys, sizes)
            while len(keys) > 1 and self._is_much(after, keys[-1]):
                keys = keys[: len(keys) // 2]
            return Stretch(after, keys[-1])

    def gist(self, stretch: Stretch) -> str:
        """Other than it was whenever anything has changed that belongs to its events.

        Up to the greatest key of a log no event is added any more; events only go, and so do bodies. Attempts and
        deliveries are added, and a delivery that is settled or put off otherwise has other counts or another time. Only
        the ledger's rebuild changes what an event says: see `rebuild`.
        """
        with self._sorted():
            return str(self._ask(_GIST, stretch._asdict())[0][0])

    def read(self, stretch: Stretch) -> Read:
        given = stretch._asdict()
        with self._snapshot():
            rows = {}
            for table, key in HANGING.items():
                query = f"SELECT {self._listed(table)} FROM {table} WHERE {key} > :after AND {key} <= :last"  # noqa: S608
                rows[table] = self._ask(query, given)
            rows["ledger"] = self._ask(_LEDGER, given)
            rows["reference"] = self._ask(_REFERENCES, given)
            return Read(stretch, str(self._ask(_GIST, given)[0][0]), rows)

    def all_of(self, table: str) -> Rows:
        """Of one of FEW."""
        with self._sorted():
            return self._ask(f"SELECT {self._listed(table)} FROM {table}")  # noqa: S608

    def many_of(self, table: str, rows: int) -> Iterator[Rows]:
        """All of it, so many rows at a time; for who has the file alone."""
        with self._sorted():
            cursor = self._connection.execute(f"SELECT {self._listed(table)} FROM {table}")  # noqa: S608
            while found := cursor.fetchmany(rows):
                yield found

    def trail(self, after: int, rows: int) -> Rows:
        """Of the audit trail, beyond that number."""
        with self._sorted():
            query = f"SELECT {self._listed('audit')} FROM audit WHERE number > ? ORDER BY number LIMIT ?"  # noqa: S608
            return self._ask(query, (after, rows))

    def first_of_trail(self) -> int:
        """The least number that is there; of an empty one, one above all that ever were."""
        with self._sorted():
            return int(
                self._ask("""
                SELECT coalesce((SELECT min(number) FROM audit),
                                (SELECT seq + 1 FROM sqlite_sequence WHERE name = 'audit'), 1)""")[0][0]
            )

    def rebuild(self) -> tuple[int, int] | None:
        """The number of the last deed by which the ledger was made anew, and when it began (Unix milliseconds)."""
        with self._sorted():
            query = "SELECT number, at FROM audit WHERE action = 'ledger.rebuild' ORDER BY number DESC LIMIT 1"
            return next((tuple(row) for row in self._ask(query)), None)

    def numbers(self) -> Mapping[str, int]:
        """The greatest number that a table ever gave a row."""
        with self._sorted():
            return dict(self._ask("SELECT name, seq FROM sqlite_sequence"))

    def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        with self._sorted():
            count = "SELECT count(*) FROM "
            return {table: self._ask(count + table)[0][0] for table in self.columns}

    def events(self) -> int:
        """How many there are, past ones too."""
        with self._sorted():
            return sum(
                count for (count,) in self._ask("SELECT count(*) FROM event UNION ALL SELECT count(*) FROM past")
            )

    def sealed(self) -> Iterator[tuple[str, bytes, str, int, int]]:
        """What is sealed: of which endpoint, the sealed bytes, what they are, its number, and when they were made."""
        with self._sorted():
            yield from self._ask("""
                SELECT name, sealed, 'secret', number, s.created_at FROM secret AS s JOIN endpoint ON number = endpoint
                UNION ALL SELECT name, settings, 'settings', number, 0 FROM endpoint WHERE settings IS NOT NULL""")

    def _recognise(self) -> None:
        version = schema_version(self._connection)
        if version == 0:
            raise WrongDatabaseError(f"{self._path} holds no log: there is nothing to move")
        if version != SCHEMA_VERSION:
            raise WrongDatabaseError(
                f"{self._path} has schema {version} and this webhookd works with {SCHEMA_VERSION}: stop the daemon and "
                "bring it up to date with `webhookd migrate` first"
            )

    def _columns_of(self, table: str) -> Sequence[str]:
        """Without those that are generated."""
        return [row[1] for row in self._ask(f"PRAGMA table_info({table})")]

    def _listed(self, table: str) -> str:
        return ", ".join(self.columns[table])

    def _is_much(self, after: int, last: int) -> bool:
        rows = 0
        for table in ("delivery", "attempt"):
            query = f"SELECT count(*) FROM (SELECT 1 FROM {table} WHERE event > ? AND event <= ? LIMIT {ROWS + 1})"  # noqa: S608
            rows += self._ask(query, (after, last))[0][0]
        return rows > ROWS

    def _ask(self, query: str, given: Any = ()) -> list[Any]:
        return self._connection.execute(query, given).fetchall()

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        with self._sorted():
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                self._connection.execute("ROLLBACK")

    @contextmanager
    def _sorted(self) -> Iterator[None]:
        try:
            yield
        except (driver.Error, sqlite3.Error) as error:
            raise sorted_error(error) from error


def _up_to(keys: list[int], sizes: Mapping[int, int]) -> list[int]:
    """The first of them, with no more than BYTES."""
    total = 0
    for place, key in enumerate(keys):
        total += sizes.get(key, 0)
        if total > BYTES and place:
            return keys[:place]
    return keys


def mark_moved(path: Path, log: str, target: str, now_ms: int) -> None:
    """From the end of this on no daemon opens the file. One transaction, synced; for who holds the data directory."""
    _change(
        path,
        "CREATE TABLE moved (log TEXT NOT NULL, target TEXT NOT NULL, at INTEGER NOT NULL) STRICT",
        ("INSERT INTO moved VALUES (?, ?, ?)", (log, target, now_ms)),
        f"PRAGMA user_version = {MOVED + SCHEMA_VERSION}",
    )


def mark_unmoved(path: Path) -> None:
    """The contrary."""
    _change(path, "DROP TABLE moved", f"PRAGMA user_version = {SCHEMA_VERSION}")


def moved(path: Path) -> str | None:
    """What the log is called that was moved out of the file, if one was."""
    with closing(open_alone(path, read_only=True)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        return str(connection.execute("SELECT log FROM moved").fetchone()[0]) if version > MOVED else None


def _change(path: Path, *statements: str | tuple[str, tuple[Any, ...]]) -> None:
    with closing(open_alone(path, synchronous="FULL", wal_autocheckpoint=0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for each in statements:
                connection.execute(*((each,) if isinstance(each, str) else each))
            connection.execute("COMMIT")
        except (driver.Error, sqlite3.Error) as error:
            raise sorted_error(error) from error
