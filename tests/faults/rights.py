"""What a machine grants or does not. Tools can be installed, and CI must have them; who lacks a right is skipped."""

import os
import subprocess
from functools import cache
from tempfile import TemporaryDirectory


@cache
def may_mount() -> bool:
    """Whether a disk in memory can be mounted here: root in a container often may not."""
    if os.geteuid() != 0:
        return False
    with TemporaryDirectory() as root:
        if _fails("mount", "-t", "tmpfs", "tmpfs", root):
            return False
        return not _fails("umount", root)


@cache
def has_loop_devices() -> bool:
    """Whether a file can be mounted as a disk."""
    return may_mount() and not _fails("losetup", "--find")


@cache
def has_fuse() -> bool:
    return os.access("/dev/fuse", os.R_OK | os.W_OK)


def _fails(*command: str) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode != 0
    except FileNotFoundError:
        return True
