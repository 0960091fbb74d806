"""What a store is, in plain Python: dicts and lists, to be believed by reading. Every store is held against it.

It knows no disk and no crash: what a store has answered is so, whatever happens to it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from tests.store.model_endpoints import Endpoints
from webhookd.core.delivery import DeliveryKey, DeliveryState, Priority, Settlement
from webhookd.core.event import Appended, Event
from webhookd.store.protocol.log import Stretch
from webhookd.store.protocol.retention import Extent, PastEvent, Stays, Tally

PRIORITY_OF: Mapping[str, Priority] = {"dispute": 0, "downtime": 0, "account": 1, "fund_account": 1}


@dataclass
class Delivery:
    key: DeliveryKey
    created_at: int
    due_at: int | None
    priority: Priority
    chain: tuple[str, str] | None
    """The payment whose deliveries go one at a time, where the endpoint asks for that."""
    is_held: bool
    """It waits for an earlier one of its chain."""
    is_replay: bool = False
    state: DeliveryState = "pending"
    step: int = 1
    settled_at: int | None = None
    attempts: dict[int, Settlement] = field(default_factory=dict)
    """By number."""

    @property
    def is_pending(self) -> bool:
        return self.state == "pending"

    @property
    def last(self) -> Settlement | None:
        return self.attempts[max(self.attempts)] if self.attempts else None


class Model:
    def __init__(self) -> None:
        self.endpoints = Endpoints()
        self.log: dict[int, Event] = {}
        """By key: the events that are there."""
        self.bodiless: set[int] = set()
        """Those of them whose bytes retention has taken."""
        self.past: dict[int, tuple[Event, int]] = {}
        """Those that retention has taken, and when."""
        self.said: list[Event] = []
        """All that was ever new: the ledger is what they said."""
        self.aliases: dict[tuple[str, str], tuple[int, bytes]] = {}
        """Of a source: the event that it is bound to, and the body's hash."""
        self.conflicts: dict[int, dict[bytes, list[int]]] = {}
        """Of an event: when each other body came under its id."""
        self.deliveries: dict[DeliveryKey, Delivery] = {}
        self.replaying: dict[int, tuple[int, int]] = {}
        """Of each replay that is under way: the event it has come to, and its last one."""

    # --- The log

    def append(self, events: Sequence[Event]) -> list[Appended]:
        """What is offered in one batch. Who is kept under its hash stands behind the others in a chain."""
        behind: list[Event] = []
        answers = [self._append(event, behind) for event in events]
        for event in behind:
            self._route(event)
        return answers

    def _append(self, event: Event, behind: list[Event]) -> Appended:
        bound = self.aliases.get((event.source, event.alias)) if event.alias is not None else None
        if bound is not None:
            key, sha256 = bound
            return Appended(self._known(key).id, "duplicate" if sha256 == event.sha256 else "forged")
        known = self._of_source(event.source, event.provider_event_id)
        if known is None:
            answer = self._new(event)
            self._route(event)
            return answer
        is_other_body = known.sha256 != event.sha256
        if is_other_body and known.key in self.log:
            self.conflicts.setdefault(known.key, {}).setdefault(event.sha256, []).append(event.received_at)
        if is_other_body and event.alias == f"sha256:{event.sha256.hex()}":
            # The id is not signed and the body is: it is another event, and its hash is its id.
            behind.append(replace(event, provider_event_id=event.alias))
            return replace(self._new(behind[-1]), conflict=True)
        self._bind(event, known.key)
        return Appended(known.id, "duplicate", is_other_body)

    def _new(self, event: Event) -> Appended:
        self._bind(event, event.key)
        self.said.append(event)
        self.log[event.key] = event
        return Appended(event.id, "quarantined" if event.state == "quarantined" else "accepted")

    def _route(self, event: Event) -> None:
        if event.state != "accepted":
            return
        wanting = [each for each in self.endpoints if each.wants(event)]
        for each in wanting:
            assert each.spec is not None
            due_at = event.received_at + each.spec.retry.waits_ms[0]
            self._owe(event, each.number, each.spec.ordering == "payment", event.received_at, due_at)
        if not wanting:
            self.log[event.key] = replace(event, state="unrouted")

    def _bind(self, event: Event, key: int) -> None:
        if event.alias is not None:
            self.aliases[event.source, event.alias] = key, event.sha256

    def _known(self, key: int) -> Event:
        return self.log[key] if key in self.log else self.past[key][0]

    def _of_source(self, source: str, provider_event_id: str) -> Event | None:
        for each in (*self.log.values(), *(event for event, _ in self.past.values())):
            if (each.source, each.provider_event_id) == (source, provider_event_id):
                return each
        return None

    # --- The outbox

    def _owe(self, event: Event, endpoint: int, is_ordered: bool, created_at: int, due_at: int) -> Delivery:
        key = DeliveryKey(event.key, endpoint)
        priority = PRIORITY_OF.get(event.fact.kind, 2) if event.fact is not None else 2
        chain = (event.provider, event.payment_id) if is_ordered and event.payment_id is not None else None
        made = Delivery(key, created_at, due_at, priority, chain, is_held=bool(self._pending(endpoint, chain)))
        self.deliveries[key] = made
        return made

    def _pending(self, endpoint: int, chain: tuple[str, str] | None) -> list[Delivery]:
        """What is pending of a chain, in the order of the log."""
        if chain is None:
            return []
        of_it = [d for d in self.deliveries.values() if (d.key.endpoint, d.chain) == (endpoint, chain) and d.is_pending]
        return sorted(of_it, key=lambda delivery: delivery.key)

    def due(
        self,
        endpoint: int,
        now_ms: int,
        known: Collection[int],
        rooms: Mapping[Priority, int],
        bytes_max: int,
        wait_ms_max: int,
    ) -> tuple[list[Delivery], set[Priority], int | None]:
        """What may be attempted now, of which priorities there is more, and when the next of the others comes due.

        Who would have to wait for longer than is ever meant need not: the clock was set back.
        """
        found: list[Delivery] = []
        behind: set[Priority] = set()
        later: list[int] = []
        for priority in sorted(rooms):
            waiting = [
                (each.due_at, each.key.event, each)
                for each in self.deliveries.values()
                if each.key.endpoint == endpoint and each.priority == priority and not each.is_held
                if each.due_at is not None
            ]
            far_ms = now_ms + wait_ms_max
            ready = sorted(each for each in waiting if not now_ms < each[0] <= far_ms and each[1] not in known)
            for count, (_, _, delivery) in enumerate(ready):
                taken = sum(self.log[each.key.event].size for each in found)
                if count == rooms[priority] or (found and taken + self.log[delivery.key.event].size > bytes_max):
                    behind.add(priority)
                    break
                found.append(delivery)
            if priority not in behind:
                later += [due_at for due_at, _, _ in waiting if now_ms < due_at <= far_ms]
        return found, behind, min(later, default=None)

    def retime(self, endpoint: int, stretch: Stretch, by_ms: int, new_ms: int) -> None:
        """The clock was set: what waits goes with it. What is due by the new time may be untried, and of that time."""
        first_ms, last_ms = stretch
        for each in self.deliveries.values():
            if each.key.endpoint != endpoint or each.due_at is None or not first_ms <= each.due_at <= last_ms:
                continue
            if each.due_at < new_ms or (each.step > 1 and not each.is_held):
                each.due_at += by_ms

    def settle(self, settlement: Settlement) -> None:
        outcome, aftermath, endpoint = settlement.outcome, settlement.aftermath, settlement.key.endpoint
        for notice in aftermath.notices if aftermath is not None else ():
            if self._of_source(notice.source, notice.provider_event_id) is None:
                self._new(notice)
                self._route(notice)
        delivery, standing = self.deliveries.get(settlement.key), self.endpoints.numbered(endpoint)
        if delivery is not None and settlement.number not in delivery.attempts:
            delivery.attempts[settlement.number] = settlement
            self._move(delivery, settlement)
            if outcome.status == 410 and standing.state == "active":
                standing.stand("paused", "gone")
        if aftermath is not None:
            standing.health = aftermath.health
            if aftermath.gives_up and standing.state == "active":
                standing.stand("disabled", "failing")

    def _move(self, delivery: Delivery, settlement: Settlement) -> None:
        """What was cancelled under way stays so; what was then replayed is not held against the replay, but success is.

        A replay is told from what was before it by its flag and its step: of two in their first wait it takes one for
        the other.
        """
        if not delivery.is_pending:
            return
        is_of_this_round = delivery.is_replay <= settlement.replay and delivery.step >= settlement.step - 1
        if settlement.state != "delivered" and not is_of_this_round:
            return
        delivery.step, delivery.due_at = settlement.step, settlement.due_at
        if settlement.state != "pending":
            self._end(delivery, settlement.state, settlement.outcome.started_at + settlement.outcome.duration_ms)

    def cancel(self, key: DeliveryKey, now_ms: int) -> DeliveryState | None:
        """How it stood; None when it is not there."""
        delivery = self.deliveries.get(key)
        before = delivery.state if delivery is not None else None
        if delivery is not None and delivery.is_pending:
            self._end(delivery, "cancelled", now_ms)
        return before

    def _end(self, delivery: Delivery, state: DeliveryState, now_ms: int) -> None:
        """And the next of its chain may go."""
        was_held = delivery.is_held
        delivery.state, delivery.due_at, delivery.settled_at, delivery.is_held = state, None, now_ms, False
        following = self._pending(delivery.key.endpoint, delivery.chain)
        if following and not was_held:
            following[0].is_held = False

    def make_due(self, key: DeliveryKey, now_ms: int) -> None:
        """A replay has come to it."""
        event, delivery = self.log[key.event], self.deliveries.get(key)
        if delivery is not None and delivery.due_at is not None:
            delivery.due_at = min(delivery.due_at, now_ms)
            return
        spec = self.endpoints.numbered(key.endpoint).spec
        again = self._owe(event, key.endpoint, spec is not None and spec.ordering == "payment", now_ms, now_ms)
        again.is_replay = True
        if delivery is not None:
            again.created_at, again.attempts = delivery.created_at, delivery.attempts
        if event.state == "unrouted":
            self.log[key.event] = replace(event, state="accepted")

    # --- Retention

    def why_it_stays(self, key: int, extent: Extent) -> Stays | None:
        its = [each for each in self.deliveries.values() if each.key.event == key]
        if extent.bodies_only and key in self.bodiless:
            return "bodiless"
        if any(each.is_pending for each in its):
            return "undelivered"
        if any(each.settled_at is not None and each.settled_at >= extent.finished_before_ms for each in its):
            return "recent"
        if any(begin <= key <= end for begin, end in self.replaying.values()):
            return "replayed"
        return None

    def take(self, extent: Extent, keys: Sequence[int], now_ms: int) -> dict[str, Tally]:
        """What went, by provider."""
        went: dict[str, Tally] = {}
        for key in keys:
            if self.why_it_stays(key, extent) is not None:
                continue
            event = self.log[key]
            its = [each for each in self.deliveries.values() if each.key.event == key]
            tally = Tally(1, 0, 0, 0 if key in self.bodiless else event.size)
            self.bodiless.add(key)
            if not extent.bodies_only:
                tally.deliveries, tally.attempts = len(its), sum(len(each.attempts) for each in its)
                self.past[key] = self.log.pop(key), now_ms
                self.bodiless.discard(key)
                self.conflicts.pop(key, None)
                for each in its:
                    del self.deliveries[each.key]
            went.setdefault(event.provider, Tally()).add(tally)
        return went

    def forget(self, below: int, limit: int) -> int:
        """Past events that said nothing of money; how many."""
        silent = [key for key, (event, _) in self.past.items() if event.fact is None and event.payment_id is None]
        going = sorted(key for key in silent if key < below)[:limit]
        for key in going:
            del self.past[key]
            self.aliases = {name: bound for name, bound in self.aliases.items() if bound[0] != key}
        return len(going)

    def past_event(self, key: int) -> PastEvent | None:
        if key not in self.past:
            return None
        event, taken_at = self.past[key]
        return PastEvent(key, event.salt, event.received_at, taken_at)
