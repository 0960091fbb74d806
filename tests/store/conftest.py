"""A real SQLite store on a real file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.making import SEAL
from webhookd.store.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "webhookd.db")
    await opened.open()
    await opened.unlock(SEAL)
    yield opened
    await opened.close()
