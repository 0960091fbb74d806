"""What retention takes out of the log, what it must leave, and what is known of an event that is past."""

import asyncio
from typing import Any

import pytest

from tests.making import NOW_MS, event, spec
from tests.store.history import (
    ALL,
    BODIES,
    LATER_MS,
    books,
    captured,
    counts,
    finished,
    refunded,
    rows,
    settle,
    take,
    told,
    why_kept,
)
from tests.store.raw import write
from tests.store.replaying import ANY_LIMIT
from tests.store.site import Store
from webhookd.core.identifier import KeyMint, delivery_id, event_id
from webhookd.store.protocol.replays import Selection, SelectionError
from webhookd.store.protocol.retention import Extent, Tally
from webhookd.store.sql import retention

MUCH = 2**20


# --- What goes


async def test_of_what_is_finished_one_line_of_the_books_stays(store: Store):
    await finished(store, first := captured(), endpoints=("shop", "stock"))
    assert (await store.append(event(provider_event_id=first.provider_event_id, body=b"other"))).conflict
    gone = await take(store)
    assert gone == Tally(events=1, deliveries=2, attempts=2, bytes=first.size)
    assert await counts(store, "event", "delivery", "attempt", "conflict", "past") == {
        "event": 0,
        "delivery": 0,
        "attempt": 0,
        "conflict": 0,
        "past": 1,
    }
    found = await store.retention.past(first.key, first.salt)
    assert found is not None
    assert (found.received_at, found.taken_at) == (NOW_MS, LATER_MS)
    assert await store.retention.past(first.key) == found
    assert await store.retention.past(first.key, first.salt + 1) is None


async def test_what_is_undelivered_stays_with_all_that_was_delivered_of_it(store: Store):
    await store.adopt([spec("shop"), spec("stock")], NOW_MS - 1)
    for each in (event(), tried := event(), half := event(), done := event()):
        await store.append(each)
    await settle(store, tried, 1, "pending")
    await settle(store, half, 1)
    await settle(store, done, 1, "dead")
    await settle(store, done, 2)
    assert await why_kept(store) == ["undelivered", "undelivered", "undelivered", None]
    await take(store)
    assert await counts(store, "event", "delivery", "attempt") == {"event": 3, "delivery": 6, "attempt": 2}


async def test_what_became_pending_since_it_was_found_stays(store: Store):
    await finished(store, first := captured(), other := captured("pay_2"))
    await write(store, f"INSERT INTO replayed (event, endpoint, due_at) VALUES ({first.key}, 1, {LATER_MS})")
    taken = await store.retention.take(ALL, [first.key, other.key], LATER_MS)
    assert taken.tallies == {"stripe": Tally(1, 1, 1, other.size)}
    assert await rows(store, "event", "key") == [(first.key,)]


@pytest.mark.parametrize("state", ["dead", "cancelled", "delivered"])
async def test_whatever_it_was_settled_as_it_goes(store: Store, state: Any):
    await store.adopt([spec()], NOW_MS - 1)
    await store.append(each := event())
    await settle(store, each, 1, state)
    assert (await take(store)).events == 1


async def test_what_went_nowhere_or_was_quarantined_goes(store: Store):
    await store.append(event())
    await store.append(event(state="quarantined"))
    assert (await take(store)).events == 2
    assert {state for (state,) in await rows(store, "past", "state")} == {"unrouted", "quarantined"}


async def test_what_was_settled_lately_is_not_old_however_long_ago_it_came(store: Store):
    await store.adopt([spec()], NOW_MS - 1)
    for at_ms in (LATER_MS - 5, LATER_MS - 6):
        await store.append(each := event())
        await settle(store, each, 1, at_ms=at_ms)
    assert await why_kept(store) == ["recent", None]
    assert (await take(store)).events == 1


async def test_what_came_later_and_what_is_another_providers_is_not_meant(store: Store):
    await finished(store, first := event(), of_another := event(source="flw", provider="flutterwave"), last := event())
    assert (await take(store, Extent(last.key, LATER_MS, provider="stripe"))).events == 1
    assert await rows(store, "event", "key", "ORDER BY key") == [(of_another.key,), (last.key,)]
    assert (await take(store, Extent(last.key, LATER_MS, above=of_another.key))).events == 0
    assert first.key < of_another.key


async def test_the_log_is_looked_at_a_stretch_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retention, "LOOKS", 2)
    await finished(store, *(event() for _ in range(5)))
    assert (await take(store)).events == 5


