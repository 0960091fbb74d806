"""What is done to the daemon, and when: a plan drawn from dice before anything runs. Each fault heals again.

Two lanes go on at once: one does things to the process, its clock and its disk, the other to the lines around it. So a
daemon is killed while a line is slow, and a disk is full while a merchant does not answer.
"""

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.faults.proxy import Weather

ENDINGS = ("kill", "kill in a slow sync", "stop", "sync fails", "write fails")
"""The process ends by these, and is started again."""
IN_PROCESS = (*ENDINGS, "pause", "reload", "clock jumps", "slow syncs", "disk full")
WEATHERS: Mapping[str, Weather] = {
    "refuses": Weather(refuses=True),
    "resets": Weather(reset_after=500),
    "loses answers": Weather(loses_answers=True),
    "late": Weather(delay_s=0.15),
    "slow": Weather(bytes_per_s=2_000),
    "half open": Weather(half_open=True),
    "swallows": Weather(swallows=True),
}
ON_HOOKS = tuple(f"hooks: {weather}" for weather in WEATHERS)
DAWDLES = "merchant: dawdles"
"""He takes his time for each request, so that as many come at once as may."""
ON_MERCHANT = (*(f"merchant: {weather}" for weather in WEATHERS), DAWDLES)
ON_LINES = ON_HOOKS + ON_MERCHANT
NEEDS = {
    **{kind: {"root", "strace"} for kind in ("kill in a slow sync", "sync fails", "write fails", "slow syncs")},
    "disk full": {"root", "mkfs.ext4", "loop devices"},
}
"""What it takes to do them."""


class Planned(NamedTuple):
    kind: str
    after_s: float
    """How long nothing is done before it."""
    lasts_s: float
    pick: float
    """0 to 1: which one is meant."""
    jump_s: float
    """How far the clock jumps, where it does."""

    def choose(self, among: Sequence[str]) -> str:
        return among[int(self.pick * len(among))]


class Tempo(NamedTuple):
    """How fast faults follow each other, in seconds from and to."""

    gap_s: tuple[float, float]
    lasts_s: tuple[float, float]
    clock_s_max: float
    """How far the clock jumps."""
    endings_every: int = 1
    """In so many rounds the process is ended once by each of ENDINGS: what grows shows in those that live long."""


HASTY = Tempo(gap_s=(0.2, 0.5), lasts_s=(0.4, 0.8), clock_s_max=3)
STEADY = Tempo(gap_s=(0.5, 4), lasts_s=(0.5, 4), clock_s_max=30)
PATIENT = Tempo(gap_s=(4, 15), lasts_s=(1, 6), clock_s_max=60, endings_every=4)


class Plan(NamedTuple):
    in_process: Sequence[Planned]
    on_lines: Sequence[Planned]


class Kinds(NamedTuple):
    """Of faults that there are in a world, by their lane."""

    in_process: Sequence[str]
    on_lines: Sequence[str]


OF_ONE = Kinds(IN_PROCESS, ON_LINES)


def plan(
    seed: int,
    seconds: float,
    tempo: Tempo,
    *,
    kinds: Kinds = OF_ONE,
    left_out: Sequence[str] = (),
    only: Sequence[str] = (),
) -> Plan:
    """Rounds of every kind (or `only` these), in an order of their own, for at least so long; one round at least."""

    def lane(name: str, of_it: Sequence[str]) -> list[Planned]:
        wanted = [kind for kind in of_it if kind not in left_out and (not only or kind in only)]
        return _lane(random.Random(f"{seed}:{name}"), seconds, tempo, wanted)

    return Plan(lane("process", kinds.in_process), lane("lines", kinds.on_lines))


def _lane(dice: random.Random, seconds: float, tempo: Tempo, kinds: Sequence[str]) -> list[Planned]:
    planned: list[Planned] = []
    turn = 0
    while kinds and (not planned or sum(each.after_s + each.lasts_s for each in planned) < seconds):
        calm = turn % tempo.endings_every != 0
        of_turn = [kind for kind in kinds if not (calm and kind in ENDINGS)]
        for kind in dice.sample(of_turn, len(of_turn)):
            gap_s, lasts_s = dice.uniform(*tempo.gap_s), dice.uniform(*tempo.lasts_s)
            jump_s = round(dice.uniform(-tempo.clock_s_max, tempo.clock_s_max), 3)
            planned.append(Planned(kind, gap_s, lasts_s, dice.random(), jump_s))
        turn += 1
    return planned
