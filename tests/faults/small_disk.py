"""A disk of a few megabytes, in memory, for the data directory: it can be filled up and emptied."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.rights import may_mount

MIB = 2**20
needs_mounting = pytest.mark.skipif(
    not may_mount(), reason="no disk is full without a disk of our own: it takes the right to mount it"
)


class SmallDisk:
    def __init__(self, root: Path) -> None:
        self.root = root
        self._ballast = root / "ballast"

    @property
    def free(self) -> int:
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    def leave(self, free: int) -> None:
        """Fill it up, but for so many bytes. At 0 there is no room for a single page."""
        with self._ballast.open("ab") as file:
            while (more := self.free - free) > 0:
                try:
                    os.posix_fallocate(file.fileno(), file.tell(), more)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                file.seek(0, os.SEEK_END)

    def make_room(self) -> None:
        self._ballast.unlink()


@contextmanager
def small_disk(root: Path, size: int) -> Iterator[SmallDisk]:
    """Mounted there until the end."""
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", root], check=True)
    try:
        yield SmallDisk(root)
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)
