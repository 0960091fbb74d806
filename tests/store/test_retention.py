"""What retention takes out of the log, what it must leave, and what is known of an event that is past."""

import asyncio
from pathlib import Path
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
    reread,
    rows,
    settle,
    take,
    told,
    why_kept,
)
from tests.store.replaying import ANY_LIMIT
from tests.store.statements import of
from webhookd.core.event import OPERATIONAL
from webhookd.core.identifier import KeyMint, delivery_id, event_id
from webhookd.store.protocol.replays import Selection, SelectionError
from webhookd.store.protocol.retention import Extent, Tally
from webhookd.store.sql import retention
from webhookd.store.sqlite import shorten
from webhookd.store.sqlite.audit import Finding, audit
from webhookd.store.sqlite.recount import Recount
from webhookd.store.sqlite.store import SqliteStore

RETENTION = of("retention")
MUCH = 2**20


def verified(store: SqliteStore) -> list[Finding]:
    return list(audit(store._path, reread))


async def harm(store: SqliteStore, *statements: str) -> None:
    def change(connection: Any) -> None:
        for statement in statements:
            connection.execute(statement)

    await store._change_file(change)


# --- What goes


async def test_of_what_is_finished_one_line_of_the_books_stays(store: SqliteStore):
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


async def test_what_is_undelivered_stays_with_all_that_was_delivered_of_it(store: SqliteStore):
    endpoints = await store.adopt([spec("shop"), spec("stock")], NOW_MS - 1)
    for each in (event(), tried := event(), half := event(), done := event()):
        await store.append(each)
    await settle(store, tried, 1, "pending")
    await settle(store, half, 1)
    await settle(store, done, 1, "dead")
    await settle(store, done, 2)
    assert await why_kept(store) == ["undelivered", "undelivered", "undelivered", None]
    await take(store)
    assert await counts(store, "event", "delivery", "attempt") == {"event": 3, "delivery": 6, "attempt": 2}
    assert len(endpoints) == 2


async def test_what_became_pending_since_it_was_found_stays(store: SqliteStore):
    await finished(store, first := captured(), other := captured("pay_2"))
    await harm(store, f"INSERT INTO replayed (event, endpoint, due_at) VALUES ({first.key}, 1, {LATER_MS})")
    taken = await store.retention.take(ALL, [first.key, other.key], LATER_MS)
    assert taken.tallies == {"stripe": Tally(1, 1, 1, other.size)}
    assert await rows(store, "event", "key") == [(first.key,)]


@pytest.mark.parametrize("state", ["dead", "cancelled", "delivered"])
async def test_whatever_it_was_settled_as_it_goes(store: SqliteStore, state: Any):
    await store.adopt([spec()], NOW_MS - 1)
    await store.append(each := event())
    await settle(store, each, 1, state)
    assert (await take(store)).events == 1


async def test_what_went_nowhere_or_was_quarantined_goes(store: SqliteStore):
    await store.append(event())
    await store.append(event(state="quarantined"))
    assert (await take(store)).events == 2
    assert {state for (state,) in await rows(store, "past", "state")} == {"unrouted", "quarantined"}


async def test_what_was_settled_lately_is_not_old_however_long_ago_it_came(store: SqliteStore):
    await store.adopt([spec()], NOW_MS - 1)
    for at_ms in (LATER_MS - 5, LATER_MS - 6):
        await store.append(each := event())
        await settle(store, each, 1, at_ms=at_ms)
    assert await why_kept(store) == ["recent", None]
    assert (await take(store)).events == 1


async def test_what_came_later_and_what_is_another_providers_is_not_meant(store: SqliteStore):
    await finished(store, first := event(), of_another := event(source="flw", provider="flutterwave"), last := event())
    assert (await take(store, Extent(last.key, LATER_MS, provider="stripe"))).events == 1
    assert await rows(store, "event", "key", "ORDER BY key") == [(of_another.key,), (last.key,)]
    assert (await take(store, Extent(last.key, LATER_MS, above=of_another.key))).events == 0
    assert first.key < of_another.key


async def test_the_log_is_looked_at_a_stretch_at_a_time(store: SqliteStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retention, "LOOKS", 2)
    await finished(store, *(event() for _ in range(5)))
    assert (await take(store)).events == 5


async def test_nothing_is_taken_of_what_a_replay_may_yet_come_to(store: SqliteStore):
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


