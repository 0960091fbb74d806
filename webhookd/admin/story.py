"""Tells a story: from what is on record of an event to what happened, what it waits for, and what to do now. Pure."""

from collections.abc import Collection, Iterator, Sequence
from difflib import SequenceMatcher

from webhookd.admin.story_advice import advice
from webhookd.core.event import IMPORTED, OPERATIONAL, PUBLISHED
from webhookd.core.identifier import delivery_id, event_id, replay_id
from webhookd.core.story import (
    Attempted,
    CameBy,
    Cancelled,
    Changed,
    Conflict,
    Entry,
    MissedRoute,
    Moved,
    Occurred,
    Quarantined,
    Received,
    Replayed,
    Routed,
    Story,
    Subject,
    Taken,
    Unrouted,
    Verified,
    Waits,
)
from webhookd.core.units import time_text
from webhookd.store.protocol.history import EventRow
from webhookd.store.protocol.stories import OwedRow, Record, RouteRow

CANCEL = "delivery.cancel"
NEAR_ROUTES_MAX = 3
ADVICE_MAX = 5
_CAME_BY: dict[str, CameBy] = {OPERATIONAL: "webhookd", PUBLISHED: "application"}
_TOLD = (("dead", "for"), ("cancelled", "for"), ("pending", "for"), ("delivered", "to"))
"""States, as a summary has them: what needs somebody first."""
_NEAR = 0.5
"""Of two texts' likeness, from 0 to 1: a pattern that is less like the type is not told of."""


def subject(event: EventRow) -> Subject:
    return Subject(
        id=event_id(event.key, event.salt),
        source=event.source,
        provider=event.provider,
        provider_event_id=event.provider_event_id,
        type=event.type,
        state=event.state,  # type: ignore[arg-type]
        received_at=time_text(event.received_at),
        payment_id=event.payment_id,
    )


