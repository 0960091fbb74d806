"""A batch is few statements of many rows; which rows share one makes no difference to what is kept."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import msgspec
import pytest

from tests.making import NOW_MS, SEAL, event, spec, without_sync
from tests.store.history import take
from tests.store.raw import together
from tests.store.site import Store
from webhookd.core.breaker import Health
from webhookd.core.delivery import Aftermath, DeliveryKey, Due, Outcome, Settlement
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.store.group_commit import COMMIT_WRITES_MAX
from webhookd.store.protocol.errors import RefusalError
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.endpoints import adopt
from webhookd.store.sqlite.batch import apply
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.statements import schema


class Listening(driver.Connection):
    """Remembers the statements it was given."""

    statements: set[str]

    def execute(self, sql: str, *parameters: Any) -> Any:
        self.statements.add(sql)
        return super().execute(sql, *parameters)


@pytest.fixture
def listening() -> Iterator[Listening]:
    with closing(driver.connect(":memory:", isolation_level=None, factory=Listening)) as connection:
        connection.statements = set()
        connection.executescript(schema())
        yield connection


@pytest.mark.parametrize(
    ("size", "places"), [(2, (0, 1)), (60, (3, 59)), (100, (0, 1)), (100, (0, 99)), (100, (63, 64)), (100, (98, 99))]
)
async def test_of_two_bodies_under_one_id_in_one_batch_the_first_is_kept_wherever_they_are(
    store: Store, size: int, places: tuple[int, int]
):
    batch = [event() for _ in range(size)]
    for place, body in zip(places, (b"first", b"second"), strict=True):
        batch[place] = event(key=batch[place].key, provider_event_id="evt_a", body=body)
    answers = await asyncio.gather(*(store.append(each) for each in batch))
    first, second = (answers[place] for place in places)
    assert (first.status, second.status, second.conflict) == ("accepted", "duplicate", True)
    assert second.event_id == first.event_id == batch[places[0]].id
    assert await store.body(batch[places[0]].key) == b"first"


def test_statements_for_batches_of_every_size_have_few_rows_all_together(listening: Listening):
    """Each stays prepared, and keeps the bodies it was last given: one for every size would keep 65 full batches."""
    for size in range(1, COMMIT_WRITES_MAX + 1):
        committed = apply(listening, [event() for _ in range(size)], without_sync)
        assert len(committed.results) == size
    rows = [sql.count("(?") for sql in listening.statements if sql.startswith("INSERT INTO event")]
    assert sum(rows) < 17 * COMMIT_WRITES_MAX


ROUTE = """INSERT INTO route (source, is_glob, pattern, endpoint, first_wait_ms, is_ordered, added_at)
    VALUES ('*', 1, '*', 1, 0, 0, 0)"""
ENDPOINT = "INSERT INTO endpoint (number, name, url, managed_by, created_at) VALUES (1, 'a', 'u', 'api', 0)"


def delivered(key: DeliveryKey) -> Settlement:
    return Settlement(key, 1, Outcome(NOW_MS, 5, 200, None), False, "delivered", None, 1)


def test_events_and_attempts_take_a_statement_each_and_are_told_of_once_both_are_synced(listening: Listening):
    """Nearly every batch is so: to begin a transaction and to end it would be two statements more."""
    listening.execute(ENDPOINT)
    listening.execute(ROUTE)
    [due, other] = apply(listening, [event(), event()], without_sync).owed
    listening.statements.clear()
    syncs: list[int] = []

    def commit(last: Callable[[], Any]) -> Any:
        result = last()
        syncs.append(listening.execute("SELECT count(*) FROM attempt").fetchone()[0])
        return result

    batch = [delivered(due.key), event(), event(), delivered(other.key)]
    committed = apply(listening, batch, commit)
    assert [getattr(result, "status", None) for result in committed.results] == [None, "accepted", "accepted", None]
    assert [each.event for each in committed.owed] == batch[1:3]
    assert syncs == [2]
    assert len([sql for sql in listening.statements if sql.startswith("INSERT")]) == 2
    assert not listening.statements & {"BEGIN IMMEDIATE", "COMMIT"}
    assert listening.execute("SELECT DISTINCT state, attempts FROM delivery ORDER BY 1").fetchall() == [
        ("delivered", 1),
        ("pending", 0),
    ]


async def test_an_attempt_that_cannot_be_recorded_fails_alone_and_what_was_new_beside_it_is_new_and_owed(store: Store):
    await store.adopt([spec()], NOW_MS)
    owed: list[Due] = []
    store.announce(lambda of_a_batch, _complete: owed.extend(of_a_batch))
    await store.append(event())
    nonsense = msgspec.structs.replace(delivered(owed.pop().key), number=None)
    appended, failed = await together(store, made := event(), nonsense)
    assert appended.status == "accepted"
    assert isinstance(failed, Exception)
    assert [each.event for each in owed] == [made]


async def test_a_change_parts_what_came_before_it_from_what_came_after(store: Store):
    """As its writers hear of it: what was asked for first holds for what is written next, and for nothing before."""
    owed: list[Due] = []
    store.announce(lambda of_a_batch, _complete: owed.extend(of_a_batch))

    def wants_all(connection: Connection) -> None:
        adopt(connection, SEAL, [spec(secret=Secret(new_secret(bytes(32))))], [], {}, NOW_MS)

    await together(store, event(), wants_all, after := event())
    assert [due.event.key for due in owed] == [after.key]


async def test_a_change_that_is_refused_is_alone_with_it(store: Store):
    tried: list[int] = []

    def refused(_connection: Connection) -> None:
        tried.append(1)
        raise RefusalError("not now")

    before, refusal, after = await together(store, event(), refused, event())
    assert (before.status, type(refusal), after.status) == ("accepted", RefusalError, "accepted")
    assert tried == [1], "the others were made once"


async def test_what_an_attempt_made_of_its_endpoint_is_kept_also_when_its_delivery_is_past(store: Store):
    [shop, *_] = await store.adopt(
        [spec("shop", sources=("stripe",)), spec("pager", sources=("webhookd",))], NOW_MS - 1
    )
    await store.append(made := event())
    key = DeliveryKey(made.key, shop.number)
    await store.cancels.cancel(key, NOW_MS)
    await take(store)
    told = event(source="webhookd", provider="webhookd", type="webhookd.endpoint.disabled")
    failing, announced = Health("open", NOW_MS + 1_000, 1, NOW_MS), []
    store.announce(lambda _owed, complete: announced.append(complete))
    failed = Outcome(NOW_MS, 5, 500, "status")
    aftermath = Aftermath(failing, gives_up=True, notices=(told,))
    await store.settle(Settlement(key, 1, failed, False, "dead", None, 1, aftermath))
    found = await store.endpoint("shop")
    assert found is not None
    assert (found.state, found.health) == ("disabled", failing)
    assert [row.event for row in await store.deliveries_of(told.key)] == [told.key]
    assert announced == [False], "the dispatcher is to look for them on disk"
