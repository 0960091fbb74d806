"""Whether the WAL grows beyond what is healthy: somebody reads and does not stop, or nobody checkpoints."""

from pathlib import Path

WAL_BYTES_MAX = 64 * 2**20


class WalWatch:
    """`bytes` and `is_large` are as of the last `look`."""

    def __init__(self, database: Path) -> None:
        self._path = database.with_name(f"{database.name}-wal")
        self.bytes = 0
        self.is_large = False

    def look(self) -> bool:
        """Whether it has become large, or small again."""
        try:
            self.bytes = self._path.stat().st_size
        except FileNotFoundError:
            self.bytes = 0
        before, self.is_large = self.is_large, self.bytes > WAL_BYTES_MAX
        return self.is_large != before
