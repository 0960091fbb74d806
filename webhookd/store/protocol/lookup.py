"""The seam to the store where the log is looked into by what people have at hand: an id, a reference, a source."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from webhookd.store.protocol.history import DeliveryRow, EventRow, Filter, Looked


class TooManyError(Exception):
    """More events bear the text than can be looked through one by one."""


class Lookup(Protocol):
    """For `admin`. Every read is one short snapshot, from indexes."""

    async def bearing(self, text: str) -> Sequence[int]:
        """The keys of the events that the text names: by the id of the event or of one of its deliveries, its id at
        the source, its payment, its object, or a reference of either. Raises TooManyError.
        """
        ...

    async def events(self, keys: Sequence[int], narrowed: Filter, limit: int) -> Looked[EventRow]:
        """Of these, newest first; or, with `after`, oldest first."""
        ...

    async def deliveries(self, keys: Sequence[int], narrowed: Filter, limit: int) -> Looked[DeliveryRow]: ...

    async def pending(self, narrowed: Filter, limit: int) -> Looked[DeliveryRow]:
        """What is owed and not settled, whatever state the filter says; newest event first."""
        ...

    async def delivery_states(self, keys: Sequence[int]) -> Mapping[int, Mapping[str, int]]:
        """How many deliveries each of these events has in each state; without those that have none."""
        ...

    async def last_events(self) -> Mapping[str, int]:
        """When each source brought its last event, Unix milliseconds; of the newest LOOKS events of the log."""
        ...
