"""What every kind of store brings along to be held against the model, or to be run under a simulated dispatcher."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from webhookd.store.protocol.store import Store as WhatADaemonAsks
from webhookd.store.seal import Seal


class Store(WhatADaemonAsks, Protocol):
    """All that a store is asked for, whoever asks."""

    async def holds_secrets(self) -> bool: ...

    async def unlock(self, seal: Seal) -> None: ...

    async def close(self) -> None: ...


class Site(Protocol):
    """Where one store is kept."""

    async def open(self) -> Store:
        """The store as it was left, or a new one."""
        ...

    async def kill(self, store: Store) -> Store:
        """The store as it is found after the process was killed at this moment.

        It runs up to the kill before it lets anything else run: what was submitted just before is not committed.
        """
        ...

    async def findings(self) -> list[str]:
        """What is wrong with the store by its own means, while nobody writes."""
        ...


NewSite = Callable[[Path], Site]
