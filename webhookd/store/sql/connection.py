"""What a store in SQL is asked through: statements by name. `lookup.bearing` is in the engine's own `lookup.sql`."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar

from webhookd.core.delivery import DeliveryKey, Settlement
from webhookd.core.event import Event

T = TypeVar("T")
Given = Sequence[Any] | Mapping[str, Any]
"""By place or by name, as the statement has them."""
Table = Literal["event", "notice", "alias", "attempt"]
"""What rows are added to many at a time; a notice is an event of webhookd's own."""


class Rows(Protocol):
    @property
    def rowcount(self) -> int:
        """Of a statement that writes: the rows it wrote itself, those of its triggers left out."""
        ...

    def fetchone(self) -> Any:
        """The next row; None when there is none."""
        ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """Of one transaction, for one function. Raises what the engine raises: who runs the function sorts it."""

    @property
    def changes(self) -> int:
        """How many rows were written by it so far, those of triggers included."""
        ...

    def execute(self, statement: str, given: Given = (), /) -> Rows: ...

    def execute_many(self, statement: str, given: Sequence[Given], /) -> Rows:
        """Once with each; `rowcount` is of all together."""
        ...

    def add(self, table: Table, nouns: Sequence[Any], /) -> int:
        """Adds rows for those of these that are not there yet, in their order; how many that were.

        An event is there when its id at its source is known, an alias when it is bound, an attempt when it is on record
        (its first commit was not heard of). An attempt whose claim has been overtaken is not added.
        """
        ...

    def fenced(self, settlements: Sequence[Settlement], /) -> Collection[DeliveryKey]:
        """Those whose claims have been overtaken."""
        ...


class Reader(Protocol):
    """Only reads, each in its turn. Raises StoreUnavailableError when that takes too long."""

    async def read(self, statement: str, given: Given = (), /) -> list[Any]:
        """One statement."""
        ...

    async def look(self, function: Callable[[Connection], T], /) -> T:
        """All that a function reads, of one snapshot."""
        ...


Change = Callable[[Connection], object]
"""What is to be written, in the transaction of a commit. Raises RefusalError if it is not, and has written nothing."""
Write = Event | Settlement | Change
"""What a commit holds any number of."""
