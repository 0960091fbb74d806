"""The routing table: what an endpoint asks for is written once, and again only where it differs."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tests.making import NOW_MS, SEAL, spec
from tests.store.raw import Database, ask
from webhookd.core.endpoint import EndpointSpec
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.endpoints import adopt

SECRET = Secret(new_secret(bytes(32)))
WIDE = {"sources": [f"shop-{number}" for number in range(10)], "events": [f"charge.{number}" for number in range(20)]}


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database() as connection:
        yield connection


def written(connection: Connection, *specs: EndpointSpec, kept: Sequence[EndpointSpec] = ()) -> int:
    """How many rows it takes to make the endpoints these."""
    before = connection.changes
    adopt(connection, SEAL, specs, kept, {}, NOW_MS)
    return connection.changes - before


def routed(connection: Connection) -> list[Any]:
    return ask(connection, "SELECT source, pattern, first_wait_ms, is_ordered FROM route ORDER BY 1, 2")


def wide(name: str = "shop", **fields: Any) -> EndpointSpec:
    return spec(name, secret=SECRET, **{**WIDE, **fields})


def test_what_stands_already_is_not_written_again(connection: Connection):
    assert written(connection, wide(), wide("other")) == 2 * 201
    assert written(connection, wide(), wide("other")) == 0
    assert written(connection, wide()) == 1 + 200, "the other one has left"
    assert written(connection, wide()) == 0


def test_of_what_changes_the_rest_stays(connection: Connection):
    written(connection, wide(events=["a", "b", "c"], sources=["shop"]))
    assert written(connection, wide(events=["a", "c", "d"], sources=["shop"])) == 2
    assert [row[1] for row in routed(connection)] == ["a", "c", "d"]


@pytest.mark.parametrize("fields", [{"waits_ms": [7_000]}, {"ordering": "payment"}])
def test_another_first_wait_and_another_order_hold_for_every_row(connection: Connection, fields: dict[str, Any]):
    written(connection, wide())
    before = routed(connection)
    assert written(connection, wide(**fields)) == 200
    after = routed(connection)
    assert [row[:2] for row in after] == [row[:2] for row in before]
    assert len({row[2:] for row in after}) == 1
    assert after[0][2:] != before[0][2:]


def test_what_is_asked_for_twice_is_one_row(connection: Connection):
    written(connection, wide(sources=["shop", "shop"], events=["a", "b", "a"]))
    assert [row[:2] for row in routed(connection)] == [("shop", "a"), ("shop", "b")]
