"""The seam to the store where its copies are made."""

import re
from collections.abc import Callable
from typing import Protocol

import msgspec

from webhookd.store.protocol.errors import StoreError, StoreUnavailableError

Told = Callable[[str, int, int], None]
"""What is being done, how many bytes of it are done, and of how many. It is called on another thread; what it raises
ends the work."""


NAME_PATTERN = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"
_NAME = re.compile(NAME_PATTERN.strip("^$"), re.ASCII)
_ENDS = ("-wal", "-shm", "-journal")
"""Of what SQLite would take for a part of the file beside it."""


def check_name(name: str) -> None:
    """Raises ValueError with what the name of a backup must be."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            "must be a plain name of up to 128 letters, digits, dots, dashes and underscores, no dot first"
        )
    if name.endswith(_ENDS):
        raise ValueError(f"must not end in {', '.join(_ENDS)}: so do files of SQLite's own")


class NameTakenError(StoreError):
    """There is a backup of this name. It stays as it is."""


class NoRoomError(StoreUnavailableError):
    """A copy would not leave enough of the disk. The message says how much it takes."""


class BackupMade(msgspec.Struct, frozen=True):
    path: str
    size: int
    """Bytes."""
    events: int
    """In the log of the copy."""


class Backups(Protocol):
    def check(self, name: str) -> None:
        """Whether a copy of that name could be made now. Raises NameTakenError, NoRoomError."""
        ...

    async def make(self, name: str, told: Told) -> BackupMade:
        """A copy of the whole database as it is at one moment not before the call, beside all else that goes on.

        It has its name once it is verified and fsynced; a crash leaves it, or nothing of that name.
        Raises NameTakenError, NoRoomError, StoreError.
        """
        ...
