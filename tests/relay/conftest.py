"""A shop for each engine."""

from itertools import count
from pathlib import Path

import pytest

from tests.postgres import Server
from tests.relay.shop import PostgresShop, Shop, SqliteShop

_numbers = count(1)


@pytest.fixture(params=["sqlite", "postgres"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """The same on each engine."""
    if request.param == "sqlite":
        return SqliteShop(tmp_path)
    server: Server = request.getfixturevalue("postgres")
    return await PostgresShop(server, f"shop_{next(_numbers)}").make()
