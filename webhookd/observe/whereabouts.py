"""Where a running daemon listens, noted in its data directory so that commands find it."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec

FILE = "daemon.json"


class Whereabouts(msgspec.Struct, frozen=True):
    hooks: str
    admin: str
    pid: int


def note(data_dir: Path, whereabouts: Whereabouts) -> None:
    """Raises OSError."""
    draft = data_dir / f"{FILE}.new"
    draft.write_bytes(msgspec.json.encode(whereabouts))
    draft.rename(data_dir / FILE)


def forget(data_dir: Path) -> None:
    """On a disk that is not to be written any more it stays; a process that is dead is not believed to listen."""
    with suppress(OSError):
        (data_dir / FILE).unlink(missing_ok=True)


def running_at(data_dir: Path) -> Whereabouts | None:
    """What a daemon noted there, if its process is alive."""
    try:
        noted = msgspec.json.decode((data_dir / FILE).read_bytes(), type=Whereabouts)
        os.kill(noted.pid, 0)
    except PermissionError:
        return noted  # alive, and another user's
    except (OSError, msgspec.MsgspecError):
        return None
    return noted


def since_ms(data_dir: Path) -> int | None:
    """When that daemon noted it, Unix milliseconds."""
    if running_at(data_dir) is None:
        return None
    try:
        return (data_dir / FILE).stat().st_mtime_ns // 1_000_000
    except OSError:
        return None
