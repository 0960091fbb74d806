"""A store that begins in SQLite, is copied while it is in use, and goes on in PostgreSQL from some restart on."""

from pathlib import Path

import pytest

from tests.making import NOW_MS
from tests.store.postgres_site import PostgresSite
from tests.store.site import Store
from tests.store.sqlite_site import SqliteSite
from webhookd.store.move import LOG_FILE, source
from webhookd.store.move.move import Move

LOG = "the log of a model"


class MovingSite:
    def __init__(self, directory: Path, url: str, lives: int = 2) -> None:
        """It has so many lives in SQLite, and is copied at the beginning of each."""
        self._sqlite = SqliteSite(directory)
        self._url = url
        self._postgres = PostgresSite(url, NOW_MS)
        self._left = lives
        self.has_moved = False

    async def open(self) -> Store:
        if self.has_moved:
            return await self._postgres.open()
        if self._left == 0:
            await self._move(is_switch=True)
            return await self._postgres.open()
        self._left -= 1
        store = await self._sqlite.open()
        await self._move(is_switch=False)
        return store

    async def kill(self, store: Store) -> Store:
        if self.has_moved:
            return await self._postgres.kill(store)  # type: ignore[arg-type]
        store = await self._sqlite.kill(store)  # type: ignore[arg-type]
        await store.close()
        return await self.open()

    async def findings(self) -> list[str]:
        return await (self._postgres if self.has_moved else self._sqlite).findings()

    async def _move(self, *, is_switch: bool) -> None:
        path = self._sqlite._path
        path.with_name(LOG_FILE).write_text(f"{LOG}\n")  # each life has a directory of its own
        path.with_name(LOG_FILE).chmod(0o600)
        moving = await Move.begin(path, self._url, NOW_MS, lambda *_: None)
        try:
            await moving.copy()
            if is_switch:
                await moving.switch("there", NOW_MS)
                self.has_moved = True
        finally:
            await moving.close()


def in_small_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there are several of a small log."""
    monkeypatch.setattr(source, "EVENTS", 3)
