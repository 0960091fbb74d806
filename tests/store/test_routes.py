"""The routing table: what an endpoint asks for is written once, and again only where it differs."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from tests.making import NOW_MS, SEAL, spec
from webhookd.core.endpoint import EndpointSpec
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.store.sql.endpoints import adopt
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.statements import Speaking, schema

SECRET = Secret(new_secret(bytes(32)))
WIDE = {"sources": [f"shop-{number}" for number in range(10)], "events": [f"charge.{number}" for number in range(20)]}


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(driver.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(schema())
        yield connection


def written(database: sqlite3.Connection, *specs: EndpointSpec, kept: Sequence[EndpointSpec] = ()) -> int:
    """How many rows it takes to make the endpoints these."""
    before = database.total_changes
    adopt(Speaking(database), SEAL, specs, kept, {}, NOW_MS)
    return database.total_changes - before


def routed(database: sqlite3.Connection) -> list[Any]:
    return database.execute("SELECT source, pattern, first_wait_ms, is_ordered FROM route ORDER BY 1, 2").fetchall()


def wide(name: str = "shop", **fields: Any) -> EndpointSpec:
    return spec(name, secret=SECRET, **{**WIDE, **fields})


def test_what_stands_already_is_not_written_again(database: sqlite3.Connection):
    assert written(database, wide(), wide("other")) == 2 * 201
    assert written(database, wide(), wide("other")) == 0
    assert written(database, wide()) == 1 + 200, "the other one has left"
    assert written(database, wide()) == 0


def test_of_what_changes_the_rest_stays(database: sqlite3.Connection):
    written(database, wide(events=["a", "b", "c"], sources=["shop"]))
    assert written(database, wide(events=["a", "c", "d"], sources=["shop"])) == 2
    assert [row[1] for row in routed(database)] == ["a", "c", "d"]


@pytest.mark.parametrize("fields", [{"waits_ms": [7_000]}, {"ordering": "payment"}])
def test_another_first_wait_and_another_order_hold_for_every_row(database: sqlite3.Connection, fields: dict[str, Any]):
    written(database, wide())
    before = routed(database)
    assert written(database, wide(**fields)) == 200
    after = routed(database)
    assert [row[:2] for row in after] == [row[:2] for row in before]
    assert len({row[2:] for row in after}) == 1
    assert after[0][2:] != before[0][2:]


def test_what_is_asked_for_twice_is_one_row(database: sqlite3.Connection):
    written(database, wide(sources=["shop", "shop"], events=["a", "b", "a"]))
    assert [row[:2] for row in routed(database)] == [("shop", "a"), ("shop", "b")]
