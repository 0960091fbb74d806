"""One batch of writes, one sync. Runs on the writer's thread.

Few statements, each of many rows: every one lets go of the interpreter's lock five times and more, and getting it back
from a busy event loop costs more than the statement.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, TypeVar, cast

import msgspec

from webhookd.core.delivery import Aftermath, Due, Priority, Settlement
from webhookd.core.event import PUBLISHED, Appended, Event
from webhookd.core.identifier import event_id
from webhookd.store.protocol.errors import RefusalError, StoreBrokenError, StoreError, StoreUnavailableError
from webhookd.store.sql.connection import Connection, Write
from webhookd.store.sql.values import alias_values, attempt_values, event_values
from webhookd.store.sqlite.driver import sorted_error
from webhookd.store.sqlite.statements import Speaking, insert_aliases, insert_attempts, insert_events, insert_notice

T = TypeVar("T")
ANNOUNCED_MAX = 4096
STATEMENT_ROWS_MAX = 64
_decode_numbers = msgspec.json.Decoder(list[int]).decode
_ROWS = (Event, Settlement)
Commit = Callable[[Callable[[], Any]], Any]
"""Does what ends a transaction, or is one, and returns what that gives once it is durable."""


class Committed(msgspec.Struct):
    results: list[object]
    owed: list[Due]
    owed_complete: bool
    """Whether `owed` holds all that the batch's events brought with them, or only the first ANNOUNCED_MAX."""


def apply(connection: sqlite3.Connection, batch: Sequence[Write], commit: Commit) -> Committed:
    """One batch, one sync. A write that cannot be made fails alone, the others are made again."""
    speaking = Speaking(connection)
    try:
        if _is_plain(batch):
            return cast(Committed, commit(partial(_write, speaking, batch)))
        connection.execute("BEGIN IMMEDIATE")
        committed = _write(speaking, batch)
        commit(partial(connection.execute, "COMMIT"))
    except Exception as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if len(batch) == 1 and not isinstance(sorted_error(error), StoreBrokenError):
            if (settlement := _of_what_is_past(speaking, batch[0])) is not None:
                return _note_alone(connection, settlement, commit)
            return Committed([sorted_error(error)], [], owed_complete=True)
        if isinstance(sorted_error(error), StoreError):
            if _may_be_there_in_part(batch, sorted_error(error)):
                return Committed([sorted_error(error)] * len(batch), [], owed_complete=False)
            raise
        alone = [apply(connection, [write], commit) for write in batch]
        return Committed(
            [committed.results[0] for committed in alone],
            [due for committed in alone for due in committed.owed],
            all(committed.owed_complete for committed in alone),
        )
    return committed


def _is_plain(batch: Sequence[Write]) -> bool:
    """Whether one statement is enough for each kind of write: so it is with nearly every batch.

    Then each is a transaction by itself, and one sync is for all: to begin one and to end it are statements, too. No
    write needs another of its batch, and nobody is told of one before all are durable.
    """
    return len(batch) <= STATEMENT_ROWS_MAX and all(
        write.alias is None if isinstance(write, Event) else isinstance(write, Settlement) and write.aftermath is None
        for write in batch
    )


def _may_be_there_in_part(batch: Sequence[Write], error: Exception) -> bool:
    """Whether events may be committed, though the settlements after them were not: who they are owed to must look."""
    kinds = {type(write) for write in batch}
    return isinstance(error, StoreUnavailableError) and _is_plain(batch) and kinds == {Event, Settlement}


def _of_what_is_past(connection: Speaking, write: Write) -> Settlement | None:
    """It, if it settles a delivery that was cancelled while under way, and has been taken out since."""
    if not isinstance(write, Settlement):
        return None
    is_owed = connection.execute("log.is_owed", (write.key.event, write.key.endpoint)).fetchall()
    return None if is_owed else write


def _note_alone(connection: sqlite3.Connection, settlement: Settlement, commit: Commit) -> Committed:
    """What an attempt made of its endpoint, when there is no delivery any more that it could settle."""
    aftermath = settlement.aftermath
    if aftermath is None:
        return Committed([None], [], owed_complete=True)

    def note(_connection: Connection) -> None:
        for notice in aftermath.notices:
            connection.execute(insert_notice(), event_values(notice))
        _note_aftermath(Speaking(connection), settlement, aftermath)

    return msgspec.structs.replace(apply(connection, [note], commit), owed_complete=False)


def _write(connection: Speaking, batch: Sequence[Write]) -> Committed:
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


