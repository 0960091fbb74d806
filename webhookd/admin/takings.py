"""The revenue: what it was counted to be is kept for those to whom that will do.

Counting a hundred thousand payments takes a tenth of a second. Who looks at it all day need not have it counted each
time: a count is good enough for REST times as long as it took, so that all who look together cost a twentieth of a
reader at most. Who does not say that an older one will do has it counted for himself.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from webhookd.admin.kept import REST
from webhookd.clock import Clock
from webhookd.store.protocol.ledger import Ledger, RevenueRow

TIMES_MAX = 32
"""Of so many stretches of time is anything kept."""


class Counted(NamedTuple):
    rows: Sequence[RevenueRow]
    at_ms: int
    """When it was begun, Unix milliseconds."""
    began_s: float
    took_s: float


class _Time:
    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.last: Counted | None = None


class Takings:
    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._times: OrderedDict[tuple[int, int | None], _Time] = OrderedDict()

    async def counted(self, since_ms: int, until_ms: int | None, age_s_max: float = 0.0) -> Counted:
        """What counted in that time; None is now. Raises StoreError."""
        time = self._times.setdefault((since_ms, until_ms), _Time())
        self._times.move_to_end((since_ms, until_ms))
        while len(self._times) > TIMES_MAX:
            self._times.popitem(last=False)
        async with time.turn:
            last, began_s = time.last, self._clock.monotonic()
            if last is not None and began_s - last.began_s < min(age_s_max, REST * last.took_s):
                return last
            now_ms = self._clock.now_ms()
            rows = await self._ledger.revenue(since_ms, now_ms + 1 if until_ms is None else until_ms)
            time.last = Counted(rows, now_ms, began_s, self._clock.monotonic() - began_s)
            return time.last
