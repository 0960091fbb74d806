"""Evidence on disk, so that a restart needs no network: one file for each URL, named by its SHA-256, mode 0600.

What is here is public (certificates); no request that carries a secret is ever kept on disk.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from webhookd import private_file

NAME = "evidence"
FILES_MAX = 64
_FILE_BYTES_MAX = 2**20
_SUFFIX = ".evidence"


class Kept(msgspec.Struct, frozen=True):
    """One answer, and until when it need not be fetched again (Unix milliseconds)."""

    url: str
    until_ms: int
    body: bytes


class Shelf:
    """A directory of its own under the data directory. Nothing is lost with it but requests."""

    def __init__(self, data_dir: Path) -> None:
        self._directory = data_dir / NAME

    def put(self, kept: Kept) -> None:
        """Raises OSError."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_file.write(self._path(kept.url), msgspec.json.encode(kept))

    def remove(self, url: str) -> None:
        self._path(url).unlink(missing_ok=True)

    def all(self) -> Iterator[Kept]:
        """Those that can be read, at most FILES_MAX, the newest last."""
        for path in sorted(self._directory.glob(f"*{_SUFFIX}"), key=_written_at)[-FILES_MAX:]:
            try:
                with path.open("rb") as file:
                    kept = msgspec.json.decode(file.read(_FILE_BYTES_MAX), type=Kept)
            except (OSError, msgspec.MsgspecError, RecursionError):
                continue
            if path == self._path(kept.url):
                yield kept

    def _path(self, url: str) -> Path:
        return self._directory / (hashlib.sha256(url.encode()).hexdigest() + _SUFFIX)


def _written_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
