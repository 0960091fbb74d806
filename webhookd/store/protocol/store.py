"""All that a daemon asks of its store, whatever keeps it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from webhookd.core.event import Hook, Reading
from webhookd.store.protocol.books import Books
from webhookd.store.protocol.cancels import Cancels
from webhookd.store.protocol.chronicles import Chronicles
from webhookd.store.protocol.dead_letters import DeadLetters
from webhookd.store.protocol.endpoints import Endpoints
from webhookd.store.protocol.errors import StoreError
from webhookd.store.protocol.feed import Feed
from webhookd.store.protocol.history import History
from webhookd.store.protocol.ledger import Ledger, Payments
from webhookd.store.protocol.log import EventLog, Outbox
from webhookd.store.protocol.lookup import Lookup
from webhookd.store.protocol.minutes import Minutes
from webhookd.store.protocol.replays import Replays
from webhookd.store.protocol.retention import Retention
from webhookd.store.protocol.sessions import Sessions
from webhookd.store.protocol.stories import Stories
from webhookd.store.protocol.tokens import Tokens
from webhookd.store.protocol.trail import Trail

Reread = Callable[[str, Hook], Reading | None]
"""Reads a stored hook again, by the provider's name; None when its envelope cannot be understood."""


class WrongStoreError(StoreError):
    """What is there is no store that webhookd can keep its promises with. The message says what to do."""


class LedgerAndChronicles(Ledger, Chronicles, Protocol):
    pass


class StuckPage(Protocol):
    """Some of the outbox, looked through."""

    @property
    def found(self) -> Sequence[tuple[int, str, int]]:
        """Endpoint's number, state, how many are stuck."""
        ...

    @property
    def then(self) -> object | None:
        """Where to go on; None at the end."""
        ...


class OutboxSurvey(Protocol):
    async def stuck(self, older_than: int, place: object | None) -> StuckPage:
        """From that place on; None is the beginning. `older_than` is an event's key."""
        ...


class Store(EventLog, Outbox, Endpoints, History, Payments, Protocol):
    @property
    def broken(self) -> StoreError | None:
        """Set once nothing is committed any more until this process has started again."""
        ...

    @property
    def stalled(self) -> bool:
        """Whether nothing can be committed now, and nothing is accepted until it can."""
        ...

    @property
    def queued(self) -> tuple[int, int]:
        """Writes, and bytes of events, that wait for a commit; the bytes in one count too."""
        ...

    async def answers(self) -> None:
        """Return once what commits has done nothing at all, in its turn: a sign that it lives."""
        ...

    async def last_key(self) -> int:
        """The key that the log ends with; 0 where it is empty."""
        ...

    async def odd_events(self) -> Mapping[str, int]:
        """How many events were routed to nobody, or are in quarantine, by their state."""
        ...

    async def rebuild_ledger(self, reread: Reread, told: Callable[[int, int], None]) -> int:
        """Count the log again and put right what the ledger has otherwise; how many objects that were.

        `told` hears how many events of how many are counted; what it raises ends the work. A crash leaves some put
        right, and nothing worse. Raises StoreError.
        """
        ...

    @property
    def ledger(self) -> LedgerAndChronicles: ...

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

    @property
    def books(self) -> Books: ...

    @property
    def tokens(self) -> Tokens: ...

    @property
    def sessions(self) -> Sessions: ...

    @property
    def minutes(self) -> Minutes: ...

    @property
    def trail(self) -> Trail: ...

    @property
    def outbox_survey(self) -> OutboxSurvey: ...
