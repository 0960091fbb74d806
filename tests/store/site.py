"""What every kind of store brings along to be held against the model, or to be run under a simulated dispatcher."""

from typing import Protocol

from webhookd.store.protocol.cancels import Cancels
from webhookd.store.protocol.dead_letters import DeadLetters
from webhookd.store.protocol.endpoints import Endpoints
from webhookd.store.protocol.feed import Feed
from webhookd.store.protocol.history import History
from webhookd.store.protocol.ledger import Ledger, Payments
from webhookd.store.protocol.log import EventLog, Outbox
from webhookd.store.protocol.lookup import Lookup
from webhookd.store.protocol.replays import Replays
from webhookd.store.protocol.retention import Retention
from webhookd.store.protocol.stories import Stories


class Store(EventLog, Outbox, Endpoints, History, Payments, Protocol):
    """All that a store is asked for, whoever asks."""

    @property
    def ledger(self) -> Ledger: ...

    @property
    def feed(self) -> Feed: ...

    @property
    def lookup(self) -> Lookup: ...

    @property
    def dead_letters(self) -> DeadLetters: ...

    @property
    def cancels(self) -> Cancels: ...

    @property
    def replays(self) -> Replays: ...

    @property
    def retention(self) -> Retention: ...

    @property
    def stories(self) -> Stories: ...

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
