"""A reading that may take long, kept for as long as it is worth: what many ask for is read once, and now and then."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from webhookd.store.protocol.errors import StoreError

REST = 20
"""A reading that took a second is made again after so many seconds: it costs a twentieth of the time at most."""
PATIENCE_S = 0.05
"""Who asks waits so long for a new one, and then has the last one."""
T = TypeVar("T")


class Kept(Generic[T]):
    """`read` makes the reading, `seconds` is a clock that never steps back. `first` stands until there is one."""

    def __init__(
        self, read: Callable[[], Awaitable[T]], seconds: Callable[[], float], first: T, rest_s: float = 0.0
    ) -> None:
        """`rest_s`: it is kept for so long at least."""
        self._read, self._seconds, self._rest_s = read, seconds, rest_s
        self.last = first
        self._again_at = 0.0
        self._reading: asyncio.Task[None] | None = None

    async def value(self) -> T:
        """As new as is to be had. A store that cannot be read leaves the last one standing."""
        if self._reading is None and self._seconds() >= self._again_at:
            self._reading = asyncio.create_task(self._renew(), name="reading")
        if self._reading is not None:
            done, _ = await asyncio.wait([self._reading], timeout=PATIENCE_S)
            for each in done:
                each.result()
        return self.last

    async def _renew(self) -> None:
        began = self._seconds()
        try:
            with suppress(StoreError):
                self.last = await self._read()
        finally:
            now = self._seconds()
            self._again_at = now + max(self._rest_s, REST * (now - began))
            self._reading = None