class Teller:
    """`misread` is why a quarantined event is not understood, None when it would be now; `unusable` names the endpoints
    whose settings cannot be used; `only` is the endpoint whose delivery was asked for.
    """

    def __init__(
        self, record: Record, now_ms: int, misread: str | None, unusable: Collection[str], only: int | None
    ) -> None:
        self._record = record
        self._now_ms = now_ms
        self._misread = misread
        self._unusable = unusable
        self._only = only
        self._names = {each.endpoint: each.endpoint_name for each in record.owed}
        self._missed = [] if record.event.state != "unrouted" else _nearest(record.event, record.routes)

    def story(self) -> Story:
        record = self._record
        waits = [wait for each in record.owed if (wait := self._wait(each)) is not None]
        dated = sorted(self._dated(), key=lambda found: found[0])
        return Story(
            event=subject(record.event),
            delivery_id=None if self._only is None else delivery_id(record.event.key, self._only),
            summary=self._summary(),
            entries=[*(entry for _, entry in dated), *waits],
            left_out=record.tried_left_out + record.owed_left_out,
            advice=list(advice(record, waits, self._missed, self._misread))[:ADVICE_MAX],
        )

    def _dated(self) -> Iterator[tuple[int, Entry]]:
        """What happened, and when; what happened at one time is told in the order in which it is given here."""
        record, event = self._record, self._record.event
        at, at_ms = time_text(event.received_at), event.received_at
        if event.occurred_at is not None and event.source != OPERATIONAL:
            yield min(event.occurred_at, at_ms), Occurred(at=time_text(event.occurred_at))
        by = _CAME_BY.get(event.source, "hook")
        if any(name == IMPORTED for name, _ in event.headers):
            by = "import"
        yield at_ms, Received(at=at, source=event.source, provider=event.provider, by=by, size=event.size)
        if by == "hook":
            yield at_ms, Verified(at=at)
        if event.state == "quarantined":
            yield at_ms, Quarantined(at=at, reason=self._misread)
        if event.state == "unrouted":
            yield at_ms, Unrouted(at=at, routes=self._missed)
        if record.moved is not None:
            moved = record.moved
            payment = event.payment_id, record.payment_status
            yield (
                at_ms,
                Moved(
                    at=at,
                    object=moved.kind,
                    id=moved.id,
                    said=moved.said,
                    stands=moved.stands,
                    payment_id=payment[0],
                    payment_status=payment[1],
                ),
            )
        for owed in record.owed:
            yield (
                owed.created_at,
                Routed(at=time_text(owed.created_at), endpoint=owed.endpoint_name, delivery_id=self._delivery(owed)),
            )
        yield from self._happened()

    def _happened(self) -> Iterator[tuple[int, Entry]]:
        record = self._record
        for conflict in record.conflicts:
            at, until = time_text(conflict.first_at), time_text(conflict.last_at)
            yield conflict.first_at, Conflict(at=at, until=until, times=conflict.times)
        for replay in record.replays:
            at = time_text(replay.created_at)
            yield replay.created_at, Replayed(at=at, replay_id=replay_id(replay.number))
        for tried in (each for each in record.tried if each.endpoint in self._names):
            yield (
                tried.started_at,
                Attempted(
                    at=time_text(tried.started_at),
                    endpoint=self._names[tried.endpoint],
                    delivery_id=delivery_id(record.event.key, tried.endpoint),
                    number=tried.number,
                    duration_ms=tried.duration_ms,
                    status=tried.status,
                    error=tried.error,
                    replay=tried.is_replay,
                    state=tried.state,
                ),
            )
        for change in record.changes:
            if change.action != CANCEL:
                at = time_text(change.at)
                yield change.at, Changed(at=at, actor=change.actor, action=change.action, subject=change.subject)
        for owed in record.owed:
            if owed.state == "cancelled" and owed.settled_at is not None:
                at, named = time_text(owed.settled_at), self._delivery(owed)
                actor = self._who_cancelled(owed)
                yield (
                    owed.settled_at,
                    Cancelled(at=at, endpoint=owed.endpoint_name, delivery_id=named, actor=actor),
                )
        if record.taken_at is not None:
            yield record.taken_at, Taken(at=time_text(record.taken_at), what="event")
        elif not record.has_body:
            yield self._now_ms, Taken(at=None, what="body")

    def _wait(self, owed: OwedRow) -> Waits | None:
        if owed.state != "pending":
            return None
        name, named = owed.endpoint_name, self._delivery(owed)
        retry_at = owed.health.retry_at
        if owed.why == "removed":
            return Waits(at=None, endpoint=name, delivery_id=named, waits_for="service")
        if name in self._unusable:
            return Waits(at=None, endpoint=name, delivery_id=named, waits_for="settings")
        if owed.endpoint_state != "active":
            return Waits(at=None, endpoint=name, delivery_id=named, waits_for="resume", why=owed.why)
        if owed.is_held and owed.behind is not None:
            behind = event_id(*owed.behind)
            return Waits(at=None, endpoint=name, delivery_id=named, waits_for="order", behind=behind)
        if retry_at is not None and retry_at > max(self._now_ms, owed.due_at or 0):
            return Waits(at=time_text(retry_at), endpoint=name, delivery_id=named, waits_for="breaker")
        if owed.due_at is not None and owed.due_at > self._now_ms:
            return Waits(at=time_text(owed.due_at), endpoint=name, delivery_id=named, waits_for="attempt")
        return Waits(at=None, endpoint=name, delivery_id=named, waits_for="turn")

    def _summary(self) -> str:
        record, event = self._record, self._record.event
        if record.taken_at is not None:
            return f"retention took it at {time_text(record.taken_at)}"
        if not record.owed:
            return "quarantined, delivered to nobody" if event.state == "quarantined" else "owed to nobody"
        by_state: dict[str, list[str]] = {}
        for each in record.owed:
            by_state.setdefault(each.state, []).append(each.endpoint_name)
        words = {
            "dead": "dead for",
            "cancelled": "cancelled for",
            "pending": "pending for",
            "delivered": "delivered to",
        }
        return "; ".join(f"{words[state]} {_list(by_state[state])}" for state in words if state in by_state)

    def _who_cancelled(self, owed: OwedRow) -> str | None:
        named = self._delivery(owed)
        found = [each.actor for each in self._record.changes if (each.action, each.subject) == (CANCEL, named)]
        return found[-1] if found else None

    def _delivery(self, owed: OwedRow) -> str:
        return delivery_id(self._record.event.key, owed.endpoint)


def _nearest(event: EventRow, routes: Sequence[RouteRow]) -> list[MissedRoute]:
    """Who would get it now comes first, then who asks for its type of another source, then for types like it."""
    found: list[tuple[float, MissedRoute]] = []
    for each in routes:
        likeness = SequenceMatcher(None, each.pattern, event.type).ratio()
        if each.is_its_source and each.is_its_type:
            rank, by = 2.0, "time"
        elif each.is_its_type:
            rank, by = 1.0, "source"
        elif likeness >= _NEAR:
            rank, by = likeness - 1, "type"
        else:
            continue
        since = time_text(each.added_at)
        found.append((rank, MissedRoute(each.endpoint_name, each.source, each.pattern, since, by)))  # type: ignore[arg-type]
    found.sort(key=lambda each: -each[0])
    return [route for _, route in found[:NEAR_ROUTES_MAX]]


def _list(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
