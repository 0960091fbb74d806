"""What keeps the store, SQLite or PostgreSQL, and what a daemon has to do for it."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from webhookd.service import Failed, Service
from webhookd.sharing import Shared
from webhookd.store.data_dir import DataDir
from webhookd.store.protocol.backups import Backups
from webhookd.store.protocol.errors import StoreError
from webhookd.store.protocol.store import Store
from webhookd.store.seal import Seal

CommitTold = Callable[[float, int], None]
"""Told how long a commit took, in seconds, and how many writes it held."""


class Kept(Store, Protocol):
    """A store as who opens it has it: `open` first, then `unlock`; `close` commits what is queued."""

    async def open(self) -> None:
        """Raises WrongStoreError, StoreError."""
        ...

    async def holds_secrets(self) -> bool:
        """Whether there is anything that `unlock` must be able to open."""
        ...

    async def unlock(self, seal: Seal) -> None:
        """Keep secrets under this seal. Raises SealError, StoreError; then nothing has changed."""
        ...

    async def close(self) -> None: ...


class Engine(Protocol):
    @property
    def store(self) -> Kept: ...

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str:
        """Of what keeps the store, once that is open."""
        ...

    @property
    def files(self) -> tuple[int, int]:
        """Bytes of the database and of its WAL; 0 of what is not on this machine."""
        ...

    def min_free(self, configured: int) -> int:
        """Bytes of the data directory's disk without which nothing can be stored."""
        ...

    async def open(self, data_dir: DataDir, stop: asyncio.Event) -> bool:
        """Bring what is there up to date, and open the store; False once it is to stop.

        Raises StoreError, SealError, OSError.
        """
        ...

    @property
    def shared(self) -> Shared | None:
        """Where several nodes may have the store open."""
        ...

    def duties(self, failed: Failed) -> Sequence[Service]:
        """What has to be looked at as long as the store is open."""
        ...

    def why_broken(self, error: StoreError) -> str:
        """What is to be said of what the store found."""
        ...

    def why_stalled(self) -> str:
        """What is to be said while nothing can be committed."""
        ...

    def backups(self, keep_free: int) -> Backups:
        """`keep_free` bytes of the disk are not for backups."""
        ...
