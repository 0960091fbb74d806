"""The ledger once more: made from the log beside the one that is kept, to compare the two.

Every event is read again from its bytes and put into an empty database with the same triggers, so that there is one
way from event to ledger. What the log no longer holds the bytes of counts as it was read when it came; what retention
has taken out of it, by what is left of that (`past`), in its old place.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from webhookd.core.event import OPERATIONAL, Event, Hook, Reading
from webhookd.core.ledger import Fact
from webhookd.core.money import Money
from webhookd.store.protocol.errors import StoreError
from webhookd.store.sql.values import event_values, fact_values
from webhookd.store.sqlite.connection import open_beside
from webhookd.store.sqlite.driver import driver, in_its_words
from webhookd.store.sqlite.statements import FACT_COLUMNS, LEDGER_COLUMNS, STATEMENTS, insert_events

CHUNK_EVENTS = 500
REFERENCE_COLUMNS = ("name", "provider", "payment_id")
_READ = (
    *("key", "salt", "source", "provider", "provider_event_id", "type", "state", "received_at", "occurred_at"),
    *("payment_id", *FACT_COLUMNS, "headers", "sha256", "size", "body"),
)
_PAST = [{"headers": "'[]'", "body": "NULL"}.get(name, name) for name in _READ]
_headers = msgspec.json.Decoder(list[tuple[str, str]])
_names = msgspec.json.Decoder(tuple[str, ...])
Reread = Callable[[str, Hook], Reading | None]
"""Reads a stored hook again, by the provider's name; None when its envelope cannot be understood."""


class UnreadableError(StoreError):
    """A row that webhookd cannot have written so: the file was damaged, or changed by hand."""


class Object(NamedTuple):
    """The name of a row of the ledger."""

    provider: str
    kind: str
    id: str


class Difference(NamedTuple):
    object: Object
    what: str
    """`missing` in the kept ledger, `extra` there, or the names of the columns that differ."""