def _write_run(connection: Speaking, run: Sequence[Event | Settlement], committed: Committed) -> None:
    """Events, then settlements, each in as few statements as can be."""
    events = [write for write in run if isinstance(write, Event)]
    settlements = [write for write in run if isinstance(write, Settlement)]
    notices = [notice for each in settlements if each.aftermath is not None for notice in each.aftermath.notices]
    appended = _append(connection, events) if events else {}
    for notice in notices:  # passed over if its settlement has been committed before, and nobody heard of it
        connection.connection.execute(insert_notice(), event_values(notice))
    if events or notices:
        owed, complete = _owed(connection, [*events, *notices])
        committed.owed += owed
        committed.owed_complete &= complete
    if settlements:
        _add(connection, insert_attempts, settlements, attempt_values)
        for settlement in settlements:
            if settlement.aftermath is not None:
                _note_aftermath(connection, settlement, settlement.aftermath)
    committed.results += [appended[write.key] if isinstance(write, Event) else None for write in run]


def _note_aftermath(connection: Speaking, settlement: Settlement, aftermath: Aftermath) -> None:
    health, endpoint = aftermath.health, settlement.key.endpoint
    noted = (health.breaker, health.retry_at, health.trips, health.failing_since, endpoint)
    connection.execute("log.note_health", noted)
    if aftermath.gives_up and connection.execute("log.give_up_endpoint", (endpoint,)).rowcount:
        at_ms = settlement.outcome.started_at + settlement.outcome.duration_ms
        connection.execute("access.record_given_up", (at_ms, endpoint))


def _add(
    connection: Speaking,
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
        given = [value for row in part for value in values(row)]
        added += connection.connection.execute(insert(len(part)), given).rowcount
    return added


def _append(connection: Speaking, events: Sequence[Event]) -> dict[int, Appended]:
    if any(event.alias is not None for event in events):
        return _append_with_aliases(connection, events)
    return _insert(connection, events)


def _append_with_aliases(connection: Speaking, events: Sequence[Event]) -> dict[int, Appended]:
    """Bind the aliases first: what comes under one that is bound already is no new event, whatever else it says."""
    aliased = [event for event in events if event.alias is not None]
    repeated: list[Event] = []
    if _add(connection, insert_aliases, aliased, alias_values) < len(aliased):
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


def _bound(connection: Speaking, event: Event) -> tuple[int, int, bytes]:
    row: tuple[int, int, bytes] = connection.execute("log.event_of_alias", (event.source, event.alias)).fetchone()
    return row


def _repeat(connection: Speaking, event: Event, known: Appended) -> Appended:
    """A known id came with an alias that is new: the known event's from now on.

    But where the alias is the hash of the body, the id is not signed, and another body under it is another event: it
    is kept under its hash, or a stranger who foresees an id could have the genuine event taken for a copy.
    """
    if known.conflict and event.alias == f"sha256:{event.sha256.hex()}":
        _insert(connection, [msgspec.structs.replace(event, provider_event_id=event.alias)])
        return Appended(event.id, _status(event.state), conflict=True)
    [key, *_] = connection.execute("log.known_event", (event.source, event.provider_event_id)).fetchone()
    connection.execute("log.rebind_alias", (key, event.source, event.alias))
    return known


def _insert(connection: Speaking, events: Sequence[Event]) -> dict[int, Appended]:
    if _add(connection, insert_events, events, event_values) == len(events):
        return {event.key: Appended(event.id, _status(event.state)) for event in events}
    return {event.key: _known(connection, event) for event in events}


def _known(connection: Speaking, event: Event) -> Appended:
    """What the log holds under the event's provider id: the event itself, or the one it repeats."""
    row = connection.execute("log.known_event", (event.source, event.provider_event_id)).fetchone()
    key, salt, sha256, is_past = row
    if key == event.key:
        return Appended(event.id, _status(event.state))
    conflict = sha256 != event.sha256
    if conflict and not is_past and event.source != PUBLISHED:  # whose sender is told; nothing of it is kept
        connection.execute("log.note_conflict", (key, event.sha256, event.received_at, event.received_at))
    return Appended(event_id(key, salt), "duplicate", conflict)


def _owed(connection: Speaking, events: Sequence[Event]) -> tuple[list[Due], bool]:
    """The deliveries that the batch's events brought with them. Keys ascend in the log, so a range holds them."""
    by_key = {event.key: event for event in events}
    text, count = connection.execute("log.owed", (min(by_key), max(by_key), ANNOUNCED_MAX)).fetchone()
    owed = []
    numbers = iter(_decode_numbers(text))
    for key, endpoint, due_at, priority, chained in zip(*[numbers] * 5, strict=True):
        if (event := by_key.get(key)) is not None:
            owed.append(Due(endpoint, event, due_at, priority=cast(Priority, priority), chained=bool(chained)))
    return owed, count < ANNOUNCED_MAX


def _status(state: str) -> Any:
    return "quarantined" if state == "quarantined" else "accepted"
