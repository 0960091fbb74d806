"""Whether hooks may be accepted now, and why not."""

from collections.abc import Callable

FREE_CHECK_S = 1.0


class Health:
    """Asked on every hook, so it only looks at flags; the daemon's watch keeps them true."""

    def __init__(self) -> None:
        self.starting = True
        self.stopping = False
        self.store_broken = False
        self.store_stalled = False
        self.disk_low = False

    def unready(self) -> str | None:
        """None when hooks may be accepted."""
        if self.store_broken:
            return "The store has failed; this process is about to restart."
        if self.store_stalled:
            return "The store cannot commit at the moment; hooks are refused until it can."
        if self.stopping:
            return "This process is stopping; another will take over."
        if self.starting:
            return "This process is still starting."
        if self.disk_low:
            return "The disk is nearly full; hooks are refused until there is room."
        return None

    def watch_disk(self, free_bytes: Callable[[], int], min_free: int) -> bool:
        """Look at the disk; whether its state changed."""
        low = free_bytes() < min_free
        changed, self.disk_low = low != self.disk_low, low
        return changed
