"""What every store must do: the log takes each event once, and brings its deliveries with it."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.making import NOW_MS, TEN_OF_EACH, event, spec
from tests.store.raw import read, together
from tests.store.site import Store
from webhookd.core.delivery import PRIORITIES, Due, Outcome, settle
from webhookd.core.retry import RetryPolicy
from webhookd.store.protocol.history import Filter

LATER_MS = NOW_MS + 10_000_000
NO_BOUND = 2**30


class Announced:
    """Listens to the outbox."""

    def __init__(self, store: Store) -> None:
        self.owed: list[Due] = []
        store.announce(self._heard)

    def _heard(self, owed: Sequence[Due], complete: bool) -> None:
        assert complete
        self.owed += owed


async def test_a_new_event_is_accepted_and_can_be_read_back_byte_for_byte(store: Store):
    body = b'{"amount": 1.0, "name": "Z\xc3\xbcrich"}'
    appended = await store.append(sent := event(body=body))
    assert (appended.status, appended.event_id, appended.conflict) == ("accepted", sent.id, False)
    assert await store.body(sent.key) == body
    row = await store.event(sent.key, sent.salt)
    assert row is not None
    assert (row.provider_event_id, row.sha256, row.size) == (sent.provider_event_id, sent.sha256, len(body))


async def test_the_same_provider_event_is_a_duplicate_of_the_first_and_owed_to_nobody_anew(store: Store):
    await store.adopt([spec()], NOW_MS)
    heard = Announced(store)
    first = await store.append(event(provider_event_id="evt_a"))
    again = await store.append(event(provider_event_id="evt_a"))
    assert (again.status, again.event_id, again.conflict) == ("duplicate", first.event_id, False)
    assert len(heard.owed) == 1


async def test_the_same_id_from_another_source_is_another_event(store: Store):
    first = await store.append(event(provider_event_id="evt_a"))
    other = await store.append(event(provider_event_id="evt_a", source="stripe-test"))
    assert other.status == "accepted"
    assert other.event_id != first.event_id


async def test_a_known_id_with_another_body_keeps_the_first_body_and_puts_the_conflict_on_record(store: Store):
    await store.append(kept := event(provider_event_id="evt_a", body=b"first"))
    again = await store.append(event(provider_event_id="evt_a", body=b"second"))
    assert (again.status, again.conflict) == ("duplicate", True)
    assert await store.body(kept.key) == b"first"
    await store.append(event(provider_event_id="evt_a", body=b"second"))
    assert await read(store, "SELECT event, times FROM conflict") == [(kept.key, 2)]


async def test_copies_in_one_batch_make_one_event(store: Store):
    heard = Announced(store)
    await store.adopt([spec()], NOW_MS)
    answers = await asyncio.gather(*(store.append(event(provider_event_id="evt_a")) for _ in range(50)))
    assert sorted({answer.status for answer in answers}) == ["accepted", "duplicate"]
    assert len({answer.event_id for answer in answers}) == 1
    assert len(heard.owed) == 1


@pytest.mark.parametrize(
    ("sources", "events", "owed"),
    [
        ((), (), True),
        (("stripe",), (), True),
        (("other",), (), False),
        ((), ("payment_intent.*",), True),
        ((), ("charge.*", "payment_intent.succeeded"), True),
        ((), ("payment_intent.succeede?",), True),
        ((), ("payment_intent",), False),
        ((), ("*.failed",), False),
        (("stripe", "other"), ("*", "payment_*", "payment_intent.succeeded"), True),
    ],
)
async def test_an_event_is_owed_once_to_each_endpoint_that_wants_its_source_and_type(
    store: Store, sources: tuple[str, ...], events: tuple[str, ...], owed: bool
):
    await store.adopt([spec("picky", sources=sources, events=events), spec("all")], NOW_MS)
    heard = Announced(store)
    await store.append(sent := event())
    deliveries = await store.deliveries_of(sent.key)
    assert [delivery.endpoint_name for delivery in deliveries] == (["picky", "all"] if owed else ["all"])
    assert {due.key for due in heard.owed} == {(each.event, each.endpoint) for each in deliveries}


async def test_what_a_batch_is_owed_is_told_in_the_order_of_the_log(store: Store):
    await store.adopt([spec("one", ordering="payment"), spec("two"), spec("three")], NOW_MS)
    heard = Announced(store)
    await together(store, *(event(payment_id=payment) for payment in ("pi_2", "pi_1", None, "pi_3")))
    assert len(heard.owed) == 12
    assert heard.owed == sorted(heard.owed, key=lambda due: due.key)


async def test_an_event_that_nobody_wants_is_kept_as_unrouted(store: Store):
    await store.append(sent := event())
    row = await store.event(sent.key, sent.salt)
    assert row is not None
    assert row.state == "unrouted"
    assert [each.key for each in (await store.events(Filter(state="unrouted"), 10)).rows] == [sent.key]


async def test_a_quarantined_event_is_kept_and_owed_to_nobody(store: Store):
    await store.adopt([spec()], NOW_MS)
    appended = await store.append(sent := event(state="quarantined"))
    assert appended.status == "quarantined"
    assert await store.deliveries_of(sent.key) == []


@pytest.mark.fault(21)
async def test_what_is_due_comes_oldest_first_bounded_in_rows_and_bytes_and_without_what_is_known(store: Store):
    [endpoint] = await store.adopt([spec()], NOW_MS)
    sent = [event(received_at=NOW_MS + number, body=b"x" * 100) for number in range(5)]
    await asyncio.gather(*map(store.append, sent))
    keys = [each.key for each in sent]

    async def due(known: list[int], limit: int, bytes_max: int) -> tuple[list[int], bool]:
        batch = await store.due(endpoint.number, NOW_MS + 3, known, dict.fromkeys(PRIORITIES, limit), bytes_max)
        return [each.event.key for each in batch.due], not batch.behind

    assert await due([], 10, NO_BOUND) == (keys[:4], True)
    assert await due([], 2, NO_BOUND) == (keys[:2], False)
    assert await due([], 4, NO_BOUND) == (keys[:4], True)
    assert await due(keys[:2], 10, NO_BOUND) == (keys[2:4], True)
    assert await due([], 10, 250) == (keys[:2], False)
    assert await due([], 10, 1) == (keys[:1], False), "one always comes, however large"


async def test_the_next_due_time_is_that_of_the_first_delivery_that_is_not_due_yet(store: Store):
    [endpoint] = await store.adopt([spec(waits_ms=(5_000, 1))], NOW_MS)
    await store.append(event())
    batch = await store.due(endpoint.number, NOW_MS, [], TEN_OF_EACH, NO_BOUND)
    assert (list(batch.due), not batch.behind, batch.next_due_at) == ([], True, NOW_MS + 5_000)


async def test_what_is_due_can_be_delivered_as_it_was_received(store: Store):
    [endpoint] = await store.adopt([spec()], NOW_MS)
    await store.append(sent := event(headers=[("content-type", "application/cloudevents+json")], body=b"\x00\xff"))
    [due] = (await store.due(endpoint.number, LATER_MS, [], TEN_OF_EACH, NO_BOUND)).due
    assert (due.event.id, due.event.body, due.event.content_type) == (
        sent.id,
        b"\x00\xff",
        "application/cloudevents+json",
    )


async def _owed_one(store: Store) -> Due:
    heard = Announced(store)
    await store.adopt([spec()], NOW_MS)
    await store.append(event())
    return heard.owed[0]


def _outcome(status: int) -> Outcome:
    return Outcome(NOW_MS, 12, status, None if status == 200 else "status", b"answer")


async def test_a_settled_attempt_moves_its_delivery_and_is_on_record(store: Store):
    due = await _owed_one(store)
    policy = RetryPolicy((0, 5_000), jitter=0)
    await store.settle(settle(due, _outcome(500), policy, NOW_MS, 0))
    row = await store.delivery(*due.key)
    assert row is not None
    assert (row.state, row.attempts, row.due_at, row.last_status) == ("pending", 1, NOW_MS + 5_000, 500)
    [again] = (await store.due(due.endpoint, LATER_MS, [], TEN_OF_EACH, NO_BOUND)).due
    assert (again.attempts, again.step) == (1, 2)
    await store.settle(settle(again, _outcome(200), policy, NOW_MS, 0))
    row = await store.delivery(*due.key)
    assert row is not None
    assert (row.state, row.attempts, row.due_at, row.settled_at) == ("delivered", 2, None, NOW_MS + 12)
    assert [(each.number, each.status, each.response) for each in await store.attempts(*due.key)] == [
        (1, 500, b"answer"),
        (2, 200, b"answer"),
    ]


async def test_an_attempt_that_is_recorded_twice_counts_once(store: Store):
    due = await _owed_one(store)
    settlement = settle(due, _outcome(500), RetryPolicy((0, 1, 1)), NOW_MS, 0)
    await asyncio.gather(store.settle(settlement), store.settle(settlement))
    assert len(await store.attempts(*due.key)) == 1


async def test_410_pauses_the_endpoint_in_the_same_transaction(store: Store):
    due = await _owed_one(store)
    await store.settle(settle(due, _outcome(410), RetryPolicy(), NOW_MS, 0))
    [row] = await store.endpoints(removed=False)
    assert (row.state, row.pending) == ("paused", 1)


async def test_an_endpoint_that_leaves_the_configuration_is_owed_no_more_and_keeps_what_it_is_owed(store: Store):
    due = await _owed_one(store)
    assert await store.adopt([], NOW_MS) == []
    await store.append(later := event())
    assert await store.deliveries_of(later.key) == []
    [back] = await store.adopt([spec()], NOW_MS)
    assert (back.number, back.state) == (due.endpoint, "active")
    assert len((await store.due(back.number, LATER_MS, [], TEN_OF_EACH, NO_BOUND)).due) == 1


async def test_a_generated_secret_stays_the_same_across_reloads(store: Store):
    [first] = await store.adopt([spec()], NOW_MS)
    [second] = await store.adopt([spec(events=("charge.*",))], NOW_MS)
    assert first.signature("m", NOW_MS, b"x") == second.signature("m", NOW_MS, b"x")


async def test_paging_back_through_the_log_meets_every_event_once(store: Store):
    sent = [event() for _ in range(25)]
    await asyncio.gather(*map(store.append, sent))
    met: list[int] = []
    before = None
    while page := (await store.events(Filter(before=before), 7)).rows:
        met += [row.key for row in page]
        before = (page[-1].key, 0)
    assert met == sorted((each.key for each in sent), reverse=True)
