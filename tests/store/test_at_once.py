"""On PostgreSQL a batch of new rows is one message to the server; what is odd, or was cut off, is seen to beside it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from tests.making import NOW_MS, SEAL, TEN_OF_EACH, event, spec
from tests.postgres import Server
from tests.store.raw import together
from webhookd.core.breaker import Health
from webhookd.core.delivery import Aftermath, DeliveryKey, Due, Outcome, Settlement
from webhookd.core.event import Event
from webhookd.store.postgres.connection import LostError, Speaking
from webhookd.store.postgres.due import TOGETHER_MAX
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.protocol.errors import StoreUnavailableError

Fetch = Callable[..., Awaitable[Any]]


class Line:
    """What is asked of the server, as the statements that are sent; `cut` is told of each that it has answered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sent: list[str] = []
        self.cut: Callable[[Speaking, str], None] = lambda _speaking, _sql: None
        fetch: Fetch = Speaking._fetch

        async def sending(speaking: Speaking, sql: str, given: Sequence[Any]) -> Any:
            self.sent.append(sql)
            answer = await fetch(speaking, sql, given)
            self.cut(speaking, sql)
            return answer

        monkeypatch.setattr(Speaking, "_fetch", sending)

    def is_cut_after(self, part: str) -> None:
        """Once: the server has done it, and the answer is lost."""

        def cut(speaking: Speaking, sql: str) -> None:
            if part in sql:
                self.cut = lambda _speaking, _sql: None
                speaking._connection.terminate()
                raise ConnectionResetError("the answer was lost")

        self.cut = cut


@pytest.fixture
async def store(postgres: Server) -> AsyncIterator[PostgresStore]:
    opened = PostgresStore(postgres.url())
    await opened.open()
    await opened.unlock(SEAL)
    await opened.adopt([spec()], NOW_MS)
    yield opened
    await opened.close()


