"""Which node a data directory's daemon was last: whoever has the directory's lock knows that one to be dead."""

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from webhookd import private_file

FILE = "node"


class Former(NamedTuple):
    """As it is known in the log."""

    number: int
    started_at: int
    """Unix milliseconds, by the server's clock: another log has no node of that number that started then."""


def former(file: Path) -> Former | None:
    """None where there was none, or it cannot be read: then its lease is waited for."""
    try:
        number, started_at = map(int, file.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None
    return Former(number, started_at) if all(0 < each < 2**63 for each in (number, started_at)) else None


def remember(file: Path, node: Former) -> None:
    """For the next one. A process that dies before it is done has the next one wait for a lease."""
    with suppress(OSError):
        private_file.write(file, f"{node.number} {node.started_at}\n".encode("ascii"))
