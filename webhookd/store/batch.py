"""One batch of writes, one transaction, one sync. Runs on the writer's thread.

Few statements, each of many rows: every step of SQLite lets go of the interpreter's lock, and getting it back from a
busy event loop costs more than the step.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, cast

import msgspec

from webhookd.core.delivery import Aftermath, Due, Priority, Settlement
from webhookd.core.event import PUBLISHED, Appended, Event
from webhookd.core.identifier import event_id
from webhookd.core.ledger import Fact, counts, standing
from webhookd.store.connection import sorted_error
from webhookd.store.protocol import RefusalError, StoreBrokenError, StoreError
from webhookd.store.queries import ACCESS, SQL, insert_aliases, insert_attempts, insert_events, insert_notice

T = TypeVar("T")
ANNOUNCED_MAX = 4096
STATEMENT_ROWS_MAX = 64
_encode = msgspec.json.Encoder().encode
_decode_numbers = msgspec.json.Decoder(list[int]).decode
_ROWS = (Event, Settlement)
Change = Callable[[sqlite3.Connection], object]
Commit = Callable[[sqlite3.Connection], None]
"""Ends the connection's transaction, and returns once what it wrote is durable."""
Write = Event | Settlement | Change


class Committed(msgspec.Struct):
    results: list[object]
    owed: list[Due]
    owed_complete: bool
    """Whether `owed` holds all that the batch's events brought with them, or only the first ANNOUNCED_MAX."""


