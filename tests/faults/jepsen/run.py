"""One run: load and faults for so long, then quiet, in which all that is owed must arrive; then the audit."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import NamedTuple

from tests.faults.jepsen.alone import alone, left_out
from tests.faults.jepsen.counters import disagreements
from tests.faults.jepsen.invariants import Broken
from tests.faults.jepsen.nemesis import OF_ONE, Kinds, Plan, Planned, Tempo, plan
from tests.faults.jepsen.node import comes_true
from tests.faults.jepsen.sampling import sample
from tests.faults.jepsen.settings import NAMES
from tests.faults.jepsen.strikes import DEEDS, Deed, strike
from tests.faults.jepsen.world import Load, World

LIVENESS_S = 60.0
"""After the last fault, all that was sent is acknowledged and delivered within this and the longest jump of the clock:
what was to be tried again at a time of a clock that has been set back since waits for that much longer."""
CALM_S = 1.0
"""How long new hooks come after the last fault."""
ENOUGH = 0.4
"""The share of the hooks asked for that must have been acknowledged, or the run says nothing."""
HEALTHY_S = 0.3
"""The least that the daemon goes on between two faults of the process."""
Beside = Callable[[World], Coroutine[None, None, None]]
"""Something that goes on for all of the run."""
Told = Callable[[float, str], None]
"""How many seconds of the run are over, and what is done just now."""


class Scene(NamedTuple):
    """A world, and what may befall it."""

    kinds: Kinds
    deeds: Mapping[str, Deed]
    left_out: Callable[[], Sequence[str]]
    """Kinds of faults that cannot be done here."""
    world: Callable[[Path, int, Load, Collection[str], str | None], AbstractAsyncContextManager[World]]
    """Made in a directory, of a seed, for `kinds` of faults, and with a mistake put in if one is named."""


ALONE = Scene(OF_ONE, DEEDS, left_out, alone)
"""One daemon, on SQLite."""


class Report(NamedTuple):
    seed: int
    seconds: float
    faults: Counter[str]
    not_tried: Sequence[str]
    """Kinds of faults for which something is missing here."""
    lives: int
    """Of the daemon, or of all of them."""
    sent: int
    acked: int
    duplicate_acks: int
    refused: int
    """Answers 503."""
    unanswered: int
    requests: int
    """That merchants got."""
    repeated_requests: int
    """The same event, to the same merchant, under the same id."""
    lost: int
    """Events that were acked and did not reach every merchant."""
    doubled: int
    """Events that a merchant got under more than one id."""
    broken: Sequence[Broken]
    wanted: float
    """How many hooks were to be acknowledged."""
    takeovers: int = 0
    """Of endpoints, where there are several nodes."""

    @property
    def kills(self) -> int:
        return sum(times for kind, times in self.faults.items() if kind.startswith("kill"))

    @property
    def enough(self) -> bool:
        """Whether so much succeeded, under faults of every kind, that the verdict means something."""
        events = self.acked - self.duplicate_acks
        return self.acked >= ENOUGH * self.wanted and self.requests >= events * len(NAMES) and not self.missed

    @property
    def missed(self) -> Sequence[str]:
        """Kinds of faults that were planned and did nothing."""
        return sorted(kind for kind, times in self.faults.items() if not times)


async def run(
    directory: Path,
    seed: int,
    seconds: float,
    load: Load,
    tempo: Tempo,
    *,
    only: Sequence[str] = (),
    sabotage: str | None = None,
    beside: Sequence[Beside] = (sample,),
    told: Told = lambda _seconds, _what: None,
    scene: Scene = ALONE,
) -> Report:
    """At least one fault of each kind (or `only` of these) is done, however short the run is to be.

    The history stays in `directory`.
    """
    not_tried = scene.left_out()
    planned = plan(seed, seconds, tempo, kinds=scene.kinds, left_out=not_tried, only=only)
    async with scene.world(directory, seed, load, {each.kind for each in planned.in_process}, sabotage) as here:
        await here.begin()
        sending = asyncio.create_task(here.provider.run())
        others = [asyncio.create_task(each(here)) for each in beside]
        try:
            await _trouble(here, planned, seconds, told, scene.deeds)
            stormy_s = here.history.now()
            await _calm(here, sending, LIVENESS_S + tempo.clock_s_max)
            for task in (sending, *others):
                if task.done():
                    task.result()  # raises what went wrong with ourselves
        finally:
            for task in (sending, *others):
                task.cancel()
            await asyncio.gather(sending, *others, return_exceptions=True)
        await here.end()
        return await _report(here, seed, stormy_s, planned, not_tried)


async def _trouble(here: World, planned: Plan, seconds: float, told: Told, deeds: Mapping[str, Deed]) -> None:
    """Each kind once, and then the rest of the plan while there is time: to start a process again takes some, too."""

    async def lane(faults: Sequence[Planned], *, on_process: bool) -> None:
        kinds = {fault.kind for fault in faults}
        for done, fault in enumerate(faults):
            if done >= len(kinds) and here.history.now() >= seconds:
                return
            await asyncio.sleep(max(fault.after_s, HEALTHY_S))
            if on_process:
                await here.goes_on()
            told(here.history.now(), fault.kind)
            await strike(here, fault, deeds)

    async with asyncio.TaskGroup() as lanes:
        lanes.create_task(lane(planned.in_process, on_process=True))
        lanes.create_task(lane(planned.on_lines, on_process=False))


async def _calm(here: World, sending: "asyncio.Task[None]", patience_s: float) -> None:
    """A last life without faults: what was sent is acknowledged, what is owed arrives, and its counters are right."""
    await here.goes_on()
    await here.end()
    await here.begin()
    await here.forgive()
    await asyncio.sleep(CALM_S)
    here.provider.finish()
    if not await comes_true(sending.done, patience_s):
        here.found("I12", f"not all that was sent was acknowledged in {patience_s:g} s after the last fault")
    if not await here.nothing_pending(patience_s):
        here.found("I12", f"deliveries were due {patience_s:g} s after the last fault: {await here.owed()}")
    for line in await disagreements(here):
        here.found("I15", line)


async def _report(here: World, seed: int, stormy_s: float, planned: Plan, not_tried: Sequence[str]) -> Report:
    history, broken = here.history, await here.audit()
    struck = dict.fromkeys((each.kind for each in (*planned.in_process, *planned.on_lines)), 0)
    struck |= dict(history.rows("SELECT kind, count(*) FROM fault GROUP BY kind"))
    said = here.provider.said
    [(requests, repeated)] = history.rows(
        "SELECT count(*), count(*) - (SELECT count(*) FROM (SELECT DISTINCT merchant, key FROM request)) FROM request"
    )
    return Report(
        seed=seed,
        seconds=round(stormy_s, 1),
        faults=Counter(struck),
        not_tried=not_tried,
        lives=here.lives,
        sent=here.provider.sent,
        acked=here.provider.acked,
        duplicate_acks=said["duplicate"],
        refused=said["503"],
        unanswered=said["0"],
        requests=requests,
        repeated_requests=repeated,
        lost=len({each.subject for each in broken if each.rule == "lost"}),
        doubled=len({each.subject for each in broken if each.rule == "doubled"}),
        broken=broken,
        wanted=math.floor(here.load.rate * stormy_s),
        takeovers=here.takeovers,
    )