class Recount:
    """Holds a connection of its own, on a database of its own with the log attached, read only. Not for two threads."""

    def __init__(self, path: Path | None, reread: Reread) -> None:
        """Without a path there is no log attached, for `make_anew`. Raises StoreError, OSError."""
        self._reread = reread
        try:
            self._connection = open_beside(path)
        except (driver.Error, UnicodeDecodeError) as error:  # SQLite may quote a damaged file, and that is no text
            raise UnreadableError(f"the file is not as webhookd made it: {in_its_words(error)}") from None
        self._last_key = 0
        self.events = 0
        """Events counted so far."""
        self.outdated: list[Event] = []
        """Those of the last chunk that now read otherwise than when they came, as they read now."""

    def close(self) -> None:
        self._connection.close()

    @property
    def connection(self) -> sqlite3.Connection:
        """`main` is the recount, `log` what is kept."""
        return self._connection

    def total(self) -> int:
        """How many events the log holds now, with those that are past."""
        query = "SELECT (SELECT count(*) FROM log.event) + (SELECT count(*) FROM log.past)"
        return int(self._connection.execute(query).fetchone()[0])

    def follow(self, told: Callable[[Event, bytes | None], None] = lambda _event, _body: None) -> Iterator[int]:
        """Count what the log holds beyond what was counted; gives the number of events after each chunk.

        `told` is given each event as it was stored, and its bytes.
        """
        return self._follow(self._connection, "log.", told)

    def catch_up(self) -> None:
        """Count what has come since, so that little is left for the writer to wait for."""
        for _ in self.follow():
            pass

    def follow_within(self, writer: sqlite3.Connection) -> None:
        """The same from a connection that is about to write: then nothing can be missing."""
        for _ in self._follow(writer, "", lambda _event, _body: None):
            pass

    def make_anew(self, writer: sqlite3.Connection) -> Iterator[int]:
        """Put right what all events say, and the ledger in the place of the kept one; gives how many events so far.

        Within the writer's transaction, and for who has the database alone.
        """
        for done in self._follow(writer, "", lambda _event, _body: None):
            self.put_facts_right(writer, self.outdated)
            yield done
        for table, names in (("ledger", LEDGER_COLUMNS), ("reference", REFERENCE_COLUMNS)):
            columns, marks = ", ".join(names), ", ".join("?" * len(names))
            writer.execute(f"DELETE FROM {table}")  # noqa: S608
            rows = self._connection.execute(f"SELECT {columns} FROM main.{table}")  # noqa: S608
            writer.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)  # noqa: S608

    def _follow(
        self, log: sqlite3.Connection, database: str, told: Callable[[Event, bytes | None], None]
    ) -> Iterator[int]:
        # One statement, so that what is taken out of the log meanwhile is found in one of the two places.
        query = (
            f"SELECT {', '.join(_READ)} FROM {database}event WHERE key > ?1"  # noqa: S608
            f" UNION ALL SELECT {', '.join(_PAST)} FROM {database}past WHERE key > ?1 ORDER BY key LIMIT {CHUNK_EVENTS}"
        )
        while True:
            values: list[Any] = []
            self.outdated = []
            count, last_key = 0, self._last_key
            for row in log.execute(query, (self._last_key,)):  # one body at a time
                if row[0] <= last_key:  # one would go round and round
                    raise UnreadableError(f"event {row[0]} comes after event {last_key}")
                try:
                    event, body = self._read(row)
                    again = self._again(event, body)
                    values += event_values(again)
                except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
                    raise UnreadableError(f"event {row[0]} is not as it was written ({type(error).__name__})") from None
                told(event, body)
                if again != event:
                    self.outdated.append(again)
                count += 1
                last_key = event.key
            if not count:
                return
            self._connection.execute(insert_events(count), values)
            self._connection.execute("DELETE FROM main.event")
            self._last_key = last_key
            self.events += count
            yield self.events

    def put_facts_right(self, writer: sqlite3.Connection, outdated: Sequence[Event]) -> None:
        """Keep with these events what they now say. Within the writer's transaction."""
        values = [
            (each.occurred_at, each.payment_id, *fact_values(each.fact, each.occurred_at), each.key)
            for each in outdated
        ]
        facts = ", ".join(f"{each} = ?" for each in ("occurred_at", "payment_id", *FACT_COLUMNS))
        for table in ("event", "past"):  # it may have been taken out since it was read
            writer.executemany(f"UPDATE {table} SET {facts} WHERE key = ?", values)  # noqa: S608

    def differences(self) -> Iterator[Difference]:
        """What the two ledgers do not agree on, as of one moment: all that is in the log by then is counted first."""
        connection = self._connection
        connection.execute("BEGIN")
        try:
            self.catch_up()
            for provider, kind, object_id, *found in connection.execute(STATEMENTS["audit.ledger_differences"]):
                differing = [name for name, differs in zip(LEDGER_COLUMNS[3:], found[1:], strict=True) if differs]
                yield Difference(Object(provider, kind, object_id), found[0] or ", ".join(differing))
            for name, provider, payment_id, what in connection.execute(STATEMENTS["audit.reference_differences"]):
                yield Difference(Object(provider, "payment", payment_id), f"reference {name[:64]!a} is {what}")
        finally:
            connection.execute("COMMIT")

    def put_right(self, writer: sqlite3.Connection, objects: Sequence[Object]) -> None:
        """Make the kept rows of these objects what the recount has. Within the writer's transaction."""
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

    def _read(self, row: Sequence[Any]) -> tuple[Event, bytes | None]:
        found = dict(zip(_READ, row, strict=True))
        body = found["body"]
        event = Event(
            **{name: found[name] for name in _READ[:9]},
            payment_id=found["payment_id"],
            fact=_fact(found),
            alias=None,
            headers=_headers.decode(found["headers"]),
            sha256=found["sha256"],
            size=found["size"],
            body=b"",
        )
        return event, body

    def _again(self, event: Event, body: bytes | None) -> Event:
        if body is None or event.state == "quarantined" or event.provider == OPERATIONAL:
            return event
        reading = self._reread(event.provider, Hook(dict(event.headers), body, event.received_at))
        if reading is None:
            return msgspec.structs.replace(event, fact=None, payment_id=None)
        return msgspec.structs.replace(
            event, fact=reading.fact, payment_id=reading.payment_id, occurred_at=reading.occurred_at
        )


def _fact(found: dict[str, Any]) -> Fact | None:
    if found["kind"] is None:
        return None
    names = _names.decode(found["names"]) if found["names"] else ()
    return Fact(
        kind=found["kind"],
        id=found["object_id"],
        status=found["status"],
        detail=found["detail"],
        money=Money(found["amount"], found["currency"], found["exponent"]),
        refunded=found["refunded"],
        reference=found["reference"],
        references=names if found["reference"] is None else names[1:],
    )
