"""Merchants of all kinds, and what each attempt found: the histories that a simulation is judged by."""

import random
from typing import NamedTuple

from webhookd.core.delivery import DeliveryKey, Due

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
SWALLOWED_MS = 15_000
"""After so long without an answer an attempt is over."""


class Answer(NamedTuple):
    latency_ms: int
    status: int | None
    error: str | None = None
    retry_after_ms: int | None = None


WELL = Answer(0, 200)


class Merchant:
    """How one endpoint answers: how fast, how reliably, and when not at all. Times are those of the steady clock."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self.latency_ms = dice.choice([0, 5, 50, 2_000])
        self.failing = dice.choice([0, 0, 0, 0.1, 0.5])
        self.swallows = dice.random() < 0.3
        self.down: list[tuple[float, float]] = []
        kind = dice.random()
        if kind < 0.1:
            self.down = [(0, float("inf"))]
        elif kind < 0.3:
            at = dice.randrange(DAY)
            self.down = [(at, at + dice.choice([MINUTE, HOUR, 12 * HOUR, 2 * DAY]))]

    def answer(self, steady_ms: float) -> Answer:
        if any(begin <= steady_ms < end for begin, end in self.down):
            if self.swallows:
                return Answer(SWALLOWED_MS, None, "timeout")
            return Answer(self.latency_ms, 503, "status", self._dice.choice([None, None, 30_000, 2 * HOUR]))
        if self._dice.random() < self.failing:
            return Answer(self.latency_ms, self._dice.choice([500, 400, 429, 502, 410]), "status")
        return Answer(self.latency_ms, 200)


class Made(NamedTuple):
    """One attempt, as its merchant saw it."""

    life: int
    """Of the process: how often it had crashed before."""
    endpoint: str
    due: Due
    answer: Answer
    began_ms: float
    """By the clock that never steps back, as is `ended_ms`; …"""
    started_at: int
    """… and by the wall clock."""
    ended_ms: float | None
    """None: it was cut by a crash."""
    ended_at: int | None

    @property
    def key(self) -> DeliveryKey:
        return self.due.key

    @property
    def number(self) -> int:
        return self.due.attempts + 1
