"""What `verify` finds, each on a database that somebody broke on purpose, and what a rebuild puts right."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.making import NOW_MS, event, spec
from tests.store.statements import of
from webhookd.core.delivery import Outcome, settle
from webhookd.core.event import OPERATIONAL, Event, Hook, Reading
from webhookd.core.identifier import KeyMint
from webhookd.core.ledger import Fact
from webhookd.core.money import Money
from webhookd.core.retry import RetryPolicy
from webhookd.providers import reread as providers_reread
from webhookd.store.protocol.ledger import LedgerFilter
from webhookd.store.sqlite.audit import Finding, audit
from webhookd.store.sqlite.connection import WrongDatabaseError
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.recount import Recount
from webhookd.store.sqlite.store import SqliteStore

AUDIT = of("audit")
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


def refunded(number: int, payment: str = "pay_1") -> Event:
    return told(Fact("refund", f"re_{number}", "succeeded", money=Money(100, "USD", 2)), payment)


def path_of(store: SqliteStore) -> Path:
    return store._path


async def broken(store: SqliteStore, *statements: str) -> list[Finding]:
    """What is found once somebody with a grudge has been at the database."""

    def harm(connection: Any) -> None:
        for statement in statements:
            connection.execute(statement)

    await store._change_file(harm)
    return list(audit(path_of(store), reread))


@pytest.fixture
async def shop(store: SqliteStore) -> SqliteStore:
    """A captured payment with a refund, owed to one endpoint and delivered."""
    await store.adopt([spec("shop")], NOW_MS - 1)
    store.announce(lambda owed, _complete: found.extend(owed))
    found: list[Any] = []
    for each in (captured(), refunded(1)):
        await store.append(each)
    for due in found:
        outcome = Outcome(NOW_MS, 5, 200)
        await store.settle(settle(due, outcome, RetryPolicy((0,)), NOW_MS, 0))
    return store


async def test_a_sound_database_has_nothing_to_find(shop: SqliteStore):
    assert list(audit(path_of(shop), reread)) == []


@pytest.mark.parametrize(
    ("statement", "check", "detail"),
    [
        ("UPDATE ledger SET status = 'failed' WHERE kind = 'payment'", "ledger", "is not as the log has it: status"),
        ("UPDATE ledger SET amount = 1, refunded = 5 WHERE id = 're_1'", "ledger", "amount, refunded"),
        ("UPDATE ledger SET counted_at = NULL WHERE id = 're_1'", "ledger", "counted_at"),
        ("DELETE FROM ledger WHERE id = 're_1'", "ledger", "is missing in the ledger"),
        (UNHEARD_OF, "ledger", "no event speaks of it"),
        ("DELETE FROM reference", "ledger", "reference 'order 7' is missing"),
        ("UPDATE event SET body = x'00' WHERE payment_id = 'pay_1' AND kind = 'refund'", "bodies", "not those"),
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
async def test_every_broken_promise_is_found_and_named(shop: SqliteStore, statement: str, check: str, detail: str):
    findings = await broken(shop, statement)
    assert [finding.check for finding in findings if detail in finding.detail][:1] == [check], findings


async def test_what_webhookd_said_itself_is_no_providers_to_read(store: SqliteStore):
    await store.append(event(source=OPERATIONAL, provider=OPERATIONAL, type="webhookd.endpoint.disabled"))
    assert list(audit(path_of(store), providers_reread)) == []


async def test_a_delivery_that_is_gone_is_found_for_the_event_and_for_the_payment(shop: SqliteStore):
    findings = await broken(shop, "DELETE FROM attempt", "DELETE FROM delivery")
    details = [finding.detail for finding in findings]
    assert details.count("endpoint shop asked for it and was never owed it") == 2
    assert "was captured, and no endpoint was ever owed that" in details


async def test_a_captured_payment_that_nobody_subscribed_to_is_found(store: SqliteStore):
    await store.append(captured())
    [finding] = audit(path_of(store), reread)
    assert (finding.check, finding.subject) == ("payments", "stripe pay_1")


async def test_a_pending_delivery_is_no_broken_promise(store: SqliteStore):
    await store.adopt([spec("shop")], NOW_MS - 1)
    await store.append(captured())
    assert list(audit(path_of(store), reread)) == []


async def test_a_second_event_of_the_capture_that_was_delivered_is_enough(store: SqliteStore):
    await store.adopt([spec("shop")], NOW_MS - 1)
    await store.append(first := captured())
    await store.append(captured(type="charge.succeeded"))
    assert await broken(store, f"UPDATE delivery SET state = 'dead', due_at = NULL WHERE event = {first.key}") == []


async def test_what_an_endpoint_asked_for_later_was_not_owed_to_it_before(store: SqliteStore):
    await store.adopt([spec("shop")], NOW_MS - 1)
    await store.append(captured())
    await store.adopt([spec("shop"), spec("late")], NOW_MS + 5)
    await store.adopt([spec("shop", events=("charge.*",)), spec("late")], NOW_MS + 10)
    assert list(audit(path_of(store), reread)) == []


async def test_what_came_while_the_clock_was_ahead_was_not_owed_to_an_endpoint_that_came_once_it_was_set_back(
    store: SqliteStore,
):
    await store.adopt([spec("shop")], NOW_MS - 1)
    ahead_ms = NOW_MS + 60_000
    await store.append(captured(key=KeyMint().next(ahead_ms), received_at=ahead_ms))
    await store.adopt([spec("shop"), spec("late")], NOW_MS + 5)
    assert list(audit(path_of(store), reread)) == []


async def test_an_unchanged_wish_keeps_its_age_when_the_configuration_is_read_again(store: SqliteStore):
    await store.adopt([spec("shop")], NOW_MS - 5)
    await store.adopt([spec("shop", waits_ms=(7, 9))], NOW_MS + 5)
    rows = await store._history_reader.query("SELECT added_at, first_wait_ms FROM route")
    assert rows == [(NOW_MS - 5, 7)]


async def test_a_strangers_database_is_refused(tmp_path: Path):
    path = tmp_path / "other.db"
    connection = driver.connect(path)
    connection.execute("CREATE TABLE x (y)")
    connection.close()
    with pytest.raises(WrongDatabaseError):
        list(audit(path, reread))


async def test_a_copy_can_be_verified_where_nobody_runs(shop: SqliteStore, tmp_path: Path):
    copy = tmp_path / "copy with a space?.db"
    await shop._change_file(lambda _connection: None)
    connection = driver.connect(path_of(shop))
    connection.execute("VACUUM INTO ?", (str(copy),))
    connection.close()
    assert list(audit(copy, reread)) == []


@pytest.mark.parametrize("name", sorted(AUDIT))
async def test_every_query_of_the_audit_fits_the_schema(store: SqliteStore, name: str):
    recount = Recount(path_of(store), reread)
    recount.connection.execute("EXPLAIN " + AUDIT[name])
    recount.close()


async def test_what_is_counted_again_is_on_disk_and_leaves_no_file_behind(shop: SqliteStore):
    recount = Recount(path_of(shop), reread)
    [file] = [row[2] for row in recount.connection.execute("PRAGMA database_list") if row[1] == "main"]
    assert file
    assert not Path(file).exists()
    recount.close()


async def test_who_was_given_up_on_is_looked_for_among_what_was_given_up(shop: SqliteStore):
    recount = Recount(path_of(shop), reread)
    query = f"EXPLAIN QUERY PLAN {AUDIT['captured_untold']}"
    steps = [row[3] for row in recount.connection.execute(query)]
    recount.close()
    assert any("delivery_given_up" in step for step in steps)
    assert not any("ledger_recent (kind=?)" in step for step in steps)


async def ledger(store: SqliteStore) -> list[Any]:
    return await store._history_reader.query("SELECT * FROM ledger ORDER BY provider, kind, id")


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM ledger",
        "UPDATE ledger SET status = 'failed', major = 99",
        "DELETE FROM reference",
        UNHEARD_OF,
    ],
)
async def test_a_rebuild_puts_the_ledger_right(shop: SqliteStore, harm: str):
    before = await ledger(shop)
    assert await broken(shop, harm) != []
    told: list[tuple[int, int]] = []
    assert await shop.rebuild_ledger(reread, lambda done, total: told.append((done, total))) > 0
    assert await ledger(shop) == before
    assert list(audit(path_of(shop), reread)) == []
    assert set(told) == {(2, 2)}
    assert await shop.rebuild_ledger(reread, lambda _done, _total: None) == 0


async def test_a_rebuild_reads_old_events_as_they_are_read_now(shop: SqliteStore):
    body = b"once not understood"
    await shop.append(event(body=body, type="payment.teleported", occurred_at=None))
    BODIES[body] = Reading("x", "payment.teleported", NOW_MS, "pay_2", Fact("payment", "pay_2", "captured", money=USD))
    assert any(finding.detail == "is missing in the ledger" for finding in audit(path_of(shop), reread))
    await shop.rebuild_ledger(reread, lambda _done, _total: None)
    [found] = (await shop.ledger.payments(LedgerFilter(), 1)).rows
    assert (found.id, found.status) == ("pay_2", "captured")
    assert len(found.events) == 1


async def test_events_that_come_during_a_rebuild_are_in_the_ledger_after_it(
    shop: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    await broken(shop, "UPDATE ledger SET status = 'failed' WHERE kind = 'payment'")
    loop = asyncio.get_running_loop()
    differences = Recount.differences

    def differences_and_one_more(recount: Recount) -> Any:
        found = list(differences(recount))
        asyncio.run_coroutine_threadsafe(_append(shop, refunded(2)), loop).result()
        return found

    monkeypatch.setattr(Recount, "differences", differences_and_one_more)
    await shop.rebuild_ledger(reread, lambda _done, _total: None)
    monkeypatch.undo()
    found = await shop.ledger.payment("stripe", "pay_1")
    assert found is not None
    assert (found.status, found.refunded) == ("partially_refunded", 200)
    assert [each.check for each in audit(path_of(shop), reread) if each.check == "ledger"] == []


async def test_what_came_while_the_ledgers_were_compared_is_counted_before_the_writer_is_asked(
    shop: SqliteStore, monkeypatch: pytest.MonkeyPatch
):
    await broken(shop, "UPDATE ledger SET status = 'failed' WHERE kind = 'payment'")
    loop = asyncio.get_running_loop()
    differences, follow_within = Recount.differences, Recount.follow_within
    counted_by_the_writer: list[int] = []

    def differences_and_one_more(recount: Recount) -> Any:
        found = list(differences(recount))
        asyncio.run_coroutine_threadsafe(_append(shop, refunded(2)), loop).result()
        return found

    def noted(recount: Recount, writer: Any) -> None:
        before = recount.events
        follow_within(recount, writer)
        counted_by_the_writer.append(recount.events - before)

    monkeypatch.setattr(Recount, "differences", differences_and_one_more)
    monkeypatch.setattr(Recount, "follow_within", noted)
    await shop.rebuild_ledger(reread, lambda _done, _total: None)
    assert counted_by_the_writer == [0]


async def test_a_rebuild_that_is_told_to_stop_does_so_before_it_puts_right_any_more(shop: SqliteStore):
    await broken(shop, "DELETE FROM ledger")
    calls: list[int] = []

    def stop(done: int, _total: int) -> None:
        calls.append(done)
        if len(calls) > 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await shop.rebuild_ledger(reread, stop)
    assert await ledger(shop) == []


async def test_who_waits_for_a_payment_hears_that_a_rebuild_put_it_right(shop: SqliteStore):
    await broken(shop, "UPDATE ledger SET status = 'pending' WHERE kind = 'payment'")
    heard: list[tuple[str, str]] = []
    shop.watch_payments(lambda provider, payment_id: heard.append((provider, payment_id)))
    await shop.rebuild_ledger(reread, lambda _done, _total: None)
    assert heard == [("stripe", "pay_1")]


async def _append(store: SqliteStore, each: Event) -> None:
    await store.append(each)