async def test_nothing_is_taken_of_what_a_replay_may_yet_come_to(store: Store):
    await finished(store, before := event(), *(event() for _ in range(2)))
    chosen = await rows(store, "event", "key, salt", "ORDER BY key")
    begun = await store.replays.begin(Selection(state="delivered", since_ms=NOW_MS), None, LATER_MS)
    assert begun.total == 3
    await store.replays.step(begun.number, 1, LATER_MS)
    assert await why_kept(store) == ["undelivered", "replayed", "replayed"]
    assert (await take(store)).events == 0
    # Nor if it began once they had been found.
    assert (await store.retention.take(ALL, [key for key, _ in chosen[1:]], LATER_MS)).tallies == {}
    await store.replays.cancel(begun.number, LATER_MS)
    assert (await take(store)).events == 2
    assert chosen[0][0] == before.key


async def test_a_replay_passes_over_what_is_gone(store: Store):
    await finished(store, *(each := [event() for _ in range(3)]))
    begun = await store.replays.begin(Selection(ids=tuple(one.id for one in each)), None, LATER_MS)
    # It was begun as a cleanup's transaction was under way.
    await write(store, "UPDATE replay SET state = 'done', ended_at = 1")
    await store.retention.take(ALL, [each[1].key], LATER_MS)
    await write(store, "UPDATE replay SET state = 'running', ended_at = NULL")
    step = await store.replays.step(begun.number, ANY_LIMIT, LATER_MS)
    assert (step.replayed, step.over) == (2, True)
    for gone in (each[1].id, delivery_id(each[1].key, 1)):
        with pytest.raises(SelectionError, match="cannot be sent: retention has taken it out of the log"):
            await store.replays.count(Selection(ids=(gone,)))
    with pytest.raises(SelectionError, match="is no event of the log"):
        await store.replays.count(Selection(ids=(event_id(each[1].key, each[1].salt + 1),)))


async def test_of_a_payment_in_order_what_is_held_and_what_it_waits_for_stay(store: Store):
    await store.adopt([spec(ordering="payment")], NOW_MS - 1)
    for each in (first := captured(), second := captured(type="charge.succeeded"), third := refunded()):
        await store.append(each)
    await settle(store, first, 1)
    assert await why_kept(store) == [None, "undelivered", "undelivered"]
    await take(store)
    await settle(store, second, 1)
    assert await rows(store, "delivery", "event, held", "WHERE state = 'pending'") == [(third.key, 0)]


# --- A repeat of what is past


async def test_a_repeat_of_what_is_past_is_a_duplicate(store: Store):
    await finished(store, first := captured())
    await take(store)
    again = await store.append(event(provider_event_id=first.provider_event_id, body=first.body))
    assert (again.status, again.event_id, again.conflict) == ("duplicate", first.id, False)
    other = await store.append(event(provider_event_id=first.provider_event_id, body=b"another"))
    assert (other.status, other.event_id, other.conflict) == ("duplicate", first.id, True)
    assert await counts(store, "event", "delivery", "conflict") == {"event": 0, "delivery": 0, "conflict": 0}


async def test_among_many_that_come_at_once_only_the_repeat_is_passed_over(store: Store):
    await finished(store, first := captured())
    await take(store)
    repeat = event(provider_event_id=first.provider_event_id, body=first.body)
    futures = [store.append(each) for each in (event(), repeat, event(), event())]
    answers = [(await future).status for future in futures]
    assert answers == ["accepted", "duplicate", "accepted", "accepted"]
    assert await counts(store, "event", "delivery") == {"event": 3, "delivery": 3}


async def test_the_same_id_of_another_source_is_another_event(store: Store):
    await finished(store, first := captured())
    await take(store)
    other = await store.append(event(source="stripe-2", provider_event_id=first.provider_event_id))
    assert other.status == "accepted"


async def test_what_is_repeated_under_another_id_is_still_known_by_its_alias(store: Store):
    await finished(
        store,
        paid := captured(alias="transmission:1", source="paypal", provider="paypal"),
        named := told(alias="sha256:ab", source="razorpay", provider="razorpay"),
    )
    await take(store)
    for each, alias in ((paid, "transmission:1"), (named, "sha256:ab")):
        again = await store.append(event(source=each.source, alias=alias, body=each.body))
        assert (again.status, again.event_id) == ("duplicate", each.id)
    forged = await store.append(event(source="paypal", alias="transmission:1", body=b"forged"))
    assert (forged.status, forged.event_id) == ("forged", paid.id)
    # A known event comes with a transmission that is new, and that is its own from then on.
    resent = event(source="paypal", provider_event_id=paid.provider_event_id, alias="transmission:2", body=paid.body)
    assert (await store.append(resent)).event_id == paid.id
    third = await store.append(event(source="paypal", alias="transmission:2", body=paid.body))
    assert (third.status, third.event_id) == ("duplicate", paid.id)


