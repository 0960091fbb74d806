"""A small file that nobody else may read: there whole or not at all, whenever the process dies or the power fails."""

import os
import stat
from collections.abc import Callable
from pathlib import Path


class ExposedError(OSError):
    """Others may read the file, and have it by now. The message says what to do."""


def keep(path: Path, make: Callable[[], str]) -> str:
    """The text of the file, which `make` gives when there is none yet. On return it is there for good.

    Raises OSError, UnicodeDecodeError.
    """
    try:
        with path.open(encoding="ascii") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise ExposedError(f"{path} can be read by others: chmod 600 it")
            text = file.read().strip()
    except FileNotFoundError:
        text = make()
        write(path, f"{text}\n".encode("ascii"))
    else:
        sync_names(path.parent)  # who gave it its name may have been killed before he had
    return text


def write(path: Path, content: bytes) -> None:
    """Mode 0600, fsynced with its directory. A crash leaves the old file or the new. Raises OSError."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_names(path.parent)


def sync_names(directory: Path) -> None:
    """What was made, renamed or removed in it stays so when the power fails. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
