"""Logs that are made once and measured often: each in a directory of its own, by its name."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.progress import Progress

from bench.rig.daemon import configure, daemon, database_of, workplace
from bench.rig.disk import need_room
from bench.rig.longlog import Ids, Recipe, make

SOURCES = ("shop", "dead", "quiet")
"""Of what a healthy merchant is owed, of what one who is down is owed, and of what nobody is."""
COPIED_EVENTS_MAX = 100_000
"""A log of no more is measured in copies; a longer one is measured itself, and grows by that."""
BYTES_EACH = 3_000
_RETENTION = '[retention]\nevents = "366d"\nbodies = "366d"\ndedupe = "366d"\n'
"""Nothing is taken out of a log that is kept, for a year."""


class Log(msgspec.Struct, frozen=True):
    """What is in it: events that were delivered, or such as wait for a merchant who is down."""

    events: int
    is_waiting: bool = False

    @property
    def name(self) -> str:
        return f"{self.events:,} {'waiting' if self.is_waiting else 'events'}" if self.events else "empty"


EMPTY = Log(0)


class Shelf:
    """`endpoints` is what a configuration says of the merchants, `shop` and `dead`."""

    def __init__(self, directory: Path, ids: Ids, endpoints: str) -> None:
        self._directory = directory
        self._ids: Ids = ids
        self._endpoints = endpoints + _RETENTION

    async def make(self, logs: Sequence[Log], progress: Progress) -> None:
        """Those that are not here yet. Raises SystemExit when there is no room for them."""
        missing = [log for log in logs if not self._place(log).exists()]
        need_room(BYTES_EACH * sum(log.events for log in missing), self._directory)
        for log in missing:
            place = self._place(log)
            unfinished = place.with_name(f"{place.name}-unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            config = configure(unfinished, self._endpoints, sources=SOURCES)
            async with daemon(config):
                pass  # then the endpoints are there
            source, now_ms = "dead" if log.is_waiting else "shop", time.time_ns() // 1_000_000
            recipe = Recipe(source, log.events, self._ids, now_ms, delivered=not log.is_waiting)
            await make(database_of(config), recipe, progress)
            unfinished.rename(place)

    @contextmanager
    def taken_down(self, log: Log) -> Iterator[Path]:
        """The configuration of a daemon that has this log; of a short one, a copy that is gone at the end."""
        if log.events > COPIED_EVENTS_MAX:
            yield configure(self._place(log), self._endpoints, sources=SOURCES)
            return
        with workplace(self._endpoints, sources=SOURCES) as config:
            shutil.copytree(self._place(log) / "data", config.parent / "data")
            os.sync()  # or the disk is still busy with this while the daemon is measured
            yield config

    def _place(self, log: Log) -> Path:
        return self._directory / f"{self._ids}-{log.events}{'-waiting' if log.is_waiting else ''}"