async def test_a_replay_passes_over_what_is_gone(store: SqliteStore):
    await finished(store, *(each := [event() for _ in range(3)]))
    begun = await store.replays.begin(Selection(ids=tuple(one.id for one in each)), None, LATER_MS)
    # It was begun as a cleanup's transaction was under way.
    await harm(store, "UPDATE replay SET state = 'done', ended_at = 1")
    await store.retention.take(ALL, [each[1].key], LATER_MS)
    await harm(store, "UPDATE replay SET state = 'running', ended_at = NULL")
    step = await store.replays.step(begun.number, ANY_LIMIT, LATER_MS)
    assert (step.replayed, step.over) == (2, True)
    for gone in (each[1].id, delivery_id(each[1].key, 1)):
        with pytest.raises(SelectionError, match="cannot be sent: retention has taken it out of the log"):
            await store.replays.count(Selection(ids=(gone,)))
    with pytest.raises(SelectionError, match="is no event of the log"):
        await store.replays.count(Selection(ids=(event_id(each[1].key, each[1].salt + 1),)))


async def test_of_a_payment_in_order_what_is_held_and_what_it_waits_for_stay(store: SqliteStore):
    await store.adopt([spec(ordering="payment")], NOW_MS - 1)
    for each in (first := captured(), second := captured(type="charge.succeeded"), third := refunded()):
        await store.append(each)
    await settle(store, first, 1)
    assert await why_kept(store) == [None, "undelivered", "undelivered"]
    await take(store)
    await settle(store, second, 1)
    assert await rows(store, "delivery", "event, held", "WHERE state = 'pending'") == [(third.key, 0)]


# --- A repeat of what is past


async def test_a_repeat_of_what_is_past_is_a_duplicate(store: SqliteStore):
    await finished(store, first := captured())
    await take(store)
    again = await store.append(event(provider_event_id=first.provider_event_id, body=first.body))
    assert (again.status, again.event_id, again.conflict) == ("duplicate", first.id, False)
    other = await store.append(event(provider_event_id=first.provider_event_id, body=b"another"))
    assert (other.status, other.event_id, other.conflict) == ("duplicate", first.id, True)
    assert await counts(store, "event", "delivery", "conflict") == {"event": 0, "delivery": 0, "conflict": 0}


async def test_among_many_that_come_at_once_only_the_repeat_is_passed_over(store: SqliteStore):
    await finished(store, first := captured())
    await take(store)
    repeat = event(provider_event_id=first.provider_event_id, body=first.body)
    futures = [store.append(each) for each in (event(), repeat, event(), event())]
    answers = [(await future).status for future in futures]
    assert answers == ["accepted", "duplicate", "accepted", "accepted"]
    assert await counts(store, "event", "delivery") == {"event": 3, "delivery": 3}


async def test_the_same_id_of_another_source_is_another_event(store: SqliteStore):
    await finished(store, first := captured())
    await take(store)
    other = await store.append(event(source="stripe-2", provider_event_id=first.provider_event_id))
    assert other.status == "accepted"


async def test_what_is_repeated_under_another_id_is_still_known_by_its_alias(store: SqliteStore):
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


async def test_what_says_nothing_of_money_is_forgotten_with_its_aliases_and_then_it_is_new(store: SqliteStore):
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


async def test_what_was_found_to_say_nothing_and_is_read_otherwise_by_now_is_not_forgotten(store: SqliteStore):
    await finished(store, money := captured(alias="a"), there := told(alias="b"))
    await store.retention.take(ALL, [money.key], LATER_MS)
    await store._change(lambda connection: retention._forget(connection, [money.key, there.key]))
    assert await counts(store, "event", "past", "alias") == {"event": 1, "past": 1, "alias": 2}


async def test_the_next_key_is_above_all_that_is_past(tmp_path: Path, store: SqliteStore):
    await finished(store, first := captured())
    await take(store)
    assert await counts(store, "event") == {"event": 0}
    assert await store.last_key() == first.key
    assert KeyMint(await store.last_key()).next(0) > first.key


# --- Bodies


async def test_the_bytes_may_go_before_the_event(store: SqliteStore):
    await store.adopt([spec()], NOW_MS - 1)
    await store.append(pending := captured("pay_2"))
    await finished(store, first := captured(), second := refunded())
    before = await books(store)
    gone = await take(store, BODIES)
    assert gone == Tally(2, 0, 0, first.size + second.size)
    assert await rows(store, "event", "key, body IS NULL, size", "ORDER BY key") == [
        *((pending.key, 0, pending.size), (first.key, 1, first.size), (second.key, 1, second.size)),
    ]
    assert await why_kept(store, BODIES) == ["undelivered", "bodiless", "bodiless"]
    assert await counts(store, "delivery", "attempt") == {"delivery": 3, "attempt": 2}
    assert [each.check for each in verified(store)] == []
    assert await store.rebuild_ledger(reread, lambda _done, _total: None) == 0
    assert await books(store) == before
    assert (await take(store)).bytes == 0


