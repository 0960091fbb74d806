"""The seam of an application's outbox: a table in its own database, whatever engine that is of."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import msgspec

ROWS_MAX = 100
BYTES_MAX = 4 * 2**20
"""Of bodies read at once: the row that crosses it is the last one."""
COUNTED_MAX = 10_000
"""Rows that wait are counted so far: where it is so many, there may be more."""
LOOK_S = 1.0
"""So often a table is looked at unasked."""


class OutboxError(Exception):
    """The table cannot be used now. The message says what to do; it quotes no row and no password."""


class AwayError(OutboxError):
    """The database cannot be reached, is locked, or the connection was lost: it is tried again."""


class UnfitError(OutboxError):
    """The table is not as it must be, or may not be used so. It is looked at again, for somebody may mend it."""


class TakenElsewhereError(AwayError):
    """Another process takes from this table; there is nothing wrong with it."""


class Row(msgspec.Struct, frozen=True):
    """One that is not taken yet."""

    key: Any
    """What it is found by, as the engine has it: its id."""
    columns: Mapping[str, str]
    """Those of `providers.outbox.COLUMNS` that have a value, as text."""
    body: bytes | None
    """None where it is larger than was asked for, or nothing that has bytes."""
    size: int

    def __repr__(self) -> str:
        return f"Row({self.size} bytes)"  # never what is in it: a traceback may be logged


class Table(Protocol):
    """What is not taken is found by what it is (not taken), never by where it stands: a row whose transaction was slow
    to commit comes to light behind later ones.
    """

    async def open(self) -> None:
        """Connect, and see that the table is as it must be. Raises OutboxError."""
        ...

    async def waiting(self, known: Collection[Any], body_bytes_max: int) -> Sequence[Row]:
        """The first rows that are neither taken nor refused, in the order they are to be taken in, but for those whose
        keys are `known`. At most ROWS_MAX, and about BYTES_MAX of bodies. Changes nothing. Raises OutboxError.
        """
        ...

    async def backlog(self) -> tuple[int, int | None]:
        """How many rows wait, counted to COUNTED_MAX, and when the oldest of these was written, Unix milliseconds.

        None where they do not say. Raises OutboxError.
        """
        ...

    async def take(self, keys: Collection[Any], refused: Mapping[Any, str]) -> Collection[Any]:
        """Delete or mark the rows of these keys, and write why others are refused into theirs: one short transaction.

        Gives those keys that still wait, since somebody else holds their rows. A crash leaves all or nothing. Raises
        OutboxError.
        """
        ...

    async def changed(self) -> None:
        """Return when there may be something new, after LOOK_S at the latest. Raises OutboxError."""
        ...

    async def close(self) -> None:
        """It can be opened again."""
        ...
