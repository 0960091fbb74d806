"""A process and its descendants, as Linux tells of them in /proc."""

import os
import signal
from contextlib import suppress
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """It first; nothing if it is gone."""
    return [pid, *(each for child in _children(pid) for each in family(child))] if not gone(pid) else []


def freeze(pid: int) -> list[int]:
    """Stop (SIGSTOP) it and all its descendants: who stands still has no new children, so none is missed."""
    if gone(pid):
        return []
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
    return [pid, *(each for child in _children(pid) for each in freeze(child))]


def gone(pid: int) -> bool:
    """Whether it runs no more, even if nobody has asked yet how it ended."""
    fields = _stat(pid)
    return not fields or fields[0] in "ZX"


def cpu_s(pid: int) -> float:
    """Processor seconds of it, and of those of its children that ended and were waited for."""
    return sum(map(int, _stat(pid)[11:15])) / _TICKS_PER_S


def pss_mb(pid: int) -> float:
    """Resident memory in units of 10**6 bytes; a page that n processes share counts as an nth of it."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def _children(pid: int) -> list[int]:
    """Of all its threads."""
    found = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in file.read_text().split()]
    return found


def _stat(pid: int) -> list[str]:
    """What follows the name in /proc/pid/stat (proc(5)), so that [0] is the state; nothing if it is not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
