"""What `verify` finds, each in a store that somebody broke on purpose, and what a rebuild puts right; of every kind."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.making import NOW_MS, event, spec
from tests.store.raw import blob, read, write
from tests.store.site import Store
from tests.store.verifying import verified
from webhookd.core.delivery import Outcome, settle
from webhookd.core.event import OPERATIONAL, Event, Hook, Reading
from webhookd.core.identifier import KeyMint
from webhookd.core.ledger import Fact
from webhookd.core.money import Money
from webhookd.core.retry import RetryPolicy
from webhookd.providers import reread as providers_reread
from webhookd.store.protocol.ledger import LedgerFilter
from webhookd.store.sql.audit import Finding

USD = Money(1000, "USD", 2)
UNHEARD_OF = """INSERT INTO ledger (provider, kind, id, status, major, minor, tie, first_event)
    SELECT provider, 'refund', 're_9', 'succeeded', 1, 0, '', first_event FROM ledger LIMIT 1"""
BODIES: dict[bytes, Reading] = {}
"""What each body says, for a reader that needs no provider."""


def reread(_provider: str, hook: Hook) -> Reading | None:
    return BODIES.get(hook.body)


def told(fact: Fact | None, payment: str = "pay_1", **fields: Any) -> Event:
    made = event(fact=fact, payment_id=payment, occurred_at=NOW_MS, body=f"{len(BODIES)}".encode(), **fields)
    BODIES[made.body] = Reading(made.provider_event_id, made.type, NOW_MS, payment, fact)
    return made


def captured(payment: str = "pay_1", **fields: Any) -> Event:
    return told(Fact("payment", payment, "captured", money=USD, reference="order 7"), payment, **fields)


def refunded(number: int, payment: str = "pay_1", **fields: Any) -> Event:
    return told(Fact("refund", f"re_{number}", "succeeded", money=Money(100, "USD", 2)), payment, **fields)


async def broken(store: Store, *statements: str) -> Sequence[Finding]:
    """What is found once somebody with a grudge has been at it."""
    await write(store, *statements)
    return await verified(store, reread)


async def put_right(store: Store) -> int:
    return await store.rebuild_ledger(reread, lambda _done, _total: None)


async def sold(store: Store) -> None:
    """A captured payment with a refund, owed to one endpoint and delivered."""
    await store.adopt([spec("shop")], NOW_MS - 1)
    store.announce(lambda owed, _complete: found.extend(owed))
    found: list[Any] = []
    for each in (captured(), refunded(1)):
        await store.append(each)
    for due in found:
        outcome = Outcome(NOW_MS, 5, 200)
        await store.settle(settle(due, outcome, RetryPolicy((0,)), NOW_MS, 0))


@pytest.fixture
async def shop(store: Store) -> Store:
    await sold(store)
    return store


async def test_a_sound_database_has_nothing_to_find(shop: Store):
    assert await verified(shop, reread) == []


@pytest.mark.parametrize(
    ("statement", "check", "detail"),
    [
        ("UPDATE ledger SET status = 'failed' WHERE kind = 'payment'", "ledger", "is not as the log has it: status"),
        ("UPDATE ledger SET amount = 1, refunded = 5 WHERE id = 're_1'", "ledger", "amount, refunded"),
        ("UPDATE ledger SET counted_at = NULL WHERE id = 're_1'", "ledger", "counted_at"),
        ("DELETE FROM ledger WHERE id = 're_1'", "ledger", "is missing in the ledger"),
        (UNHEARD_OF, "ledger", "no event speaks of it"),
        ("DELETE FROM reference", "ledger", "reference 'order 7' is missing"),
        ("UPDATE event SET body = {nul} WHERE payment_id = 'pay_1' AND kind = 'refund'", "bodies", "not those"),
        ("DELETE FROM attempt WHERE number = 1", "deliveries", "counts 1 attempts, and 0 are on record"),
        (
            "UPDATE delivery SET state = 'pending', due_at = 0, chain = 'stripe pay_1', held = 1",
            "deliveries",
            "waits for one of its payment that is not there",
        ),
        ("UPDATE delivery SET state = 'dead'", "payments", "endpoint shop will not hear of it: dead"),
        ("UPDATE delivery SET state = 'cancelled'", "payments", "endpoint shop will not hear of it: cancelled"),
    ],
)
async def test_every_broken_promise_is_found_and_named(shop: Store, statement: str, check: str, detail: str):
    findings = await broken(shop, statement.format(nul=blob(shop, b"\0")))
    assert [finding.check for finding in findings if detail in finding.detail][:1] == [check], findings


async def test_what_webhookd_said_itself_is_no_providers_to_read(store: Store):
    await store.append(event(source=OPERATIONAL, provider=OPERATIONAL, type="webhookd.endpoint.disabled"))
    assert await verified(store, providers_reread) == []


async def test_a_delivery_that_is_gone_is_found_for_the_event_and_for_the_payment(shop: Store):
    findings = await broken(shop, "DELETE FROM attempt", "DELETE FROM delivery")
    details = [finding.detail for finding in findings]
    assert details.count("endpoint shop asked for it and was never owed it") == 2
    assert "was captured, and no endpoint was ever owed that" in details


async def test_a_captured_payment_that_nobody_subscribed_to_is_found(store: Store):
    await store.append(captured())
    [finding] = await verified(store, reread)
    assert (finding.check, finding.subject) == ("payments", "stripe pay_1")


async def test_a_pending_delivery_is_no_broken_promise(store: Store):
    await store.adopt([spec("shop")], NOW_MS - 1)
    await store.append(captured())
    assert await verified(store, reread) == []


async def test_a_second_event_of_the_capture_that_was_delivered_is_enough(store: Store):
    await store.adopt([spec("shop")], NOW_MS - 1)
    await store.append(first := captured())
    await store.append(captured(type="charge.succeeded"))
    assert await broken(store, f"UPDATE delivery SET state = 'dead', due_at = NULL WHERE event = {first.key}") == []


async def test_what_an_endpoint_asked_for_later_was_not_owed_to_it_before(store: Store):
    await store.adopt([spec("shop")], NOW_MS - 1)
    await store.append(captured())
    await store.adopt([spec("shop"), spec("late")], NOW_MS + 5)
    await store.adopt([spec("shop", events=("charge.*",)), spec("late")], NOW_MS + 10)
    assert await verified(store, reread) == []


async def test_what_came_while_the_clock_was_ahead_was_not_owed_to_an_endpoint_that_came_once_it_was_set_back(
    store: Store,
):
    await store.adopt([spec("shop")], NOW_MS - 1)
    ahead_ms = NOW_MS + 60_000
    await store.append(captured(key=KeyMint().next(ahead_ms), received_at=ahead_ms))
    await store.adopt([spec("shop"), spec("late")], NOW_MS + 5)
    assert await verified(store, reread) == []


async def test_an_unchanged_wish_keeps_its_age_when_the_configuration_is_read_again(store: Store):
    await store.adopt([spec("shop")], NOW_MS - 5)
    await store.adopt([spec("shop", waits_ms=(7, 9))], NOW_MS + 5)
    rows = await read(store, "SELECT added_at, first_wait_ms FROM route")
    assert rows == [(NOW_MS - 5, 7)]


async def ledger(store: Store) -> list[Any]:
    return await read(store, "SELECT * FROM ledger ORDER BY provider, kind, id")


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM ledger",
        "UPDATE ledger SET status = 'failed', major = 99",
        "DELETE FROM reference",
        UNHEARD_OF,
    ],
)
async def test_a_rebuild_puts_the_ledger_right(shop: Store, harm: str):
    before = await ledger(shop)
    assert await broken(shop, harm) != []
    told: list[tuple[int, int]] = []
    assert await shop.rebuild_ledger(reread, lambda done, total: told.append((done, total))) > 0
    assert await ledger(shop) == before
    assert await verified(shop, reread) == []
    assert set(told) == {(2, 2)}
    assert await put_right(shop) == 0


async def test_a_rebuild_reads_old_events_as_they_are_read_now(shop: Store):
    body = b"once not understood"
    await shop.append(event(body=body, type="payment.teleported", occurred_at=None))
    BODIES[body] = Reading("x", "payment.teleported", NOW_MS, "pay_2", Fact("payment", "pay_2", "captured", money=USD))
    assert any(finding.detail == "is missing in the ledger" for finding in await verified(shop, reread))
    await put_right(shop)
    [found] = (await shop.ledger.payments(LedgerFilter(), 1)).rows
    assert (found.id, found.status) == ("pay_2", "captured")
    assert len(found.events) == 1


async def test_a_rebuild_that_is_told_to_stop_does_so_before_it_puts_right_any_more(shop: Store):
    await broken(shop, "DELETE FROM ledger")
    calls: list[int] = []

    def stop(done: int, _total: int) -> None:
        calls.append(done)
        if len(calls) > 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await shop.rebuild_ledger(reread, stop)
    assert await ledger(shop) == []


async def test_who_waits_for_a_payment_hears_that_a_rebuild_put_it_right(shop: Store):
    await broken(shop, "UPDATE ledger SET status = 'pending' WHERE kind = 'payment'")
    heard: list[tuple[str, str]] = []
    shop.watch_payments(lambda provider, payment_id: heard.append((provider, payment_id)))
    await put_right(shop)
    assert heard == [("stripe", "pay_1")]
