"""A real SQLite store on a real file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.making import SEAL
from webhookd.store.sqlite.store import SqliteStore

pytest.register_assert_rewrite(
    *(f"tests.store.{name}" for name in ("agreement", "machine", "machine_people", "machine_traffic"))
)
"""What the model and the store said is told when they differ."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "webhookd.db")
    await opened.open()
    await opened.unlock(SEAL)
    yield opened
    await opened.close()
