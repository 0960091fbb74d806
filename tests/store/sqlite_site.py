"""A SQLite store for the model test and the simulation, and what is left of it when its process is killed."""

import shutil
from pathlib import Path

from tests.making import SEAL
from tests.store.sayings import reread
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.store import SqliteStore


class SqliteSite:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lives = 0

    @property
    def _path(self) -> Path:
        """Each life has a directory of its own, so that what the killed one still does is lost."""
        return self._directory / f"life{self._lives}" / "webhookd.db"

    async def open(self) -> SqliteStore:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        store = SqliteStore(self._path)
        await store.open()
        await store.unlock(SEAL)
        return store

    async def kill(self, store: SqliteStore) -> SqliteStore:
        before = self._path
        self._lives += 1
        self._path.parent.mkdir(parents=True)
        await store._writer.run(lambda _connection: self._copy(before))  # before the writer does anything else
        await store.close()
        shutil.rmtree(before.parent)
        return await self.open()

    def _copy(self, before: Path) -> None:
        """What the kernel has of the files, and half a frame of what was just being written."""
        shutil.copy(before, self._path)
        wal = before.with_name(f"{before.name}-wal").read_bytes()
        self._path.with_name(f"{before.name}-wal").write_bytes(wal + wal[-2_000:])

    async def findings(self) -> list[str]:
        """Those about payments are no fault of the store: nobody had asked for what they say."""
        return [str(each) for each in audit(self._path, reread) if each.check != "payments"]
