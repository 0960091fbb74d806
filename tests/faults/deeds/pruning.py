"""What is old and finished is taken out of the log: first the bytes of some, then all, then the space they took."""

import json
import random
from functools import partial
from pathlib import Path
from unittest.mock import patch

import msgspec

from tests.faults.deeds.deed import NAMES, Ack, Acked, Begin, due, insisted, left_open, opened, verified
from tests.faults.deeds.hooks import body_of
from tests.store.history import ALL, BODIES, LATER_MS, books, captured, finished, refunded, rows, settle, told
from webhookd.core.event import Event
from webhookd.store.protocol.retention import Extent
from webhookd.store.sql.store import SqlStore
from webhookd.store.sqlite import shorten
from webhookd.store.sqlite.store import SqliteStore

OLD, BODIES_OF = 18, 6
TOGETHER = 4
PAGES_TOGETHER = 8
CHECKPOINT_PAGES = 24


class Prune:
    """Of the old ones a third say nothing of money; what is undelivered and what was settled lately has to stay."""

    def __init__(self, dice: random.Random) -> None:
        events = [_event(dice, number) for number in range(OLD + 6)]
        self._old, self._undelivered, self._recent = events[:OLD], events[OLD:-2], events[-2:]
        self._due = {1: {each.key for each in self._undelivered[::2]}, 2: {each.key for each in self._undelivered}}

    async def prepare(self, data: Path, ack: Ack) -> None:
        store = await left_open(data)
        await finished(store, *self._old, endpoints=NAMES)
        for each in (*self._undelivered, *self._recent):
            await store.append(each)
        for each in self._undelivered:
            await settle(store, each, 1, "pending" if each.key in self._due[1] else "delivered")
        for each in self._recent:
            await settle(store, each, 1)
            await settle(store, each, 2, at_ms=LATER_MS)
        ack("books", await books(store))

    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        with patch.object(shorten, "KEPT_PAGES_MIN", 0):
            begin()
            async with opened(data) as store:
                if isinstance(store, SqliteStore):
                    await store._writer.query(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
                await _take(store, msgspec.structs.replace(BODIES, below=self._old[BODIES_OF].key), ack)
                await _take(store, ALL, ack)
                while (await insisted(lambda: store.retention.forget(ALL.below, TOGETHER))).tallies:
                    pass
                while (await insisted(lambda: store.retention.give_back(PAGES_TOGETHER, 0.0))).pages:
                    pass

    async def broken(self, data: Path, acked: Acked, *, over: bool) -> list[str]:
        broken = []
        async with opened(data) as store:
            there = {
                key: (has_body, deliveries, attempts)
                for key, has_body, deliveries, attempts in await rows(
                    store,
                    "event",
                    "key, body IS NOT NULL, (SELECT count(*) FROM delivery WHERE event = key), "
                    "(SELECT count(*) FROM attempt WHERE event = key)",
                )
            }
            past = {key for (key,) in await rows(store, "past", "key")}
            are_due = {number: await due(store, number) for number in self._due}
            are_booked = await books(store)
            free = 0
            if isinstance(store, SqliteStore):
                [(free,)] = await store._history_reader.query("PRAGMA freelist_count")
        for each in self._old:
            # What says nothing of money may be forgotten once it is past.
            if (each.key in there) == (each.key in past) and (each.key in there or each.payment_id is not None):
                broken.append(f"{each.id} is both in the log and past, or neither")
            if each.key in there and there[each.key][1:] != (2, 2):
                broken.append(f"{each.id} has {there[each.key]} left of body, two deliveries and two attempts")
        broken += [f"{each.id} was settled lately" for each in self._recent if there.get(each.key) != (1, 2, 2)]
        broken += [f"{each.id} is undelivered" for each in self._undelivered if there.get(each.key) != (1, 2, 1)]
        broken += [
            f"{are_due[number]} are due for {number}" for number in are_due if are_due[number] != self._due[number]
        ]
        broken += [
            f"{key} was taken and is back" for what, *keys in acked if what == "taken" for key in keys if key in there
        ]
        if json.loads(json.dumps(are_booked)) != next(found for what, found, *_ in acked if what == "books"):
            broken.append("the books are not as they were")
        if over and (free or there.keys() & {each.key for each in self._old}):
            broken.append(f"not all has gone that may: {free} pages, {len(there)} events")
        return broken + await verified(data)


def _event(dice: random.Random, number: int) -> Event:
    body = body_of(dice)
    match number % 3:
        case 0:
            return captured(f"pay_{number}", body=body)
        case 1:
            return refunded(f"pay_{number - 1}", f"re_{number}", body=body)
        case _:
            return told(body=body)


async def _take(store: SqlStore, extent: Extent, ack: Ack) -> None:
    after, over = 0, False
    while not over:
        look = await insisted(partial(store.retention.look, extent, after, counted=False))
        after, over = look.then, look.over
        keys = [each.key for each in look.found if each.stays is None]
        for first in range(0, len(keys), TOGETHER):
            going = keys[first : first + TOGETHER]
            await insisted(partial(store.retention.take, extent, going, LATER_MS))
            ack("bodies" if extent.bodies_only else "taken", *going)