async def test_what_has_no_bytes_cannot_be_replayed_and_a_replay_says_so_or_passes_over_it(store: SqliteStore):
    await finished(store, first := captured())
    await take(store, BODIES)
    await finished(store, whole := event())
    with pytest.raises(SelectionError, match="cannot be sent: its bytes are no longer kept"):
        await store.replays.count(Selection(ids=(first.id,)))
    begun = await store.replays.begin(Selection(endpoint="shop"), None, LATER_MS)
    await store.replays.step(begun.number, ANY_LIMIT, LATER_MS)
    assert await rows(store, "delivery", "event", "WHERE state = 'pending'") == [(whole.key,)]


# --- The ledger


async def test_verify_and_the_books_are_the_same_before_and_after(store: SqliteStore):
    said_itself = event(source=OPERATIONAL, provider=OPERATIONAL, type="webhookd.endpoint.disabled")
    await finished(store, captured(), refunded(), captured("pay_2"), refunded("pay_3", "re_3"), told(), said_itself)
    before = await books(store)
    assert (await take(store)).events == 6
    await finished(store, refunded("pay_2", "re_2"))
    assert verified(store) == []
    assert await store.rebuild_ledger(reread, lambda _done, _total: None) == 0
    assert (await books(store))[:1] == before[:1]


@pytest.mark.parametrize(
    ("statement", "detail"),
    [
        ("UPDATE ledger SET status = 'failed' WHERE id = 'pay_1'", "is not as the log has it: status"),
        ("DELETE FROM ledger WHERE id = 're_1'", "is missing in the ledger"),
        ("DELETE FROM reference", "is missing"),
        ("INSERT INTO reference VALUES ('x', 'stripe', 'pay_1')", "reference 'x' is extra"),
        ("UPDATE past SET amount = 7 WHERE object_id = 'pay_1'", "is not as the log has it: amount"),
    ],
)
async def test_what_is_wrong_in_the_books_of_what_is_past_is_found_and_put_right(
    store: SqliteStore, statement: str, detail: str
):
    await finished(store, captured(), refunded())
    await take(store)
    await harm(store, statement)
    found = verified(store)
    assert [each for each in found if detail in each.detail], found
    await store.rebuild_ledger(reread, lambda _done, _total: None)
    assert verified(store) == []


async def test_what_is_taken_while_the_log_is_counted_is_counted_once(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("webhookd.store.sqlite.recount.CHUNK_EVENTS", 2)
    await finished(store, *(captured(f"pay_{n}") for n in range(6)))
    before = await books(store)
    recount = Recount(store._path, reread)
    counting = recount.follow()
    assert next(counting) == 2
    await take(store)
    assert list(counting) == [4, 6]
    assert list(recount.differences()) == []
    recount.close()
    assert await books(store) == before


async def test_what_a_rebuild_reads_otherwise_is_kept_right_though_it_was_taken_meanwhile(store: SqliteStore):
    once_unreadable = told(body=b"now readable", type="payment.teleported")
    await finished(store, once_unreadable)
    reading = captured("pay_9", body=b"now readable")
    counted: list[int] = []
    loop = asyncio.get_running_loop()

    def take_it(done: int, _total: int) -> None:
        counted.append(done)

    follow = Recount.follow

    def followed(recount: Recount, *told: Any) -> Any:
        for done in follow(recount, *told):
            asyncio.run_coroutine_threadsafe(take(store), loop).result()
            assert (
                asyncio.run_coroutine_threadsafe(store.retention.forget(ALL.below, MUCH), loop).result().tallies == {}
            )
            yield done

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Recount, "follow", followed)
        await store.rebuild_ledger(reread, take_it)
    assert reading.fact is not None
    assert await rows(store, "past", "kind, object_id") == [("payment", "pay_9")]
    assert [each for each in verified(store) if each.check == "ledger"] == []
    found = await store.ledger.payment("stripe", "pay_9")
    assert found is not None
    assert (found.status, found.events) == ("captured", [])


async def test_a_capture_that_is_past_was_told_to_whom_it_was_owed(store: SqliteStore):
    await finished(store, captured())
    await take(store)
    assert verified(store) == []
    # Of what came of the same capture later it is no longer known who had heard of it before.
    await store.append(second := captured(type="charge.succeeded"))
    await settle(store, second, 1, "dead")
    assert verified(store) == []


async def test_a_capture_that_was_owed_to_nobody_is_still_found_when_it_is_past(store: SqliteStore):
    await store.append(captured())
    before = verified(store)
    await take(store)
    assert verified(store) == before
    assert [each.detail for each in before] == ["was captured, and no endpoint was ever owed that"]


# --- Who was under way


