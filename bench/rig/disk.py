"""The disk that measurements are made on: whether there is room on it, and what of it is in memory."""

import os
import shutil
import tempfile
from pathlib import Path


def need_room(bytes_needed: int, place: Path | None = None) -> None:
    """Raises SystemExit when the disk of that place has less; None is that of temporary files."""
    path = place or Path(tempfile.gettempdir())
    free = shutil.disk_usage(path).free
    if free < bytes_needed:
        elsewhere = "" if place else ": set TMPDIR"
        raise SystemExit(f"{path} has {free / 1e9:.1f} GB free, and this takes {bytes_needed / 1e9:.1f}{elsewhere}")


def need_a_disk() -> None:
    """Raises SystemExit when temporary files are in memory, where a sync costs nothing."""
    place = os.path.realpath(tempfile.gettempdir())
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    _, kind = max((at, kind) for _, at, kind, *_ in mounts if Path(place).is_relative_to(at))
    if kind in {"tmpfs", "ramfs"}:
        raise SystemExit(f"{place} is in memory, where a sync costs nothing: set TMPDIR to a directory on a disk")


def forget(file: Path) -> None:
    """Ask the kernel to keep nothing of it in memory, while nobody has it open."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)
