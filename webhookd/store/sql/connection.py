"""What a store in SQL is asked through: statements by name. `lookup.bearing` is in the engine's own `lookup.sql`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from webhookd.core.delivery import Settlement
from webhookd.core.event import Event

T = TypeVar("T")
Given = Sequence[Any] | Mapping[str, Any]
"""By place or by name, as the statement has them."""


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
