"""Deeds with a mistake put in, which only a kill at the right call can show."""

import random
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.faults.deeds.backing_up import NAME, BackUp
from tests.faults.deeds.deed import DATABASE, Ack, Begin, Deed, opened
from tests.faults.deeds.hooks import Checkpoint, Receive, take_in
from tests.faults.deeds.migrating import Migrate
from tests.faults.deeds.pruning import Prune
from tests.faults.deeds.settling import Settle
from tests.store.old_files import OLD
from webhookd.core.delivery import Settlement
from webhookd.core.event import Appended, Event
from webhookd.store.sql import retention
from webhookd.store.sqlite import migrate
from webhookd.store.sqlite.backup import DIRECTORY
from webhookd.store.sqlite.store import SqliteStore


class AckedBeforeTheCommit(Receive):
    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        append, ids = SqliteStore.append, dict[str, str]()
        committing: list[Awaitable[Appended]] = []

        async def at_once(store: SqliteStore, event: Event) -> Appended:
            committing.append(append(store, event))
            return Appended(ids.setdefault(event.provider_event_id, event.id), "accepted")

        with patch.object(SqliteStore, "append", at_once):
            await super().do(data, begin, ack)


class SettledBeforeTheCommit(Settle):
    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        async def at_once(store: SqliteStore, settlement: Settlement) -> None:
            store._writes.submit(settlement)

        with patch.object(SqliteStore, "settle", at_once):
            await super().do(data, begin, ack)


class TidiedUpFirst(Checkpoint):
    """What was left beside the database is taken for litter."""

    async def prepare(self, data: Path, ack: Ack) -> None:
        async with opened(data) as store:
            await take_in(store, self._before, ack)

    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        for end in ("-wal", "-shm"):
            (data / f"{DATABASE}{end}").unlink(missing_ok=True)
        await super().do(data, begin, ack)


class MigratedInTwoTransactions(Migrate):
    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        build = migrate._build

        def apart(connection: Any, *rest: Any) -> None:
            _begin_anew(connection)
            build(connection, *rest)

        with patch.object(migrate, "_build", apart):
            await super().do(data, begin, ack)


class CopiedUnderItsName(BackUp):
    """A backup that bears its name from its first byte on."""

    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        target = data / DIRECTORY / NAME
        target.parent.mkdir(exist_ok=True)
        async with opened(data) as store:
            begin()
            if not target.exists():
                await store._writer.query("VACUUM INTO ?", (str(target),))


class PrunedInTwoTransactions(Prune):
    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        taken = retention._take

        def apart(connection: Any, **given: Any) -> Any:
            return taken(_Apart(connection), **given)

        with patch.object(retention, "_take", apart):
            await super().do(data, begin, ack)


class _Apart:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: str, *parameters: Any) -> Any:
        if statement == "retention.take_deliveries":
            _begin_anew(self._connection.connection)
        return self._connection.execute(statement, *parameters)


def _begin_anew(connection: Any) -> None:
    connection.execute("COMMIT")
    connection.execute("BEGIN IMMEDIATE")


MISTAKES: Mapping[str, Callable[[random.Random], Deed]] = {
    "receive-acked-before-the-commit": AckedBeforeTheCommit,
    "settle-acked-before-the-commit": SettledBeforeTheCommit,
    "checkpoint-tidied-up-first": TidiedUpFirst,
    "migrate-in-two-transactions": partial(MigratedInTwoTransactions, schema=OLD[-1]),
    "backup-under-its-name": CopiedUnderItsName,
    "prune-in-two-transactions": PrunedInTwoTransactions,
}