def apply(connection: sqlite3.Connection, batch: Sequence[Write], commit: Commit) -> Committed:
    """One batch, one transaction, one sync. A write that cannot be made fails alone, the others are made again."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        committed = _write(connection, batch)
        commit(connection)
    except Exception as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if len(batch) == 1 and not isinstance(sorted_error(error), StoreBrokenError):
            if (settlement := _of_what_is_past(connection, batch[0])) is not None:
                return _note_alone(connection, settlement, commit)
            return Committed([sorted_error(error)], [], owed_complete=True)
        if isinstance(sorted_error(error), StoreError):
            raise
        alone = [apply(connection, [write], commit) for write in batch]
        return Committed(
            [committed.results[0] for committed in alone],
            [due for committed in alone for due in committed.owed],
            all(committed.owed_complete for committed in alone),
        )
    return committed


def _of_what_is_past(connection: sqlite3.Connection, write: Write) -> Settlement | None:
    """It, if it settles a delivery that was cancelled while under way, and has been taken out since."""
    if not isinstance(write, Settlement):
        return None
    is_owed = connection.execute(SQL["is_owed"], (write.key.event, write.key.endpoint)).fetchall()
    return None if is_owed else write


def _note_alone(connection: sqlite3.Connection, settlement: Settlement, commit: Commit) -> Committed:
    """What an attempt made of its endpoint, when there is no delivery any more that it could settle."""
    aftermath = settlement.aftermath
    if aftermath is None:
        return Committed([None], [], owed_complete=True)

    def note(connection: sqlite3.Connection) -> None:
        for notice in aftermath.notices:
            connection.execute(insert_notice(), event_values(notice))
        _note_aftermath(connection, settlement, aftermath)

    return msgspec.structs.replace(apply(connection, [note], commit), owed_complete=False)


def _write(connection: sqlite3.Connection, batch: Sequence[Write]) -> Committed:
    """In the order of the batch, as its writers hear of it: a change parts what came before it from what came after."""
    committed = Committed([], [], owed_complete=True)
    run: list[Event | Settlement] = []
    for write in batch:
        if isinstance(write, _ROWS):
            run.append(write)
            continue
        _write_run(connection, run, committed)
        run = []
        try:
            committed.results.append(write(connection))
        except RefusalError as refusal:
            committed.results.append(refusal)
    _write_run(connection, run, committed)
    return committed


def _write_run(connection: sqlite3.Connection, run: Sequence[Event | Settlement], committed: Committed) -> None:
    """Events, then settlements, each in as few statements as can be."""
    events = [write for write in run if isinstance(write, Event)]
    settlements = [write for write in run if isinstance(write, Settlement)]
    notices = [notice for each in settlements if each.aftermath is not None for notice in each.aftermath.notices]
    appended = _append(connection, events) if events else {}
    for notice in notices:  # passed over if its settlement has been committed before, and nobody heard of it
        connection.execute(insert_notice(), event_values(notice))
    if events or notices:
        owed, complete = _owed(connection, [*events, *notices])
        committed.owed += owed
        committed.owed_complete &= complete
    if settlements:
        _add(connection, insert_attempts, settlements, _attempt_values)
        for settlement in settlements:
            if settlement.aftermath is not None:
                _note_aftermath(connection, settlement, settlement.aftermath)
    committed.results += [appended[write.key] if isinstance(write, Event) else None for write in run]


def _note_aftermath(connection: sqlite3.Connection, settlement: Settlement, aftermath: Aftermath) -> None:
    health, endpoint = aftermath.health, settlement.key.endpoint
    noted = (health.breaker, health.retry_at, health.trips, health.failing_since, endpoint)
    connection.execute(SQL["note_health"], noted)
    if aftermath.gives_up and connection.execute(SQL["give_up_endpoint"], (endpoint,)).rowcount:
        at_ms = settlement.outcome.started_at + settlement.outcome.duration_ms
        connection.execute(ACCESS["record_given_up"], (at_ms, endpoint))


def _add(
    connection: sqlite3.Connection,
    insert: Callable[[int], str],
    rows: Sequence[T],
    values: Callable[[T], tuple[Any, ...]],
) -> int:
    """Insert the rows, in order; how many were new.

    A statement of each size stays prepared, and keeps the values it was last given, bodies and all: of half the sizes
    that is a quarter of the memory. A small batch is one statement all the same.
    """
    added = 0
    for first in range(0, len(rows), STATEMENT_ROWS_MAX):
        part = rows[first : first + STATEMENT_ROWS_MAX]
        added += connection.execute(insert(len(part)), [value for row in part for value in values(row)]).rowcount
    return added


def _append(connection: sqlite3.Connection, events: Sequence[Event]) -> dict[int, Appended]:
    if any(event.alias is not None for event in events):
        return _append_with_aliases(connection, events)
    return _insert(connection, events)


def _append_with_aliases(connection: sqlite3.Connection, events: Sequence[Event]) -> dict[int, Appended]:
    """Bind the aliases first: what comes under one that is bound already is no new event, whatever else it says."""
    aliased = [event for event in events if event.alias is not None]
    repeated: list[Event] = []
    if _add(connection, insert_aliases, aliased, _alias_values) < len(aliased):
        repeated = [event for event in aliased if _bound(connection, event)[0] != event.key]
    fresh = [event for event in events if event not in repeated]
    appended = _insert(connection, fresh) if fresh else {}
    for event in fresh:
        if event.alias is not None and appended[event.key].status == "duplicate":
            appended[event.key] = _repeat(connection, event, appended[event.key])
    for event in repeated:
        key, salt, sha256 = _bound(connection, event)
        status: Literal["duplicate", "forged"] = "duplicate" if sha256 == event.sha256 else "forged"
        appended[event.key] = Appended(event_id(key, salt), status)
    return appended


def _bound(connection: sqlite3.Connection, event: Event) -> tuple[int, int, bytes]:
    row: tuple[int, int, bytes] = connection.execute(SQL["event_of_alias"], (event.source, event.alias)).fetchone()
    return row


def _repeat(connection: sqlite3.Connection, event: Event, known: Appended) -> Appended:
    """A known id came with an alias that is new: the known event's from now on.

    But where the alias is the hash of the body, the id is not signed, and another body under it is another event: it
    is kept under its hash, or a stranger who foresees an id could have the genuine event taken for a copy.
    """
    if known.conflict and event.alias == f"sha256:{event.sha256.hex()}":
        _insert(connection, [msgspec.structs.replace(event, provider_event_id=event.alias)])
        return Appended(event.id, _status(event.state), conflict=True)
    [key, *_] = connection.execute(SQL["known_event"], (event.source, event.provider_event_id)).fetchone()
    connection.execute(SQL["rebind_alias"], (key, event.source, event.alias))
    return known


def _insert(connection: sqlite3.Connection, events: Sequence[Event]) -> dict[int, Appended]:
    if _add(connection, insert_events, events, event_values) == len(events):
        return {event.key: Appended(event.id, _status(event.state)) for event in events}
    return {event.key: _known(connection, event) for event in events}


def _known(connection: sqlite3.Connection, event: Event) -> Appended:
    """What the log holds under the event's provider id: the event itself, or the one it repeats."""
    row = connection.execute(SQL["known_event"], (event.source, event.provider_event_id)).fetchone()
    key, salt, sha256, is_past = row
    if key == event.key:
        return Appended(event.id, _status(event.state))
    conflict = sha256 != event.sha256
    if conflict and not is_past and event.source != PUBLISHED:  # whose sender is told; nothing of it is kept
        connection.execute(SQL["note_conflict"], (key, event.sha256, event.received_at, event.received_at))
    return Appended(event_id(key, salt), "duplicate", conflict)


