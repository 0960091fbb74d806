"""What a process does to the files of a directory, call by call, and its end by SIGKILL as it enters one of those.

strace does both. It counts the calls of a kind on a file, for each thread by itself; and a call that is struck is not
made: the kernel begins none for whom SIGKILL is pending (`ptrace_report_syscall` in include/linux/ptrace.h).
So what is struck at its n-th call is left as it was after all that came before. To create a file is no call here: a
file that was just created is found when the next call is struck.
"""

import os
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "copy_file_range", "fallocate", "ftruncate", "truncate")
SYNCS = ("fsync", "fdatasync", "sync_file_range", "msync")
NAMES = ("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir")
_EVERY = ",".join(f"?{kind}" for kind in (*WRITES, *SYNCS, *NAMES))  # `?`: not every machine has all of them
_CALL = re.compile(
    r'(?P<thread>\d+) +(?P<kind>\w+)\((?:AT_FDCWD(?:<[^>]*>)?, )?(?:\d+<(?P<open>[^>]*)>[,) ]|"(?P<named>[^"]*)")'
)
"""As strace writes a call that is entered. A file that has no name any more is not meant."""
needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None and not os.environ.get("CI"),
    reason="nothing is killed at its calls without strace: apt-get install --no-install-recommends strace",
)


SENDS = "sendto"
"""What a process says to a server."""


class Call(NamedTuple):
    """The `number`-th of its kind on this file, from 1."""

    kind: str
    file: str
    """Relative to the directory; "." is the directory itself, and what is empty any file or socket."""
    number: int

    def __str__(self) -> str:
        return f"{self.kind} {self.number}{self.file and f' of {self.file}'}"


class Tracer:
    """strace, attached to a process and all its threads from the end of the constructor on.

    With a call of that directory it kills at it; otherwise it notes each call. It ends with the process.
    """

    def __init__(self, process: int, log: Path, directory: Path, call: Call | None = None) -> None:
        """Raises RuntimeError when it may not, with what strace said."""
        what = ["-e", f"trace={_EVERY},{SENDS}"]
        if call is not None:
            what = ["-P", str((directory / call.file).resolve())] if call.file else []
            what += ["-e", f"trace={call.kind}", "-e", f"inject={call.kind}:signal=KILL:when={call.number}"]
        self._strace = subprocess.Popen(
            ["strace", "-f", "-y", "-o", log, *what, "-p", str(process)], stderr=subprocess.PIPE, text=True
        )
        assert self._strace.stderr is not None
        said = self._strace.stderr.readline()
        if "attached" not in said:
            self.ended()
            raise RuntimeError(said)

    def ended(self) -> None:
        """Return once it has; it goes on for as long as the process does."""
        self._strace.communicate()


def noted(log: str, directory: Path) -> list[Call]:
    """Every call on a file of that directory, in order."""
    threads: dict[tuple[str, str], set[str]] = defaultdict(set)
    counts: Counter[tuple[str, str]] = Counter()
    calls = []
    for found in filter(None, map(_CALL.match, log.splitlines())):
        path = Path(found["open"] or found["named"] or "/")
        if not path.is_relative_to(directory.resolve()):
            continue
        each = (found["kind"], str(path.relative_to(directory.resolve())))
        counts[each] += 1
        threads[each].add(found["thread"])
        calls.append(Call(*each, counts[each]))
    shared = {each: found for each, found in threads.items() if len(found) > 1}
    assert not shared, f"strace counts them for each thread by itself, so that not all could be struck: {shared}"
    return calls


def sends(log: str) -> list[Call]:
    """Everything that was sent, in order."""
    found = [each for each in map(_CALL.match, log.splitlines()) if each is not None and each["kind"] == SENDS]
    assert len({each["thread"] for each in found}) <= 1, "strace counts them for each thread by itself"
    return [Call(SENDS, "", number) for number, _ in enumerate(found, 1)]


def by_kind(calls: Iterable[Call]) -> dict[str, list[Call]]:
    kinds: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        kinds[call.kind].append(call)
    return kinds