@pytest.fixture
def line(store: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(monkeypatch)


def settled(one: Event, aftermath: Aftermath | None = None) -> Settlement:
    return Settlement(
        DeliveryKey(one.key, 1), 1, Outcome(NOW_MS, 5, 200), False, "delivered", None, 2, aftermath, fence=0
    )


async def test_new_events_and_attempts_are_one_statement_that_is_a_transaction_of_its_own(
    store: PostgresStore, line: Line
):
    known = event(alias="a")
    assert [each.status for each in await together(store, known, event(alias="b"), event())] == ["accepted"] * 3
    await together(store, event(), settled(known))
    assert len(line.sent) == 2
    assert all("write_rows" in sql for sql in line.sent)


async def test_what_is_owed_of_a_batch_is_told_with_it(store: PostgresStore, line: Line):
    told: list[Sequence[Due]] = []
    store.announce(lambda owed, complete: told.append(owed if complete else []))
    ones = [event(), event(state="quarantined"), event()]
    await together(store, *ones)
    assert [[due.event for due in each] for each in told] == [[ones[0], ones[2]]]
    assert len(line.sent) == 1


async def test_a_batch_whose_answer_was_lost_is_in_the_log_once_and_is_taken_for_what_it_was(
    store: PostgresStore, line: Line
):
    ones = [event(alias="a"), event()]
    line.is_cut_after("write_rows")
    assert [each.status for each in await together(store, *ones)] == ["accepted", "accepted"]
    assert [each.status for each in await together(store, *ones)] == ["accepted", "accepted"]
    line.is_cut_after("write_rows")
    await store.settle(settled(ones[0]))
    [endpoint] = [row.number for row in await store.endpoints()]
    due = await store.due(endpoint, NOW_MS + 1, [], TEN_OF_EACH, 2**20)
    assert [each.event.key for each in due.due] == [ones[1].key]
    assert len(await store.attempts(ones[0].key, endpoint)) == 1


async def test_an_alias_that_came_with_a_known_id_is_bound_to_nothing_that_is_not_in_the_log(
    store: PostgresStore, line: Line
):
    first = await store.append(event(provider_event_id="known"))
    again = event(provider_event_id="known", alias="new")
    line.is_cut_after("BEGIN")  # before more can be said of it than that it is no new event
    with pytest.raises(StoreUnavailableError):
        await store.append(again)
    assert "write_rows" in line.sent[1]
    repeated = await store.append(event(provider_event_id="other", alias="new"))
    assert (repeated.status, first.status) == ("accepted", "accepted")


async def test_when_what_is_odd_of_a_batch_cannot_be_seen_to_the_rest_of_it_is_committed(
    store: PostgresStore, line: Line
):
    known = await store.append(event(provider_event_id="known"))
    new, again = event(), event(provider_event_id="known")
    line.is_cut_after("BEGIN")
    both = await asyncio.gather(store.append(new), store.append(again), return_exceptions=True)
    assert both[0] == await store.append(new)
    assert isinstance(both[1], StoreUnavailableError)
    assert (await store.append(again)).event_id == known.event_id


async def test_an_attempt_and_what_it_makes_of_its_endpoint_stay_one_transaction(store: PostgresStore, line: Line):
    one, other = event(), event()
    await together(store, one, other)
    ill = Health("open", NOW_MS + 1, 1, NOW_MS)
    await together(store, settled(one), settled(other, Aftermath(ill)))
    at = [number for number, sql in enumerate(line.sent) if "write_rows" in sql][-1]
    assert line.sent[at + 1] == "BEGIN"
    assert line.sent[-1] == "COMMIT"
    [row] = await store.endpoints()
    assert row.health == ill


async def test_rows_that_cannot_be_written_fail_alone(store: PostgresStore):
    bad = event(sha256=b"too short")
    good, ill, fine = await asyncio.gather(
        store.append(event()), store.append(bad), store.append(event()), return_exceptions=True
    )
    assert isinstance(ill, Exception)
    assert [good.status, fine.status] == ["accepted", "accepted"]  # type: ignore[union-attr]


async def test_all_who_want_to_know_what_is_due_ask_together_and_each_is_told_its_own(postgres: Server, monkeypatch):
    store = PostgresStore(postgres.url())
    await store.open()
    await store.unlock(SEAL)
    shops = await store.adopt([spec(f"shop{n}", sources=(f"source{n}",)) for n in range(TOGETHER_MAX)], NOW_MS)
    owed = {shop.number: [event(source=f"source{n}") for _ in range(n)] for n, shop in enumerate(shops)}
    await together(store, *(each for events in owed.values() for each in events))
    line = Line(monkeypatch)
    looks = [store.due(shop, NOW_MS + 1, [], TEN_OF_EACH, 2**20) for shop in owed]
    found = dict(zip(owed, await asyncio.gather(*looks), strict=True))
    assert {shop: [each.event.key for each in batch.due] for shop, batch in found.items()} == {
        shop: [each.key for each in events] for shop, events in owed.items()
    }
    assert {each.endpoint for batch in found.values() for each in batch.due} == {n for n, its in owed.items() if its}
    assert len(line.sent) == 1
    last, its = [*owed.items()][-1]
    rest = await store.due(last, NOW_MS + 1, [each.key for each in its[:4]], {2: 2}, 2**20)
    assert ([each.event.key for each in rest.due], rest.behind) == ([its[4].key, its[5].key], {2})
    await store.close()


async def test_a_look_that_fails_fails_for_all_who_asked_together_and_for_nobody_after_them(
    store: PostgresStore, line: Line
):
    line.is_cut_after("FROM unnest")
    asked = [store.due(1, NOW_MS, [], TEN_OF_EACH, 2**20) for _ in range(2)]
    assert [type(each) for each in await asyncio.gather(*asked, return_exceptions=True)] == [LostError, LostError]
    assert (await store.due(1, NOW_MS, [], TEN_OF_EACH, 2**20)).due == []


async def test_what_is_asked_again_is_parsed_and_planned_no_more(store: PostgresStore):
    for _ in range(3):
        await store.due(1, NOW_MS, [], TEN_OF_EACH, 2**20)
        await store.append(event())
    asked = "SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE strpos(statement, $1) > 0"
    assert await store._due._session.query(asked, ("look.nth",)) == [(3, 0)]
    assert [sum(row) for row in await store._writer.query(asked, ("write_rows(",))] == [3]