def _owed(connection: sqlite3.Connection, events: Sequence[Event]) -> tuple[list[Due], bool]:
    """The deliveries that the batch's events brought with them. Keys ascend in the log, so a range holds them."""
    by_key = {event.key: event for event in events}
    text, count = connection.execute(SQL["owed"], (min(by_key), max(by_key), ANNOUNCED_MAX)).fetchone()
    owed = []
    numbers = iter(_decode_numbers(text))
    for key, endpoint, due_at, priority, chained in zip(*[numbers] * 5, strict=True):
        if (event := by_key.get(key)) is not None:
            owed.append(Due(endpoint, event, due_at, priority=cast(Priority, priority), chained=bool(chained)))
    return owed, count < ANNOUNCED_MAX


def _status(state: str) -> Any:
    return "quarantined" if state == "quarantined" else "accepted"


def _alias_values(event: Event) -> tuple[Any, ...]:
    return event.source, event.alias, event.key, event.sha256


def event_values(event: Event) -> tuple[Any, ...]:
    """What EVENT_COLUMNS hold."""
    return (
        *(event.key, event.salt, event.source, event.provider, event.provider_event_id, event.type, event.state),
        *(event.received_at, event.occurred_at, event.payment_id),
        *fact_values(event.fact, event.occurred_at),
        *(_encode(event.headers).decode(), event.sha256, event.size, event.body, event.trace),
    )


def fact_values(fact: Fact | None, occurred_at: int | None) -> tuple[Any, ...]:
    """The columns from `kind` to `names`."""
    if fact is None:
        return (None,) * 13
    names = fact.references if fact.reference is None else (fact.reference, *fact.references)
    return (
        *(fact.kind, fact.id, fact.status, fact.detail, *standing(fact, occurred_at), counts(fact)),
        *(fact.money.amount, fact.money.currency, fact.money.exponent, _refunded(fact), fact.reference),
        _encode(names).decode() if names else None,
    )


def _refunded(fact: Fact) -> int | None:
    """All of it, when the state says so and the event no amount."""
    if fact.kind == "payment" and fact.status == "refunded" and fact.refunded is None:
        return fact.money.amount
    return fact.refunded


def _attempt_values(settlement: Settlement) -> tuple[Any, ...]:
    outcome = settlement.outcome
    return (
        *(settlement.key.event, settlement.key.endpoint, settlement.number, outcome.started_at, outcome.duration_ms),
        *(outcome.status, outcome.error, outcome.response, settlement.replay, settlement.state, settlement.due_at),
        settlement.step,
    )
