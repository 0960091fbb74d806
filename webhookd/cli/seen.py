"""Which events were seen: as many as there may be, in little memory, to be gone through in order at the end."""

import heapq
import tempfile
from array import array
from collections.abc import Iterator
from typing import IO, Self

RUN_KEYS_MAX = 2**20
"""8 MiB in memory; what is more lies in files without a name, each sorted."""
_READ_KEYS = 2**13


class Seen:
    def __init__(self, run_keys_max: int = RUN_KEYS_MAX) -> None:
        self._run_keys_max = run_keys_max
        self._keys = array("Q")
        self._runs: list[IO[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for run in self._runs:
            run.close()

    def add(self, key: int) -> None:
        self._keys.append(key)
        if len(self._keys) >= self._run_keys_max:
            run = tempfile.TemporaryFile(prefix="webhookd-")  # noqa: SIM115 - it is closed with this
            array("Q", sorted(self._keys, reverse=True)).tofile(run)
            self._runs.append(run)
            self._keys = array("Q")

    def descending(self) -> Iterator[int]:
        """All of them, the greatest first; one that was added twice comes twice."""
        return heapq.merge(sorted(self._keys, reverse=True), *map(_read, self._runs), reverse=True)


def _read(run: IO[bytes]) -> Iterator[int]:
    run.seek(0)
    while part := run.read(8 * _READ_KEYS):
        yield from array("Q", part)