async def test_what_says_nothing_of_money_is_forgotten_with_its_aliases_and_then_it_is_new(store: Store):
    await finished(store, *(events := [told(alias=f"sha256:{n}") for n in range(3)]), kept := captured(alias="t"))
    await finished(store, of_payment := told(None, "pay_1"))
    await take(store)
    forgotten = await store.retention.forget(events[2].key, MUCH)
    assert sum(each.events for each in forgotten.tallies.values()) == 2
    assert await rows(store, "past", "key", "ORDER BY key") == [(events[2].key,), (kept.key,), (of_payment.key,)]
    assert await rows(store, "alias", "event", "ORDER BY event") == [(events[2].key,), (kept.key,)]
    assert (await store.retention.forget(events[2].key, MUCH)).tallies == {}
    await store.retention.forget(ALL.below, MUCH)
    assert await rows(store, "past", "key", "ORDER BY key") == [(kept.key,), (of_payment.key,)]
    again = event(provider_event_id=events[0].provider_event_id, alias="sha256:0", body=events[0].body)
    assert (await store.append(again)).status == "accepted"


async def test_what_was_found_to_say_nothing_and_is_read_otherwise_by_now_is_not_forgotten(store: Store):
    await finished(store, money := captured(alias="a"), there := told(alias="b"))
    await store.retention.take(ALL, [money.key], LATER_MS)
    await store._change(lambda connection: retention._forget(connection, [money.key, there.key]))
    assert await counts(store, "event", "past", "alias") == {"event": 1, "past": 1, "alias": 2}


async def test_the_next_key_is_above_all_that_is_past(store: Store):
    await finished(store, first := captured())
    await take(store)
    assert await counts(store, "event") == {"event": 0}
    assert await store.last_key() == first.key
    assert KeyMint(await store.last_key()).next(0) > first.key


# --- Bodies


async def test_the_bytes_may_go_before_the_event(store: Store):
    await store.adopt([spec()], NOW_MS - 1)
    await store.append(pending := captured("pay_2"))
    await finished(store, first := captured(), second := refunded())
    before = await books(store)
    gone = await take(store, BODIES)
    assert gone == Tally(2, 0, 0, first.size + second.size)
    sizes = {key: (is_empty, size) for key, is_empty, size in await rows(store, "event", "key, body IS NULL, size")}
    assert sizes == {pending.key: (0, pending.size), first.key: (1, first.size), second.key: (1, second.size)}
    assert await why_kept(store, BODIES) == ["undelivered", "bodiless", "bodiless"]
    assert await counts(store, "delivery", "attempt") == {"delivery": 3, "attempt": 2}
    assert await books(store) == before
    assert (await take(store)).bytes == 0


async def test_what_has_no_bytes_cannot_be_replayed_and_a_replay_says_so_or_passes_over_it(store: Store):
    await finished(store, first := captured())
    await take(store, BODIES)
    await finished(store, whole := event())
    with pytest.raises(SelectionError, match="cannot be sent: its bytes are no longer kept"):
        await store.replays.count(Selection(ids=(first.id,)))
    begun = await store.replays.begin(Selection(endpoint="shop"), None, LATER_MS)
    await store.replays.step(begun.number, ANY_LIMIT, LATER_MS)
    assert await rows(store, "delivery", "event", "WHERE state = 'pending'") == [(whole.key,)]


# --- Who was under way


async def test_an_attempt_that_ends_after_its_cancelled_delivery_is_gone_fails_nobody(store: Store):
    await store.adopt([spec()], NOW_MS - 1)
    for each in (cancelled := event(), other := event()):
        await store.append(each)
    await write(
        store, f"UPDATE delivery SET state = 'cancelled', due_at = NULL, settled_at = 1 WHERE event = {cancelled.key}"
    )
    assert (await take(store)).events == 1
    await asyncio.gather(settle(store, cancelled, 1), settle(store, other, 1))
    assert await rows(store, "delivery", "event, state") == [(other.key, "delivered")]
    assert await counts(store, "attempt") == {"attempt": 1}


async def test_a_settlement_that_fails_for_another_reason_is_told(store: Store):
    await store.adopt([spec()], NOW_MS - 1)
    await store.append(each := event())
    with pytest.raises(Exception, match=r"(?i)not.null"):
        await settle(store, each, 1, None)  # type: ignore[arg-type]


# --- What else is old


async def test_old_rows_of_the_audit_trail_go_the_oldest_first(store: Store):
    for number, expires_at in enumerate((1, 900, None)):
        await store.tokens.add(f"{expires_at}", bytes([number] * 32), "read", NOW_MS, expires_at)
    await write(
        store, *(f"INSERT INTO audit (at, actor, action) VALUES ({at}, 'alice', 'x')" for at in (1, 2, 3, 100, 101))
    )
    assert [await store.retention.forget_trail(100, 2) for _ in range(3)] == [2, 1, 0]
    assert await rows(store, "audit", "at", "ORDER BY number") == [(100,), (101,)]
    assert {token.name for token in await store.tokens.all()} == {"900", "None"}
