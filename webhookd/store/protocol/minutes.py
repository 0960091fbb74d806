"""The seam to the store where the minutes of the last day are kept."""

from collections.abc import Sequence
from typing import Protocol

from webhookd.core.minute import Minute


class Minutes(Protocol):
    """For `observe`."""

    async def all(self) -> Sequence[Minute]:
        """Oldest first; at most `KEPT`, and only those in which something happened."""
        ...

    async def keep(self, minute: Minute) -> None:
        """In the place of the one that has its number; those older than `KEPT` go. A crash keeps it or not."""
        ...
