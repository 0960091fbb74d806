"""The ledger put right: counted again beside everything else, and corrected some objects at a time."""

import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from webhookd.store.sqlite.connection import SerialConnection
from webhookd.store.sqlite.recount import Object, Recount, Reread
from webhookd.store.sqlite.uncut import to_its_end

TOGETHER = 200
"""Objects put right in one transaction."""


async def rebuild(
    path: Path,
    reread: Reread,
    writer: SerialConnection,
    change: Callable[[Callable[[sqlite3.Connection], object]], Awaitable[object]],
    told: Callable[[int, int], None],
    put_right: Callable[[Object], None],
) -> int:
    """How many objects were otherwise. `put_right` hears of each, once that is committed.

    Goes on beside everything else, in steps that each are one transaction: a crash leaves some put right, and nothing
    worse. `told` hears how many events of how many are counted.
    """
    recount = await to_its_end(lambda: Recount(path, reread))
    try:
        total = await to_its_end(recount.total)
        counting = recount.follow()
        while (done := await to_its_end(lambda: next(counting, None))) is not None:
            if outdated := recount.outdated:
                await change(partial(recount.put_facts_right, outdated=outdated))
            told(done, total)
        objects = await to_its_end(lambda: list(dict.fromkeys(each.object for each in recount.differences())))
        for first in range(0, len(objects), TOGETHER):
            told(recount.events, total)
            await to_its_end(recount.catch_up)
            together = objects[first : first + TOGETHER]
            await change(partial(recount.put_right, objects=together))
            for each in together:
                put_right(each)
        return len(objects)
    finally:
        # After what the writer may still do with it, if nobody waited for that to its end.
        await writer.run(lambda _connection: recount.close())
