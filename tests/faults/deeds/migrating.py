"""A data directory of an earlier release is brought up to date, as the daemon does before it opens the store."""

import asyncio
import json
import random
from contextlib import closing
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from tests.fake_clock import FakeClock
from tests.faults.deeds.deed import DATABASE, Ack, Acked, AtOnce, Begin
from tests.making import NOW_MS
from tests.store.old_files import KEY_OF_3, ask, looks, old_file
from webhookd.config.model import Config, Server
from webhookd.providers import reread
from webhookd.store.data_dir import DataDir
from webhookd.store.seal import KEY_FILE, SealError, seal_for
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.backup import DIRECTORY
from webhookd.store.sqlite.compact import is_compact
from webhookd.store.sqlite.connection import SCHEMA_VERSION
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.store import SqliteStore
from webhookd.upgrade import bring_up_to_date

_TOLD = (
    "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM delivery), (SELECT count(*) FROM attempt)",
    "SELECT event, endpoint, due_at, attempts, step FROM delivery WHERE state = 'pending' ORDER BY 1, 2",
    "SELECT id, status, amount, refunded FROM payment ORDER BY id",
)
"""What every schema can be asked, and answers alike."""


class Migrate:
    """From this schema. Whoever wrote it has died, too: the last of it is in the WAL alone."""

    def __init__(self, dice: random.Random, schema: int) -> None:
        self._schema = schema
        self._died: Any = None

    async def prepare(self, data: Path, ack: Ack) -> None:
        path = old_file(data / DATABASE, self._schema)
        if self._schema >= 3:
            (data / KEY_FILE).touch(mode=0o600)
            (data / KEY_FILE).write_text(KEY_OF_3)
        self._died = driver.connect(path, isolation_level=None)
        self._died.execute("UPDATE delivery SET due_at = due_at + 1 WHERE state = 'pending'")
        ack("was", _told(path), looks(path))

    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        asyncio.get_running_loop().set_default_executor(AtOnce())
        config = Config(server=Server(data_dir=str(data)))
        begin()
        # The time stands still: whoever comes next comes in the same second, which a copy has in its name.
        with DataDir(data) as held, capture_logs():
            await bring_up_to_date(held, config, FakeClock(NOW_MS))
        ack("migrated")

    async def broken(self, data: Path, acked: Acked, *, over: bool) -> list[str]:
        path, [(_, told, looked)] = data / DATABASE, [each for each in acked if each[0] == "was"]
        broken = []
        copies = [each for each in _copies(data) if not each.name.startswith(".")]
        for copy in copies:
            if _told(copy) != told or _as_json(looks(copy)) != looked:
                broken.append(f"{copy.name} is not what was there before")
            if ask(copy, "PRAGMA integrity_check") != [("ok",)]:
                broken.append(f"{copy.name} is not whole")
        [(schema,)] = ask(path, "PRAGMA user_version")
        if ask(path, "PRAGMA integrity_check") != [("ok",)] or ask(path, "PRAGMA foreign_key_check"):
            broken.append("the database is not sound")
        if schema not in (self._schema, SCHEMA_VERSION) or (schema == self._schema) != (
            _as_json(looks(path)) == looked
        ):
            broken.append(f"it says that it has schema {schema}, and that is between")
        if _told(path) != told:
            broken.append("it does not hold what was there before")
        if schema == SCHEMA_VERSION:
            broken += [f"verify: {finding}" for finding in audit(path, reread)]
            broken += await _unopened(data)
            if not copies:
                broken.append("there is no copy from before")
        if (over or ["migrated"] in acked) and (schema, is_compact(path)) != (SCHEMA_VERSION, True):
            broken.append(f"its schema is {schema}, or it is not compact")
        if over and (left := [*_left(data)]):
            broken.append(f"drafts are left: {left}")
        return broken


async def _unopened(data: Path) -> list[str]:
    """The secrets, sealed with a key that is lost."""
    store = SqliteStore(data / DATABASE)
    await store.open()
    try:
        await store.unlock(seal_for(data, None, (), is_first=False))
    except SealError as error:
        return [str(error)]
    finally:
        await store.close()
    return []


def _copies(data: Path) -> list[Path]:
    return sorted((data / DIRECTORY).glob("*")) if (data / DIRECTORY).exists() else []


def _left(data: Path) -> list[str]:
    return [each.name for each in data.rglob("*") if each.name.startswith(".") or each.suffix == ".new"]


def _told(path: Path) -> Any:
    with closing(driver.connect(path)) as connection:
        return _as_json([connection.execute(query).fetchall() for query in _TOLD])


def _as_json(found: Any) -> Any:
    """As it comes back from whoever told it."""
    return json.loads(json.dumps(found))
