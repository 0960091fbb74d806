"""The data directory: local, private, and held by one process at a time."""

import fcntl
import os
import re
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from webhookd.private_file import sync_names
from webhookd.store.protocol.errors import StoreError

_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p"}
LOCK_NAME = "webhookd.lock"
_OCTAL = re.compile(r"\\([0-7]{3})")
"""How the mount table writes a space, a tab, a line feed and a backslash."""


class DataDirError(StoreError):
    """The directory cannot hold a log that must not be lost. The message says what to do."""


class DataDirInUseError(DataDirError):
    """Another webhookd holds it."""


class DataDir:
    """Holds the lock from `with` to the end of it; the kernel lets go of it if the process dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Raises DataDirError when the directory is not writable, not local, or in use by another webhookd."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise DataDirError(f"data_dir {self.path} cannot be made: {error.strerror}") from None
        file_system = file_system_of(self.path)
        if file_system in _REMOTE:
            raise DataDirError(
                f"data_dir {self.path} is on {file_system}: SQLite's WAL needs a local disk; set server.data_dir to one"
            )
        # A file of its own: closing any descriptor of the database itself would drop SQLite's locks.
        try:
            if not (self.path / LOCK_NAME).exists():
                _make_safe(self.path)
            self._lock = os.open(self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirError(f"data_dir {self.path} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._lock = None
            raise DataDirInUseError(
                f"data_dir {self.path} is in use by another webhookd: stop it, or give this one another --data-dir"
            ) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def free_bytes(self) -> int:
        """What an unprivileged process may still write here."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize


def is_read_only(path: Path) -> bool:
    """Whether nobody may write there, whatever the permissions: so a kernel leaves a file system that has failed.

    Of ext4 the mount table alone says so (`emergency_ro`, since Linux 6.15), and statvfs(2) does not.
    """
    return not {"ro", "emergency_ro"}.isdisjoint(_mount_of(path)[1])


def _make_safe(path: Path) -> None:
    """A new directory stays when the power fails once the one that it is in was synced, and that one, and so on.

    Before anything is in it: who finds a file here need not ask who made the way to it. Raises OSError.
    """
    device = path.stat().st_dev
    for parent in path.resolve().parents:
        if parent.stat().st_dev != device:
            return
        with suppress(PermissionError):  # what is in there was made by somebody else
            sync_names(parent)


def file_system_of(path: Path) -> str:
    """The type of the file system the path is on; "" where there is no mount table to read."""
    return _mount_of(path)[0]


def _mount_of(path: Path) -> tuple[str, list[str]]:
    """The type of the file system, and the options of the mount and of itself, as proc(5) has them in mountinfo."""
    try:
        table = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", []
    best, kind, options = -1, "", ""
    target = path.resolve()
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        of_mount, of_itself = left.split(" "), right.split(" ")
        mount = Path(_OCTAL.sub(lambda found: chr(int(found[1], 8)), of_mount[4]))
        if target.is_relative_to(mount) and len(mount.parts) >= best:
            best, kind, options = len(mount.parts), of_itself[0], f"{of_mount[5]},{of_itself[-1]}"
    return kind, options.split(",")
