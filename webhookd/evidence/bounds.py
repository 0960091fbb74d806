"""How much may be asked of others on account of what strangers send us."""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from types import TracebackType


class BusyError(Exception):
    """More is asked than may be."""


class Gate:
    """So many at a time, and so many more that wait for their turn; beyond that BusyError at once."""

    def __init__(self, running_max: int, waiting_max: int) -> None:
        self._free = asyncio.Semaphore(running_max)
        self._inside = 0
        self._inside_max = running_max + waiting_max

    async def __aenter__(self) -> None:
        if self._inside >= self._inside_max:
            raise BusyError
        self._inside += 1
        try:
            await self._free.acquire()
        except BaseException:
            self._inside -= 1
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._free.release()
        self._inside -= 1


class Allowance:
    """A bucket of tokens: `burst` at once, then one every `every_s` seconds."""

    def __init__(self, burst: int, every_s: float) -> None:
        self._burst = burst
        self._every_s = every_s
        self._tokens = float(burst)
        self._at = 0.0

    def take(self, now_s: float) -> None:
        """Raises BusyError when there is none left."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now_s - self._at) / self._every_s)
        self._at = now_s
        if self._tokens < 1:
            raise BusyError
        self._tokens -= 1


class Failures:
    """What failed a moment ago, and is not tried again for `for_s` seconds. At most `most` are known."""

    def __init__(self, for_s: float, most: int) -> None:
        self._for_s = for_s
        self._most = most
        self._until: OrderedDict[Hashable, float] = OrderedDict()

    def add(self, what: Hashable, now_s: float) -> None:
        self._until.pop(what, None)
        self._until[what] = now_s + self._for_s
        if len(self._until) > self._most:
            self._until.popitem(last=False)

    def recent(self, what: Hashable, now_s: float) -> bool:
        return self._until.get(what, now_s) > now_s
