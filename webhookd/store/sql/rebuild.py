"""The ledger put right: counted again beside everything else, and corrected some objects at a time."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

from webhookd.store.sql.connection import Connection
from webhookd.store.sql.recount import Object, Recount

T = TypeVar("T")
TOGETHER = 200
"""Objects put right in one transaction."""


class Run(Protocol):
    """To run what the recount does, where its connection is."""

    async def __call__(self, function: Callable[[], T], /) -> T: ...


async def rebuild(
    recount: Recount,
    run: Run,
    change: Callable[[Callable[[Connection], object]], Awaitable[object]],
    told: Callable[[int, int], None],
    put_right: Callable[[Object], None],
) -> int:
    """How many objects were otherwise. `put_right` hears of each, once that is committed.

    Goes on beside everything else, in steps that each are one transaction (`change` makes one that writes alone): a
    crash leaves some put right, and nothing worse. `told` hears how many events of how many are counted.
    """
    total = await run(recount.total)
    counting = recount.follow()
    while (done := await run(lambda: next(counting, None))) is not None:
        if outdated := recount.outdated:
            await change(partial(recount.put_facts_right, outdated=outdated))
        told(done, total)
    objects = await run(lambda: list(dict.fromkeys(each.object for each in recount.differences())))
    for first in range(0, len(objects), TOGETHER):
        told(recount.events, total)
        await run(recount.catch_up)
        together = objects[first : first + TOGETHER]
        await change(partial(recount.put_right, objects=together))
        for each in together:
            put_right(each)
    return len(objects)
