"""A real SQLite store on a real file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from webhookd.store.sqlite import SqliteStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "webhookd.db")
    await opened.open()
    yield opened
    await opened.close()
