"""How it stands with an outbox, for who asks."""

from typing import Literal

import msgspec

State = Literal["starting", "follows", "waits", "stands_by"]
"""It has not been reached yet; rows are taken as they come; they cannot be taken now; another process takes them."""


class Standing(msgspec.Struct):
    state: State = "starting"
    why: str | None = None
    """Of what waits or stands by: no row and no password is quoted in it."""
    waiting: int | None = None
    """Rows, as of the last look: counted to COUNTED_MAX. None: not known yet."""
    oldest_at: int | None = None
    """When the oldest of them was written, as it says itself, Unix milliseconds."""
    last_at: int | None = None
    """When a row last became an event that was new."""
