"""A backup of a store in use: a few pages, a commit, a few pages more."""

import asyncio
import random
from pathlib import Path
from unittest.mock import patch

from tests.faults.deeds.deed import Ack, Acked, Begin, left_open, opened, verified
from tests.faults.deeds.hooks import by_id, hook, lost, take_in
from tests.store.history import reread
from tests.store.old_files import ask
from webhookd.store.sqlite import backup
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.backup import DIRECTORY, remove_drafts

NAME = "monday.db"
PAGES_TOGETHER, SYNCED_BYTES = 10, 2**16


class BackUp:
    def __init__(self, dice: random.Random) -> None:
        self._before = [[hook(dice, number) for number in range(first, first + 10)] for first in (0, 10, 20)]
        self._meanwhile = [hook(dice, number) for number in range(100, 104)]
        self._sent = by_id([*self._before, self._meanwhile])

    async def prepare(self, data: Path, ack: Ack) -> None:
        await take_in(await left_open(data), self._before, ack)

    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        with (
            patch.object(backup, "PAGES_TOGETHER", PAGES_TOGETHER),
            patch.object(backup, "SYNCED_BYTES", SYNCED_BYTES),
        ):
            remove_drafts(data)  # as whoever holds the directory does at his start
            async with opened(data) as store:
                loop, waiting = asyncio.get_running_loop(), iter(self._meanwhile)

                def told(what: str, _done: int, _total: int) -> None:
                    """Between two turns of the copy: then a hook comes, and is answered before the next one."""
                    if what == "copying" and (each := next(waiting, None)) is not None:
                        asyncio.run_coroutine_threadsafe(take_in(store, [[each]], ack), loop).result()

                # SQLite's first own sync of the WAL is followed by one of the directory. The backup has one of that,
                # too, on another thread.
                await store._writer.query("PRAGMA wal_checkpoint")
                begin()
                if not (data / DIRECTORY / NAME).exists():
                    made = await store.backups(0).make(NAME, told)
                    ack("backup", made.events)

    async def broken(self, data: Path, acked: Acked, *, over: bool) -> list[str]:
        async with opened(data) as store:
            broken = await lost(store, self._sent, acked)
        broken += await verified(data)
        names = {each.name for each in (data / DIRECTORY).iterdir()} if (data / DIRECTORY).exists() else set()
        there = {name for name in names if not name.startswith(".")}
        if not there <= {NAME} or (NAME not in there and (over or any(each[0] == "backup" for each in acked))):
            broken.append(f"there is {there} for a backup")
        if over and names != there:
            broken.append(f"drafts are left: {names - there}")
        if NAME in there:
            copy = data / DIRECTORY / NAME
            broken += [f"the copy: {finding}" for finding in audit(copy, reread)]
            held = {provider_id for (provider_id,) in ask(copy, "SELECT provider_event_id FROM event")}
            if missing := by_id(self._before).keys() - held:
                broken.append(f"acked before the backup was begun, and not in it: {missing}")
        return broken
