"""What merchants saw of a drain: who got what how often, and how much at a time."""

import asyncio
import time
from contextlib import suppress

from bench.rig.hooks import number_of
from bench.rig.merchant import Connection

ANSWER_S = 0.05
"""A merchant's work on one request. Without it none would ever have two at a time."""


class Journal:
    """Shared by all merchants. Event n is for merchant n modulo their number, and for nobody else."""

    def __init__(self, events: int, merchants: int, cap: int) -> None:
        self.merchants = [Shop(self, index) for index in range(merchants)]
        self.events = events
        self.answers = 0
        self.in_flight = 0
        self.in_flight_max = 0
        self.in_flight_of_one_max = 0
        self.strays = 0
        """Events at a merchant for whom they are not."""
        self.at_once_after = [0] * (2 * cap)
        """The most that a merchant was sent at a time when it had given so many answers; the last stands for more."""
        self.first_answer_at = self.last_answer_at = 0.0
        self._finished = asyncio.Event()
        self._came = 0
        self._times = bytearray(events)
        self._peak = 0

    def arrived(self, shop: "Shop", number: int) -> None:
        self.strays += number % len(self.merchants) != shop.index
        self._came += self._times[number] == 0
        self._times[number] = min(self._times[number] + 1, 255)
        self.in_flight += 1
        self._peak = max(self._peak, self.in_flight)
        self.in_flight_max = max(self.in_flight_max, self.in_flight)
        self.in_flight_of_one_max = max(self.in_flight_of_one_max, shop.in_flight)
        after = min(shop.answers, len(self.at_once_after) - 1)
        self.at_once_after[after] = max(self.at_once_after[after], shop.in_flight)

    def answered(self) -> None:
        self.in_flight -= 1
        self.answers += 1
        self.last_answer_at = time.perf_counter()
        self.first_answer_at = self.first_answer_at or self.last_answer_at
        if self._came == self.events and self.in_flight == 0:
            self._finished.set()

    async def end(self, patience_s: float) -> None:
        """Wait until each event has come and nothing is under way, or nothing was answered for so long."""
        answers = -1
        while not self._finished.is_set() and self.answers > answers:
            answers = self.answers
            with suppress(TimeoutError):
                await asyncio.wait_for(self._finished.wait(), patience_s)

    def peak(self) -> int:
        """The most in flight at all merchants together since this was asked last."""
        peak, self._peak = self._peak, self.in_flight
        return peak

    @property
    def never(self) -> int:
        """Events that never came."""
        return self.events - self._came

    @property
    def repeated(self) -> int:
        """Events that came more than once. Each that came was answered 200."""
        return self._came - self._times.count(1)


class Shop:
    """One merchant. It answers everything, after a while."""

    def __init__(self, journal: Journal, index: int) -> None:
        self.index = index
        self.in_flight = 0
        self.answers = 0
        self._journal = journal

    def take(self, connection: Connection, head: bytes, body: bytes) -> None:
        self.in_flight += 1
        self._journal.arrived(self, number_of(body))
        asyncio.get_running_loop().call_later(ANSWER_S, self._answer, connection)

    def _answer(self, connection: Connection) -> None:
        self.in_flight -= 1
        self.answers += 1
        connection.answer()
        self._journal.answered()
