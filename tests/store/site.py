"""What every kind of store brings along to be held against the model, or to be run under a simulated dispatcher."""

from typing import Protocol

from webhookd.store.cancel_protocol import Cancels
from webhookd.store.dead_protocol import DeadLetters
from webhookd.store.endpoint_protocol import Endpoints
from webhookd.store.feed_protocol import Feed
from webhookd.store.lookup_protocol import Lookup
from webhookd.store.protocol import EventLog, History, Ledger, Outbox, Payments
from webhookd.store.replay_protocol import Replays
from webhookd.store.retention_protocol import Retention
from webhookd.store.story_protocol import Stories


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
