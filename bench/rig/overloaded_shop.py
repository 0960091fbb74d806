"""A merchant who takes everything, and of whom is asked whether it was all."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import Iterable

from bench.rig.hooks import number_of
from bench.rig.merchant import Connection

_LOOK_EVERY_S = 0.05


class Shop:
    def __init__(self) -> None:
        self.arrived_at: dict[int, float] = {}
        """When each event first came, by `time.perf_counter`; ascending."""

    def take(self, connection: Connection, head: bytes, body: bytes) -> None:
        self.arrived_at.setdefault(number_of(body), time.perf_counter())
        connection.answer()

    async def missing(self, numbers: Iterable[int], patience_s: float) -> int:
        """How many of them have not come, when all have or nothing has for so long."""
        missing = set(numbers)
        until = time.perf_counter() + patience_s
        while left := missing - self.arrived_at.keys():
            if len(left) < len(missing):
                until = time.perf_counter() + patience_s
            elif time.perf_counter() > until:
                break
            missing = left
            await asyncio.sleep(_LOOK_EVERY_S)
        return len(left)

    def between(self, began: float, ended: float) -> int:
        """How many came then."""
        times = [*self.arrived_at.values()]
        return bisect_left(times, ended) - bisect_left(times, began)
