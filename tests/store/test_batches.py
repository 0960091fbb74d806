"""A batch is few statements of many rows; which rows share one makes no difference to what is kept."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.making import event
from webhookd.store.batch import apply
from webhookd.store.connection import driver
from webhookd.store.group_commit import COMMIT_WRITES_MAX
from webhookd.store.queries import schema
from webhookd.store.sqlite import SqliteStore


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


@pytest.mark.parametrize("places", [(0, 1), (0, 99), (63, 64), (98, 99)])
async def test_of_two_bodies_under_one_id_in_one_batch_the_first_is_kept_wherever_they_are(
    store: SqliteStore, places: tuple[int, int]
):
    batch = [event() for _ in range(100)]
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
        committed = apply(listening, [event() for _ in range(size)])
        assert len(committed.results) == size
    rows = [sql.count("(?") for sql in listening.statements if sql.startswith("INSERT INTO event")]
    assert sum(rows) < 17 * COMMIT_WRITES_MAX
