"""One way to start and stop what runs in the background, and the collector that runs behind all of it."""

import asyncio
import gc
from collections.abc import Awaitable, Callable

GARBAGE_MIN = 50_000
"""New objects that are still there before they are searched for cycles."""


def calm_collector() -> None:
    """Once everything is started: what is there now stays, and the rest makes next to no cycles.

    Python's 700 would have the collector look through some events' objects for every few events that are under way: a
    tenth of the time that one takes from hook to merchant.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_MIN, 10, 10)


Failed = Callable[[str, Exception], None]


class Service:
    """A duty that repeats until it is stopped: `turn` is awaited every `interval_s` seconds.

    A turn that raises ends the duty, and `failed` is told: a daemon that lacks a duty must not run on.
    """

    def __init__(
        self,
        name: str,
        interval_s: float,
        turn: Callable[[], Awaitable[None]],
        failed: Failed,
    ) -> None:
        self._name = name
        self._interval_s = interval_s
        self._turn = turn
        self._failed = failed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while True:
                await self._turn()
                await asyncio.sleep(self._interval_s)
        except Exception as error:  # noqa: BLE001 - handed on
            self._failed(self._name, error)
