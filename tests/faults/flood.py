"""Thousands of bad connections to one listener of a daemon, and what must hold of it while and after they come."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from tests.faults.http_grammar import MARK, Draft, connection, pieces
from tests.faults.stranger import Heard, heard
from tests.running import PATIENCE_S, RunningDaemon, daemon

AT_A_TIME = 200
"""Connections. Each lasts as long as the daemon waits for more."""
ADDRESSES = 100
"""Whose bad signatures are counted apart."""
LINE_CHARS_MAX = 1_000
"""Of the log. The longest of our own is that of the start, with its two addresses and its versions: under 500."""
LINES_MAX = 100
"""Of the log, however many thousands of requests: a source and a reason have one line a minute, and there are two
sources, and a dozen reasons."""
GROWTH_KIB_MAX = 24 * 2**10
"""Beyond a warm-up of the same: what two sources' refused hooks may be remembered by (6 of 64 KiB), what addresses are
(2 × 4,096 of 200 bytes), and what the allocator keeps of AT_A_TIME bodies that were there at one time."""


class Footprint(NamedTuple):
    memory_kib: int
    files: int
    sockets: int

    @classmethod
    def of(cls, pid: int) -> "Footprint":
        with open(f"/proc/{pid}/status") as status:
            memory = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
        kinds = Counter("socket" if where.startswith("socket:") else "file" for where in _opened(pid))
        return cls(memory, kinds["file"], kinds["socket"])


def _opened(pid: int) -> Iterator[str]:
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            yield str(each.readlink())


@asynccontextmanager
async def hurried(directory: Path, config: str) -> AsyncIterator[RunningDaemon]:
    command = [sys.executable, "-m", "tests.faults.hurried_daemon", "serve"]
    async with daemon(directory, config, command=command) as running:
        yield running


async def flood(
    port: int, good: Callable[[Random], Draft], judge: Callable[[Heard], None], seed: int, numbers: Iterable[int]
) -> None:
    """A connection for each number. What a good request is, and what may rightly come back, the caller says."""
    room = asyncio.Semaphore(AT_A_TIME)

    async def one(number: int) -> None:
        async with room:
            dice = Random(f"{seed}:{number}")
            raw = connection(good, dice)
            address = f"127.2.0.{1 + dice.randrange(ADDRESSES)}"
            try:
                judge(await heard(port, pieces(raw, dice), address))
            except (AssertionError, TimeoutError) as error:
                sent = raw if len(raw) < 3_000 else raw[:2_000] + b" ... " + raw[-1_000:]
                raise AssertionError(f"connection {number} of seed {seed}: {error!r}\nsent {sent!r}") from error

    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(one(number))


async def settled(pid: int, before: Footprint) -> Footprint:
    """Once no connection is left."""
    async with asyncio.timeout(PATIENCE_S):
        while (now := Footprint.of(pid)).sockets > before.sockets:
            await asyncio.sleep(0)
    return now


def assert_no_growth(before: Footprint, after: Footprint) -> None:
    assert after.files <= before.files
    assert after.memory_kib - before.memory_kib < GROWTH_KIB_MAX, (before, after)


def assert_quiet(log: Collection[Mapping[str, Any]]) -> None:
    """Few lines, short ones, none of them an error, and no byte of a stranger's in any."""
    assert len(log) <= LINES_MAX, log
    for line in log:
        text = json.dumps(line, ensure_ascii=False)
        assert line.get("event") is not None, f"not a line of ours: {text}"
        assert line["level"] in ("info", "warning"), text
        assert len(text) <= LINE_CHARS_MAX, text
        assert MARK.decode() not in text.lower(), text
