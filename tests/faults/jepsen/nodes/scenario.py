"""A run with several nodes, in a namespace of its own, and what comes back of it.

Argument: what `run` is to be given, as JSON.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.faults.jepsen.invariants import Broken
from tests.faults.jepsen.nemesis import Tempo
from tests.faults.jepsen.nodes.nemesis import DEEDS, KINDS
from tests.faults.jepsen.nodes.several import several
from tests.faults.jepsen.run import Report, Scene, run
from tests.faults.jepsen.world import Load
from tests.faults.namespace import inside

SEVERAL = Scene(KINDS, DEEDS, list, several)
OVER_S_MAX = 240.0
"""What a run takes beside the time of its faults: a calm, and the audit."""


async def run_of_nodes(
    directory: Path,
    seed: int,
    seconds: float,
    load: Load,
    tempo: Tempo,
    *,
    only: tuple[str, ...] = (),
    sabotage: str | None = None,
) -> Report:
    """Raises AssertionError where there is no network of our own, with why."""
    given = [str(directory), seed, seconds, load, tempo, only, sabotage]
    patience_s = 2 * seconds + OVER_S_MAX
    found = await inside(__name__, json.dumps(given), patience_s=patience_s)
    found["broken"] = [Broken(*each) for each in found["broken"]]
    found["faults"] = Counter(found["faults"])
    return Report(**found)


async def main(arguments: list[str]) -> dict[str, Any]:
    directory, seed, seconds, load, tempo, only, sabotage = json.loads(arguments[0])
    report = await run(
        Path(directory),
        seed,
        seconds,
        Load(*load),
        Tempo(*tempo),
        only=only,
        sabotage=sabotage,
        scene=SEVERAL,
    )
    return report._asdict()