async def test_an_attempt_that_ends_after_its_cancelled_delivery_is_gone_fails_nobody(store: SqliteStore):
    await store.adopt([spec()], NOW_MS - 1)
    for each in (cancelled := event(), other := event()):
        await store.append(each)
    await harm(
        store, f"UPDATE delivery SET state = 'cancelled', due_at = NULL, settled_at = 1 WHERE event = {cancelled.key}"
    )
    assert (await take(store)).events == 1
    await asyncio.gather(settle(store, cancelled, 1), settle(store, other, 1))
    assert await rows(store, "delivery", "event, state") == [(other.key, "delivered")]
    assert await counts(store, "attempt") == {"attempt": 1}


async def test_a_settlement_that_fails_for_another_reason_is_told(store: SqliteStore):
    await store.adopt([spec()], NOW_MS - 1)
    await store.append(each := event())
    with pytest.raises(Exception, match="NOT NULL"):
        await settle(store, each, 1, None)  # type: ignore[arg-type]


# --- Space


async def test_the_file_gets_shorter_by_what_is_free_and_some_is_kept(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    assert await rows(store, "pragma_auto_vacuum") == [(2,)]
    monkeypatch.setattr(shorten, "KEPT_PAGES_MIN", 10)
    await finished(store, *(event(body=bytes(50_000)) for _ in range(20)))
    [(pages,)] = await rows(store, "pragma_page_count")
    await take(store)
    freed = await store.retention.give_back(7, 0.0)
    assert (freed.pages, freed.page_bytes) == (7, 4096)
    [(free,)] = await rows(store, "pragma_freelist_count")
    assert freed.left == free - 10
    while (freed := await store.retention.give_back(64, 0.0)).pages:
        pass
    assert await rows(store, "pragma_freelist_count") == [(10,)]
    assert (await rows(store, "pragma_page_count"))[0][0] < pages - 200
    assert verified(store) == []
    # The file itself follows when the WAL is moved into it.
    await store._writer.query("PRAGMA wal_checkpoint(RESTART)")
    assert store._path.stat().st_size < (pages - 200) * 4096


async def test_the_wal_stays_short_while_very_much_is_taken_out(store: SqliteStore):
    await finished(store, *(event(body=bytes(1_000_000)) for _ in range(30)))
    wal, longest = store._path.with_name("webhookd.db-wal"), 0
    for key, _ in await rows(store, "event", "key, salt", "ORDER BY key"):
        await store.retention.take(ALL, [key], LATER_MS)
        longest = max(longest, wal.stat().st_size)
    while (await store.retention.give_back(256, 0.0)).pages:
        longest = max(longest, wal.stat().st_size)
    assert await counts(store, "event") == {"event": 0}
    assert longest <= 8 * 2**20


async def test_a_share_of_the_file_is_left_free(store: SqliteStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shorten, "KEPT_PAGES_MIN", 0)
    await finished(store, *(event(body=bytes(50_000)) for _ in range(20)))
    await take(store)
    [(pages,)], [(free,)] = await rows(store, "pragma_page_count"), await rows(store, "pragma_freelist_count")
    assert (await store.retention.give_back(1, 0.5)).left == free - int(0.5 * pages) - 1


# --- What else is old


async def test_old_rows_of_the_audit_trail_go_the_oldest_first(store: SqliteStore):
    tokens = {1: "1", 2: "900", 3: "NULL"}
    await harm(
        store,
        *(f"INSERT INTO audit (at, actor, action) VALUES ({at}, 'alice', 'x')" for at in (1, 2, 3, 100, 101)),
        *(f"INSERT INTO token VALUES ({n}, '{at}', randomblob(32), 'read', 0, {at}, 0)" for n, at in tokens.items()),
    )
    assert [await store.retention.forget_trail(100, 2) for _ in range(3)] == [2, 1, 0]
    assert await rows(store, "audit", "at", "ORDER BY number") == [(100,), (101,)]
    assert {name for (name,) in await rows(store, "token", "name")} == {"900", "NULL"}


# --- How it is looked for


_GIVEN = {
    "after": 0,
    "below": 9,
    "looks": 5,
    "provider": None,
    "bodies": False,
    "finished_before": 0,
    "counted": True,
    "keys": "[1]",
    "now": 0,
    "rows": 1,
    "before": 0,
}


@pytest.mark.parametrize("name", sorted(RETENTION))
async def test_no_table_is_scanned_for_it(store: SqliteStore, name: str):
    statement = RETENTION[name]
    given: Any = _GIVEN if ":" in statement else (1,) * max(statement.count("?"), 0)
    if "?1" in statement:
        given = (1, 1)
    plan = await store._writer.run(
        lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {statement}", given).fetchall()
    )
    scanned = [step[3] for step in plan if step[3].startswith("SCAN")]
    small = ("SCAN json_each", "SCAN k ", "SCAN looked", "SCAN audit", "SCAN r ", "SCAN replay", "SCAN token")
    assert not [each for each in scanned if not f"{each} ".startswith(small)], plan
