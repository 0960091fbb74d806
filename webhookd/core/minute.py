"""What a minute was like: what the dashboard's charts are drawn of."""

import msgspec

KEPT = 1_440
"""Minutes: a day."""


class Minute(msgspec.Struct, frozen=True):
    number: int
    """Since 1970."""
    accepted: int = 0
    """Events that were new."""
    duplicates: int = 0
    refused: int = 0
    """Hooks that were not taken."""
    delivered: int = 0
    failed: int = 0
    """Attempts."""
    died: int = 0
    """Deliveries that were given up."""
    backlog: int = 0
    """Deliveries pending, at its end."""
    ack_p50_ms: float | None = None
    """From hook to 200, as are the other of `ack`; None when there was none."""
    ack_p99_ms: float | None = None
    delivery_p50_ms: float | None = None
    """From hook to delivered."""
    delivery_p99_ms: float | None = None
