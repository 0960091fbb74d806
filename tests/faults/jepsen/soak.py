"""An hour of it at half of what can be done here, history taken out as it is finished: what grows is found."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import aiohttp

from bench.rig.picture import Moment, lines
from tests.faults.jepsen.alone import alone, left_out
from tests.faults.jepsen.history import History
from tests.faults.jepsen.nemesis import IN_PROCESS
from tests.faults.jepsen.world import Load, World

MONEY_ONE_IN = 200
"""What was said of money stays for good: about 700 bytes of each."""
RETENTION = 'events = "30s"\nbodies = "30s"\ndedupe = "2m"'
SWEEP_S = 20.0
MEASURED_S = 10.0
SETTLED_S = 30.0
"""How old a process must be for what it takes to count."""
ROOM = 1.25
"""A figure is flat if in the run's last quarter it is not above so many times what it was in the second …"""
ROOM_BYTES, ROOM_COUNT = 16 * 2**20, 16
"""… and so much, which the ups and downs of a busy process take."""
_FIGURES = ("rss", "files", "threads", "file", "wal")


class Figure(NamedTuple):
    """Of the daemon, in the second and in the last quarter of the run: medians, and the most there ever was."""

    name: str
    second: float
    last: float
    most: float

    @property
    def is_flat(self) -> bool:
        room = ROOM_COUNT if self.name in ("files", "threads") else ROOM_BYTES
        return self.last <= ROOM * self.second + room


async def half_of_capacity(directory: Path, seed: int) -> float:
    """Hooks a second: half of what provider, daemon and merchants get through here when nothing is done to them."""
    kinds = {*IN_PROCESS} - {*left_out()}  # what these need costs something
    async with alone(directory, seed, Load(rate=5_000, money_one_in=MONEY_ONE_IN), kinds) as here:
        await here.begin()
        sending = asyncio.create_task(here.provider.run())
        try:
            await asyncio.sleep(MEASURED_S / 2)  # warm by then
            before = min(here.merchants.taken.values(), default=0)
            await asyncio.sleep(MEASURED_S)
            taken = min(here.merchants.taken.values(), default=0) - before
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        await here.end()
    return round(taken / MEASURED_S / 2)


async def sweep(here: World) -> None:
    """An operator who has all that is finished taken out, again and again; until it is cancelled."""
    while True:
        await asyncio.sleep(SWEEP_S)
        [node] = here.nodes
        if node.is_up:
            # Killed or paused meanwhile: it is asked the next time.
            with suppress(aiohttp.ClientError, TimeoutError, OSError):
                await node.asked("POST", "/api/v1/cleanup", json={"days": 0}, timeout=aiohttp.ClientTimeout(total=10))


def figures(history: History) -> list[Figure]:
    rows = history.rows(f"SELECT at, {', '.join(_FIGURES)} FROM sample WHERE age > ?", SETTLED_S)
    end = max((row[0] for row in rows), default=0.0)
    found = []
    for column, name in enumerate(_FIGURES, start=1):
        second = [row[column] for row in rows if end / 4 <= row[0] < end / 2]
        last = [row[column] for row in rows if row[0] >= end * 3 / 4]
        if second and last:
            found.append(Figure(name, median(second), median(last), max(row[column] for row in rows)))
    return found


def growing(history: History, seconds: float) -> list[str]:
    """What is not flat, or cannot be judged."""
    found = figures(history)
    grown = [f"{each.name}: {each.second:,.0f}, then {each.last:,.0f}" for each in found if not each.is_flat]
    if len(found) < len(_FIGURES):
        grown.append(f"{seconds:,.0f} s are too few to judge what grows: no process lived for {SETTLED_S:g} s")
    return grown


def write(history: History, report: dict[str, Any], to: Path) -> Sequence[Path]:
    """`soak.json` and its pictures."""
    to.mkdir(parents=True, exist_ok=True)
    flat = {each.name: {**each._asdict(), "is_flat": each.is_flat} for each in figures(history)}
    files = [to / "soak.json", to / "soak-bytes.png", to / "soak-counts.png"]
    files[0].write_text(json.dumps({**report, "figures": flat}, indent=2) + "\n")
    rows = history.rows(f"SELECT at / 60, {', '.join(_FIGURES)} FROM sample ORDER BY at")
    ends = history.rows("SELECT ended / 60 FROM life WHERE wanted IS NOT NULL ORDER BY ended")
    moments = [Moment(at, "killed, stopped or broken, and started again") for (at,) in ends]
    mib = {"memory": 1, "database": 4, "WAL": 5}
    series = {name: [(row[0], row[column] / 2**20) for row in rows] for name, column in mib.items()}
    files[1].write_bytes(lines(series, "What the daemon takes", y="MiB", x="minutes", moments=moments))
    series = {
        name: [(row[0], row[column]) for row in rows] for name, column in {"descriptors": 2, "threads": 3}.items()
    }
    files[2].write_bytes(lines(series, "What the daemon holds", y="", x="minutes", moments=moments))
    return files
