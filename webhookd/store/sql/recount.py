"""The ledger once more: made from the log beside the one that is kept, to compare the two.

Every event is read again from its bytes and put where nothing else is, behind the trigger that makes the ledger: there
is one way from event to ledger. What the log no longer holds the bytes of counts as it was read when it came; what
retention has taken out of it, by what is left of that (`past`), in its old place.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from webhookd.core.event import OPERATIONAL, Event, Hook
from webhookd.core.ledger import Fact
from webhookd.core.money import Money
from webhookd.store.protocol.errors import StoreError
from webhookd.store.protocol.store import Reread
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.values import EVENT_COLUMNS, FACT_COLUMNS, LEDGER_COLUMNS, event_values

CHUNK_EVENTS = 500
READ = (
    *("key", "salt", "source", "provider", "provider_event_id", "type", "state", "received_at", "occurred_at"),
    *("payment_id", *FACT_COLUMNS, "headers", "sha256", "size", "body"),
)
"""The columns of an event that is read again; what is past has neither headers nor a body."""
Row = tuple[Any, ...]
"""An event, as EVENT_COLUMNS have it, without its body."""
_SAID = slice(EVENT_COLUMNS.index("occurred_at"), EVENT_COLUMNS.index("names") + 1)
_headers = msgspec.json.Decoder(list[tuple[str, str]])
_names = msgspec.json.Decoder(tuple[str, ...])
Told = Callable[[Event, bytes | None], None]


class UnreadableError(StoreError):
    """A row that webhookd cannot have written so: it was damaged, or changed by hand."""


class Object(NamedTuple):
    """The name of a row of the ledger."""

    provider: str
    kind: str
    id: str


class Difference(NamedTuple):
    object: Object
    what: str
    """`missing` in the kept ledger, `extra` there, or the names of the columns that differ."""


def nobody(_event: Event, _body: bytes | None) -> None:
    """Who is told of events when nobody asks."""


class Recount:
    """What is counted so far, in what an engine has for it: in a place of its own, with the log beside it."""

    def __init__(self, reread: Reread) -> None:
        self._reread = reread
        self._last_key = 0
        self.events = 0
        """Events counted so far."""
        self.outdated: list[Row] = []
        """Those of the last chunk that now read otherwise than when they came, as they read now."""

    # --- What an engine does

    def total(self) -> int:
        """How many events the log holds now, with those that are past."""
        raise NotImplementedError

    def follow(self, told: Told = nobody) -> Iterator[int]:
        """Count what the log holds beyond what was counted; gives the number of events after each chunk.

        `told` is given each event as it was stored, and its bytes.
        """
        raise NotImplementedError

    def differences(self) -> Iterator[Difference]:
        """What the two ledgers do not agree on, as of one moment: all that is in the log by then is counted first."""
        raise NotImplementedError

    def put_right(self, connection: Connection, objects: Sequence[Object]) -> None:
        """Make the kept rows of these objects what the recount has. Within a transaction that writes alone."""
        raise NotImplementedError

    def _add(self, rows: Sequence[Row]) -> None:
        """Put them behind the trigger."""
        raise NotImplementedError

    def _kept(self, event: Event) -> Row:
        """As it is kept."""
        return event_values(event)

    # --- What all do

    def catch_up(self) -> None:
        """Count what has come since, so that little is left for who writes to wait for."""
        for _ in self.follow():
            pass

    def put_facts_right(self, connection: Connection, outdated: Sequence[Row]) -> None:
        """Keep with these events what they now say. Within a transaction that writes alone."""
        values = [(*row[_SAID], row[0]) for row in outdated]
        for where in ("event", "past"):  # it may have been taken out since it was read
            connection.execute_many(f"recount.say_of_{where}", values)

    def _count(self, found: Iterable[Sequence[Any]], after: int, told: Told) -> int:
        """Count these rows of READ, one body at a time, which ascend from that key on; how many they were."""
        rows: list[Row] = []
        self.outdated = []
        for row in found:
            if row[0] <= after:  # one would go round and round
                raise UnreadableError(f"event {row[0]} comes after event {after}")
            try:
                event, body = _read(row)
                again = self._again(event, body)
                rows.append(self._kept(again))
                is_outdated = rows[-1] != self._kept(event)
            except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
                raise UnreadableError(f"event {row[0]} is not as it was written ({type(error).__name__})") from None
            told(event, body)
            if is_outdated:
                self.outdated.append(rows[-1])
            after = event.key
        if rows:
            self._add(rows)
            self._last_key = max(self._last_key, after)
            self.events += len(rows)
        return len(rows)

    def _again(self, event: Event, body: bytes | None) -> Event:
        if body is None or event.state == "quarantined" or event.provider == OPERATIONAL:
            return event
        reading = self._reread(event.provider, Hook(dict(event.headers), body, event.received_at))
        if reading is None:
            return msgspec.structs.replace(event, fact=None, payment_id=None)
        return msgspec.structs.replace(
            event, fact=reading.fact, payment_id=reading.payment_id, occurred_at=reading.occurred_at
        )


def found_different(connection: Connection) -> Iterator[Difference]:
    """What is in one of the two ledgers only, or otherwise in each."""
    for provider, kind, object_id, *found in connection.execute("audit.ledger_differences"):
        differing = [name for name, differs in zip(LEDGER_COLUMNS[3:], found[1:], strict=True) if differs]
        yield Difference(Object(provider, kind, object_id), found[0] or ", ".join(differing))
    for name, provider, payment_id, what in connection.execute("audit.reference_differences"):
        yield Difference(Object(provider, "payment", payment_id), f"reference {name[:64]!a} is {what}")


def _read(row: Sequence[Any]) -> tuple[Event, bytes | None]:
    found = dict(zip(READ, row, strict=True))
    body = found["body"]
    event = Event(
        **{name: found[name] for name in READ[:9]},
        payment_id=found["payment_id"],
        fact=_fact(found),
        alias=None,
        headers=_headers.decode(found["headers"]),
        sha256=found["sha256"],
        size=found["size"],
        body=b"",
    )
    return event, body


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
