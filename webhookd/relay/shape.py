"""What the table of an outbox must be like, and what follows from what it is like."""

from collections.abc import Iterator, Mapping

import msgspec

from webhookd.providers.outbox.reading import COLUMNS

NEEDED = ("id", "type", "body", "refused")
MARK = "taken_at"
_ORDERS = (("position",), ("created_at", "id"), ("id",))
"""What rows are taken in the order of: the first of these that the table has."""


class Shape(msgspec.Struct, frozen=True):
    """A table as it was found."""

    table: str
    """Its name, as a statement has it."""
    columns: Mapping[str, str]
    """Their types, by their names."""
    is_marked: bool
    """Whether a row stays when it is taken."""

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that say something beside the body, `id` first."""
        return tuple(name for name in COLUMNS if name in self.columns)

    @property
    def waits(self) -> str:
        """The condition on a row that waits. One that was marked once is never taken again, whatever is set now."""
        return f"{MARK} IS NULL AND refused IS NULL" if MARK in self.columns else "refused IS NULL"

    @property
    def order(self) -> str:
        return ", ".join(next(names for names in _ORDERS if all(name in self.columns for name in names)))

    def missing(self, mark_type: str) -> Iterator[str]:
        """What the table lacks, and how it is added."""
        types = {"refused": "text", MARK: mark_type}
        for name in (*NEEDED, *((MARK,) if self.is_marked else ())):
            if name not in self.columns:
                how = f": ALTER TABLE {self.table} ADD COLUMN {name} {types[name]}" if name in types else ""
                yield f"column {name} is missing{how}"
