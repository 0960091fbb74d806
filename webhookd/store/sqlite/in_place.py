"""Whether the files under SQLite are still those that it has open, and no shorter than it left them.

SQLite does not look. It goes on in a file that has lost its name, where no restart finds what was acknowledged, and
writes on behind the hole in one that was cut short (sqlite.org/howtocorrupt.html, 1.3, 1.4 and 2.4).

They are looked at by their names: to open the database and close it again would let go of SQLite's locks on it (2.2).
"""

import os
from pathlib import Path

from webhookd.store.protocol.errors import StoreBrokenError


class InPlace:
    """A database in use and the index of its WAL. Where it is `shared`, another process may shorten it."""

    def __init__(self, database: Path, *, shared: bool) -> None:
        """Both must be there. Raises OSError."""
        self._database, self._shared = database, shared
        self._files = {path: path.stat() for path in (database, Path(f"{database}-shm"))}
        self._bytes = self._files[database].st_size

    def look(self) -> None:
        """Raises StoreBrokenError."""
        for path, file in self._files.items():
            try:
                found = path.stat()
            except OSError as error:
                raise StoreBrokenError(f"{path} was in use and cannot be found: {error.strerror}") from error
            if not os.path.samestat(file, found):
                raise StoreBrokenError(f"{path} was replaced while it was in use")
            if path == self._database and found.st_size < self._bytes and not self._shared:
                raise StoreBrokenError(f"{path} was cut short while it was in use")

    def note(self) -> None:
        """That the database is as long as it is now is our own doing. Raises OSError."""
        self._bytes = self._database.stat().st_size
