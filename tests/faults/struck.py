"""Does a deed again and again, in a child that is killed at another of its calls each time, and looks at what is left.

    python -m tests.faults.struck DEED DIRECTORY --seed N [--of-each-kind K] [--store postgres]

Prints a line of JSON. A quarter of those who go on with what a dead one left are killed once more while they do.
"""

import argparse
import asyncio
import ctypes
import json
import os
import random
import signal
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, get_args

from tests.faults.beside import watch
from tests.faults.calls import Call, Tracer, by_kind
from tests.faults.deeds import DEEDS
from tests.faults.deeds.deed import Ack, Begin, Deed
from tests.faults.grounds import Files, StoreName, ground
from webhookd.store.protocol.errors import StoreError
from webhookd.store.sqlite.driver import driver

_PR_SET_PTRACER, _ANYBODY = 0x59616D61, ctypes.c_ulong(-1)
"""Where only an ancestor may trace a process, unless that says otherwise (Yama): strace is none of the child's."""
KILLED_AGAIN = 0.25
_READY = ["ready"]
Do = Callable[[Begin, Ack], Awaitable[None]]
"""Given what to call when it begins, and what to tell of what it promises."""


class Left(NamedTuple):
    """What a child has left."""

    acked: list[list[Any]]
    status: int
    """As the system has it: 0 if all went well."""

    @property
    def was_killed(self) -> bool:
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL


class Swept(NamedTuple):
    calls: int
    """That there are."""
    kills: Counter[str]
    """By the kind of call."""
    missed: list[str]
    """Calls that were not come to."""
    broken: list[str]
    """Promises, each with the call at which the process was killed."""


class Sweep:
    """A deed, done again and again on the same ground."""

    def __init__(self, deed: Deed, ground: Files, log: Path, dice: random.Random) -> None:
        self._deed, self._dice, self._ground, self._log = deed, dice, ground, log
        self._data = ground.data
        prepared = child(lambda _begin, ack: deed.prepare(ground.before, ack))
        assert prepared.status == 0
        self._prepared = prepared.acked
        self._swept = Swept(0, Counter(), [], [])

    def run(self, of_each_kind: int | None = None) -> Swept:
        """Kill at each call, or at so many of each kind. Ends with the first that leaves a promise broken."""
        acked = self._anew()
        self._do("killed by nobody", acked, self._log)
        calls = self._ground.calls(self._log.read_text())
        for call in _chosen(calls, self._dice, of_each_kind):
            if self._swept.broken:
                break
            self._kill(call, self._dice.choice(calls) if self._dice.random() < KILLED_AGAIN else None)
        return self._swept._replace(calls=len(calls))

    def _kill(self, call: Call, again: Call | None) -> None:
        acked = self._anew()
        how = f"killed at {call}"
        if not self._strike(how, acked, call):
            self._swept.missed.append(str(call))
        if again is not None:
            how += f", then at {again}"
            self._strike(how, acked, again)
        self._do(f"{how}, then by nobody", acked)

    def _anew(self) -> list[list[Any]]:
        """All as it was before, and what had been acked by then."""
        self._ground.copy(self._ground.before, self._ground.data)
        return list(self._prepared)

    def _strike(self, how: str, acked: list[list[Any]], call: Call) -> bool:
        left = self._done(call, self._log)
        acked += left.acked
        self._swept.kills[call.kind] += left.was_killed
        self._judge(how, acked, over=not left.was_killed)
        return left.was_killed

    def _do(self, how: str, acked: list[list[Any]], log: Path | None = None) -> None:
        left = self._done(None, log)
        acked += left.acked
        if left.status:
            self._swept.broken.append(f"{how}: it ended with {left.status}")
        self._judge(how, acked, over=True)

    def _done(self, call: Call | None, log: Path | None) -> Left:
        """By a child that is watched if there is a log, and killed at that call."""

        def trace(process: int) -> Tracer | None:
            return Tracer(process, log, self._data, call) if log is not None else None

        return child(lambda begin, ack: self._deed.do(self._data, begin, ack), trace)

    def _judge(self, how: str, acked: list[list[Any]], *, over: bool) -> None:
        """By a copy, so that whoever comes next finds all as the dead one left it."""
        self._ground.copy(self._ground.data, self._ground.looked_at)
        try:
            broken = asyncio.run(self._deed.broken(self._ground.looked_at, acked, over=over))
        except (StoreError, driver.DatabaseError) as error:
            broken = [f"it cannot be read: {error}"]
        self._swept.broken.extend(f"{how}: {line}" for line in broken)


def child(do: Do, trace: Callable[[int], Tracer | None] = lambda _process: None) -> Left:
    """A fork of this process, which must have one thread alone. What it acked is what it had said before it died."""
    (goes_on, go_on), (hears, says) = os.pipe(), os.pipe()
    if (process := os.fork()) == 0:
        os.close(go_on)
        _be(do, goes_on, says)
    os.close(goes_on)
    os.close(says)
    tracer, acked = None, []
    with os.fdopen(hears) as said, os.fdopen(go_on, "wb", buffering=0) as begun:
        for line in said:
            if (what := json.loads(line)) == _READY:
                tracer = trace(process)
                begun.write(b"!")
            else:
                acked.append(what)
    if tracer is not None:
        tracer.ended()
    _, status = os.waitpid(process, 0)
    return Left(acked, status)


def _be(do: Do, goes_on: int, says: int) -> NoReturn:
    """The child. Its process ends with what it does, and nothing is closed that was left open."""

    def say(*what: Any) -> None:
        os.write(says, json.dumps(what).encode() + b"\n")

    def begin() -> None:
        say(*_READY)
        os.read(goes_on, 1)

    async def to_its_end() -> None:
        await do(begin, say)
        os._exit(0)

    try:
        watch()
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _ANYBODY)
        asyncio.run(to_its_end())
    except BaseException:  # noqa: BLE001 - nobody else hears of it
        traceback.print_exc()
    os._exit(1)


def _chosen(calls: Sequence[Call], dice: random.Random, of_each_kind: int | None) -> list[Call]:
    if of_each_kind is None:
        return list(calls)
    return [each for kind in by_kind(calls).values() for each in dice.sample(kind, min(of_each_kind, len(kind)))]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.struck", description=__doc__)
    parser.add_argument("deed", choices=DEEDS)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--of-each-kind", type=int)
    parser.add_argument("--store", choices=get_args(StoreName), default="sqlite")
    own = parser.parse_args()
    dice = random.Random(f"{own.seed}:{own.deed}")
    with ground(own.store, own.directory) as there:
        swept = Sweep(DEEDS[own.deed](dice), there, own.directory / "log", dice).run(own.of_each_kind)
    print(json.dumps(swept._asdict()), flush=True)
    os._exit(bool(swept.broken))  # a store that could not be opened has left a thread


if __name__ == "__main__":
    main()
