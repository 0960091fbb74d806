"""Whether a store answers as the model does, question by question. Each raises AssertionError with both answers."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec.structs import replace

from tests.store.model import Delivery, Model
from tests.store.model_ledger import LedgerModel
from tests.store.site import Store
from webhookd.core.delivery import PRIORITIES, Due
from webhookd.core.event import Event
from webhookd.core.identifier import key_ms
from webhookd.core.ledger import Kind
from webhookd.store.protocol.endpoints import EndpointRow
from webhookd.store.protocol.feed import StandingRow
from webhookd.store.protocol.history import AttemptRow, DeliveryRow, EventRow, Filter, Looked
from webhookd.store.protocol.ledger import LedgerFilter
from webhookd.store.protocol.log import LATEST_MS
from webhookd.store.protocol.stories import ConflictRow

ALL = 1_000
"""More than there is of anything."""
NEVER_MS = 2**53
KINDS: Sequence[Kind] = ("refund", "dispute", "account")


async def agree(store: Store, model: Model, now_ms: int) -> None:
    """In all that can be asked in a few questions; after every step."""
    await _log(store, model)
    await _outbox(store, model, now_ms)
    await _endpoints(store, model)
    await _ledger(store, model)


async def agree_in_detail(store: Store, model: Model) -> None:
    """In all that can be asked of one event, of each."""
    for event in [*model.log.values(), *(event for event, _ in model.past.values())]:
        await agree_on_event(store, model, event)
    await _dead_letters(store, model)
    kept = [(each.name, each.settings) for each in model.endpoints if each.settings is not None]
    assert await store.kept_endpoints() == kept


async def agree_on_due(store: Store, model: Model, endpoint: int, *asked: Any) -> Sequence[Due]:
    batch = await store.due(endpoint, *asked)
    found, behind, next_due_at = model.due(endpoint, *asked)
    assert list(batch.due) == [due(model, each) for each in found]
    assert (batch.behind, batch.next_due_at) == (behind, next_due_at)
    return batch.due


async def agree_on_event(store: Store, model: Model, event: Event) -> None:
    key, is_there = event.key, event.key in model.log
    its = sorted((each for each in model.deliveries.values() if each.key.event == key), key=lambda each: each.key)
    assert await store.event(key, event.salt) == (event_row(model.log[key]) if is_there else None)
    assert await store.event(key, event.salt + 1) is None
    assert await store.body(key) == (event.body if is_there and key not in model.bodiless else None)
    assert await store.deliveries_of(key) == [delivery_row(model, each) for each in its]
    assert await store.retention.past(key) == model.past_event(key)
    for each in its:
        assert await store.delivery(*each.key) == delivery_row(model, each)
        assert await store.attempts(*each.key) == attempt_rows(each)
    record = await store.stories.record(key, event.salt, None)
    assert (record is not None) == (is_there or key in model.past)
    if record is not None:
        conflicts = model.conflicts.get(key, {}).values()
        rows = [ConflictRow(times[0], times[-1], len(times)) for times in conflicts]
        assert Counter(record.conflicts) == Counter(rows)


async def paged(look: Callable[[Filter], Awaitable[Looked[Any]]], narrowed: Filter) -> list[Any]:
    """A list page by page, as far as it goes."""
    rows: list[Any] = []
    while True:
        page = await look(narrowed)
        rows += page.rows
        if page.then is None:
            return rows
        narrowed = replace(narrowed, before=(page.then[0], page.then[1] if len(page.then) > 1 else 0))


# --- What the model's things are called in the protocols


def due(model: Model, delivery: Delivery) -> Due:
    event = replace(model.log[delivery.key.event], fact=None, alias=None)
    assert delivery.due_at is not None
    return Due(
        delivery.key.endpoint,
        event,
        delivery.due_at,
        max(delivery.attempts, default=0),
        delivery.step,
        delivery.is_replay,
        delivery.priority,
        chained=delivery.chain is not None,
    )


def event_row(event: Event) -> EventRow:
    return EventRow(**{name: getattr(event, name) for name in EventRow.__struct_fields__})


def delivery_row(model: Model, delivery: Delivery) -> DeliveryRow:
    last = delivery.last.outcome if delivery.last is not None else None
    return DeliveryRow(
        delivery.key.event,
        model.log[delivery.key.event].salt,
        delivery.key.endpoint,
        model.endpoints.numbered(delivery.key.endpoint).name,
        delivery.state,
        max(delivery.attempts, default=0),
        delivery.due_at,
        last.status if last is not None else None,
        last.error if last is not None else None,
        delivery.created_at,
        delivery.settled_at,
    )


def attempt_rows(delivery: Delivery) -> list[AttemptRow]:
    made = [(number, delivery.attempts[number]) for number in sorted(delivery.attempts)]
    return [
        AttemptRow(
            number,
            each.outcome.started_at,
            each.outcome.duration_ms,
            each.outcome.status,
            each.outcome.error,
            each.outcome.response,
            each.replay,
        )
        for number, each in made
    ]


# --- Question by question


async def _log(store: Store, model: Model) -> None:
    newest_first = [event_row(model.log[key]) for key in sorted(model.log, reverse=True)]
    assert (await store.events(Filter(), ALL)).rows == newest_first
    assert await store.feed.head() == max([*model.log, *model.past], default=0)
    odd = Counter(event.state for event in model.log.values() if event.state != "accepted")
    assert await store.odd_events() == odd


async def _outbox(store: Store, model: Model, now_ms: int) -> None:
    newest_first = sorted(model.deliveries.values(), key=lambda each: each.key, reverse=True)
    rows = [delivery_row(model, each) for each in newest_first]
    assert (await store.deliveries(Filter(), ALL)).rows == rows
    pending = [row for row in rows if row.state == "pending"]
    assert (await store.lookup.pending(Filter(), ALL)).rows == pending
    for each in model.endpoints:
        await agree_on_due(store, model, each.number, now_ms, (), dict.fromkeys(PRIORITIES, ALL), NEVER_MS, LATEST_MS)


async def _endpoints(store: Store, model: Model) -> None:
    rows, standings = [], []
    for each in model.endpoints:
        its = [delivery for delivery in model.deliveries.values() if delivery.key.endpoint == each.number]
        pending = [delivery.key.event for delivery in its if delivery.is_pending]
        dead = sum(delivery.state == "dead" for delivery in its)
        oldest_at = key_ms(min(pending)) if pending else None
        stands, health, owed = (each.state, each.why, each.managed_by), each.health, (len(pending), dead, oldest_at)
        rows.append(EndpointRow(each.number, each.name, each.url, *stands, health, each.created_at, *owed))
        standings.append(StandingRow(each.name, *stands, health.breaker, health.retry_at, health.failing_since))
    assert await store.endpoints(removed=True) == rows
    assert await store.endpoints(removed=False) == [row for row in rows if row.why != "removed"]
    assert await store.feed.standings() == standings


async def _ledger(store: Store, model: Model) -> None:
    ledger = LedgerModel(model.said, model.log)
    payments = ledger.payments()
    assert (await store.ledger.payments(LedgerFilter(), ALL)).rows == payments
    for row in payments:
        assert await store.ledger.payment(row.provider, row.id) == row
    for kind in KINDS:
        assert (await store.ledger.objects(kind, LedgerFilter(), ALL)).rows == ledger.objects(kind)
    revenue = await store.ledger.revenue(0, NEVER_MS)
    key = lambda row: repr((row.day, row.provider, row.currency, row.exponent))  # noqa: E731
    assert sorted(revenue, key=key) == ledger.revenue()


async def _dead_letters(store: Store, model: Model) -> None:
    dead = [each for each in model.deliveries.values() if each.state == "dead"]
    expected: Counter[tuple[int, str | None, int | None]] = Counter()
    for each in dead:
        assert each.last is not None, "nothing is given up that was not tried"
        expected[each.key.endpoint, each.last.outcome.error, each.last.outcome.status] += 1
    found = await store.dead_letters.by_reason(0, ALL)
    counted = {(of.number, why.error, why.status): why.deliveries for of in found for why in of.reasons}
    assert counted == expected
    rows = [delivery_row(model, each) for each in sorted(dead, key=lambda each: each.key, reverse=True)]
    assert (await store.dead_letters.deliveries(Filter(state="dead"), ALL)).rows == rows
