"""What a commit holds, written in the transaction of whoever runs it: events, then settlements, and changes between."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, cast

import msgspec

from webhookd.core.delivery import Aftermath, DeliveryKey, Due, Priority, Settlement
from webhookd.core.event import PUBLISHED, Appended, Event
from webhookd.core.identifier import event_id
from webhookd.store.protocol.errors import FencedError, RefusalError
from webhookd.store.sql.connection import Connection, Write

ANNOUNCED_MAX = 4096
_decode_numbers = msgspec.json.Decoder(list[int]).decode
_ROWS = (Event, Settlement)


class Committed(msgspec.Struct):
    results: list[object]
    owed: list[Due]
    owed_complete: bool
    """Whether `owed` holds all that the batch's events brought with them, or only the first ANNOUNCED_MAX."""


def of_what_is_past(connection: Connection, write: Write) -> Settlement | None:
    """It, if it settles a delivery that was cancelled while under way, and has been taken out since."""
    if not isinstance(write, Settlement):
        return None
    is_owed = connection.execute("log.is_owed", (write.key.event, write.key.endpoint)).fetchall()
    return None if is_owed else write


def note_alone(connection: Connection, settlement: Settlement, aftermath: Aftermath) -> None:
    """What an attempt made of its endpoint, when there is no delivery any more that it could settle."""
    connection.add("notice", aftermath.notices)
    _note_aftermath(connection, settlement, aftermath)


def write_all(connection: Connection, batch: Sequence[Write]) -> Committed:
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


def _write_run(connection: Connection, run: Sequence[Event | Settlement], committed: Committed) -> None:
    """Events, then settlements, each in as few statements as can be."""
    events = [write for write in run if isinstance(write, Event)]
    settlements = [write for write in run if isinstance(write, Settlement)]
    appended = _append(connection, events) if events else {}
    fenced = _settle(connection, settlements) if settlements else frozenset()
    aftermaths = [
        (each, each.aftermath) for each in settlements if each.aftermath is not None and each.key not in fenced
    ]
    notices = [notice for _, aftermath in aftermaths for notice in aftermath.notices]
    if notices:  # one is passed over if its settlement has been committed before, and nobody heard of it
        connection.add("notice", notices)
    if events or notices:
        owed, complete = _owed(connection, [*events, *notices])
        committed.owed += owed
        committed.owed_complete &= complete
    for settlement, aftermath in aftermaths:
        _note_aftermath(connection, settlement, aftermath)
    for write in run:
        if isinstance(write, Event):
            committed.results.append(appended[write.key])
        else:
            committed.results.append(FencedError() if write.key in fenced else None)


def _settle(connection: Connection, settlements: Sequence[Settlement]) -> Collection[DeliveryKey]:
    """Those of which nothing is recorded: their claims are others' by now."""
    if connection.add("attempt", settlements) == len(settlements):
        return frozenset()
    return connection.fenced(settlements)


def _note_aftermath(connection: Connection, settlement: Settlement, aftermath: Aftermath) -> None:
    health, endpoint = aftermath.health, settlement.key.endpoint
    noted = (health.breaker, health.retry_at, health.trips, health.failing_since, endpoint)
    connection.execute("log.note_health", noted)
    if aftermath.gives_up and connection.execute("log.give_up_endpoint", (endpoint,)).rowcount:
        at_ms = settlement.outcome.started_at + settlement.outcome.duration_ms
        connection.execute("access.record_given_up", (at_ms, endpoint))


def _append(connection: Connection, events: Sequence[Event]) -> dict[int, Appended]:
    if any(event.alias is not None for event in events):
        return _append_with_aliases(connection, events)
    return _insert(connection, events)


def _append_with_aliases(connection: Connection, events: Sequence[Event]) -> dict[int, Appended]:
    """Bind the aliases first: what comes under one that is bound already is no new event, whatever else it says."""
    aliased = [event for event in events if event.alias is not None]
    repeated: list[Event] = []
    if connection.add("alias", aliased) < len(aliased):
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


def _bound(connection: Connection, event: Event) -> tuple[int, int, bytes]:
    row: tuple[int, int, bytes] = connection.execute("log.event_of_alias", (event.source, event.alias)).fetchone()
    return row


def _repeat(connection: Connection, event: Event, known: Appended) -> Appended:
    """A known id came with an alias that is new: the known event's from now on.

    But where the alias is the hash of the body, the id is not signed, and another body under it is another event: it
    is kept under its hash, or a stranger who foresees an id could have the genuine event taken for a copy.
    """
    if known.conflict and event.alias == f"sha256:{event.sha256.hex()}":
        _insert(connection, [msgspec.structs.replace(event, provider_event_id=event.alias)])
        return of_new(event, conflict=True)
    [key, *_] = connection.execute("log.known_event", (event.source, event.provider_event_id)).fetchone()
    connection.execute("log.rebind_alias", (key, event.source, event.alias))
    return known


def _insert(connection: Connection, events: Sequence[Event]) -> dict[int, Appended]:
    if connection.add("event", events) == len(events):
        return {event.key: of_new(event) for event in events}
    return {event.key: _known(connection, event) for event in events}


def _known(connection: Connection, event: Event) -> Appended:
    """What the log holds under the event's provider id: the event itself, or the one it repeats."""
    row = connection.execute("log.known_event", (event.source, event.provider_event_id)).fetchone()
    key, salt, sha256, is_past = row
    if key == event.key:
        return of_new(event)
    conflict = sha256 != event.sha256
    if conflict and not is_past and event.source != PUBLISHED:  # whose sender is told; nothing of it is kept
        connection.execute("log.note_conflict", (key, event.sha256, event.received_at, event.received_at))
    return Appended(event_id(key, salt), "duplicate", conflict)


def _owed(connection: Connection, events: Sequence[Event]) -> tuple[list[Due], bool]:
    """The deliveries that the batch's events brought with them. Keys ascend in the log, so a range holds them."""
    by_key = {event.key: event for event in events}
    numbers, count = connection.execute("log.owed", (min(by_key), max(by_key), ANNOUNCED_MAX)).fetchone()
    return owed_of(by_key, numbers), count < ANNOUNCED_MAX


def owed_of(events: Mapping[int, Event], listed: str) -> list[Due]:
    """What `log.owed` lists, of these events by their keys."""
    owed = []
    numbers = iter(_decode_numbers(listed))
    for key, endpoint, due_at, priority, chained in zip(*[numbers] * 5, strict=True):
        if (event := events.get(key)) is not None:
            owed.append(Due(endpoint, event, due_at, priority=cast(Priority, priority), chained=bool(chained)))
    return owed


def of_new(event: Event, *, conflict: bool = False) -> Appended:
    return Appended(event.id, "quarantined" if event.state == "quarantined" else "accepted", conflict)
