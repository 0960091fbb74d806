"""What goes wrong during a run: deploys, crashes, a merchant that is down, one that is slow. All of it from a seed."""

import random
from collections.abc import Sequence
from typing import Literal, NamedTuple

Kind = Literal["deploy", "crash"]
SIGNALS: dict[Kind, str] = {"deploy": "SIGTERM", "crash": "SIGKILL"}
_DOWN, _SLOW = 0.3, 0.2
"""Shares of the run."""


class Fault(NamedTuple):
    at_s: float
    kind: Kind


class Stretch(NamedTuple):
    """Of one merchant; seconds since the beginning of the load."""

    merchant: str
    from_s: float
    until_s: float

    def covers(self, at_s: float) -> bool:
        return self.from_s <= at_s < self.until_s


class Trouble(NamedTuple):
    faults: Sequence[Fault]
    down: Stretch
    """It answers 503, as a load balancer does that has nobody behind it."""
    slow: Stretch


def draw(dice: random.Random, seconds: float, merchants: Sequence[str], deploys: int, crashes: int) -> Trouble:
    """One fault in each of as many equal parts of the run, not near its ends, so that none comes on top of another."""
    one_of_each: Sequence[Kind] = ("deploy", "crash")
    kinds = dice.sample(one_of_each, counts=(deploys, crashes), k=deploys + crashes)
    part_s = seconds / max(len(kinds), 1)
    faults = [Fault(part_s * (number + dice.uniform(0.2, 0.8)), kind) for number, kind in enumerate(kinds)]
    down, slow = dice.sample(list(merchants), 2)
    return Trouble(faults, _stretch(dice, seconds, down, _DOWN), _stretch(dice, seconds, slow, _SLOW))


def _stretch(dice: random.Random, seconds: float, merchant: str, share: float) -> Stretch:
    """Over before the load is, so that there is something to come back to."""
    from_s = seconds * dice.uniform(0.1, 0.9 - share)
    return Stretch(merchant, from_s, from_s + seconds * share)
