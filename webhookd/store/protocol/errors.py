"""What a store raises."""


class StoreError(Exception):
    """The root of what a store raises."""


class StoreUnavailableError(StoreError):
    """Not now: the queue or the disk is full, or the database is held by somebody else. Nothing was stored."""


class StoreBrokenError(StoreError):
    """The disk failed under the database. Whether the last transaction is kept is unknown: the process must stop."""


class RefusalError(Exception):
    """A change that was not made, and has written nothing: what else is in its batch is not concerned."""


class FencedError(StoreError):
    """Another node has taken the endpoint over since the attempt began: nothing of it was recorded."""
