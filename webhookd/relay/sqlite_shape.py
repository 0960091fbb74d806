"""What an outbox in a file of SQLite's is like."""

import sqlite3

from webhookd.relay.shape import Shape
from webhookd.relay.table import UnfitError


def shape_of(connection: sqlite3.Connection, file: str, name: str, *, is_marked: bool) -> Shape:
    """`name` has been checked: it is no more than a name. Raises UnfitError with all that the table lacks."""
    (encoding,) = connection.execute("PRAGMA encoding").fetchone()
    if encoding != "UTF-8":
        raise UnfitError(f"{file} is encoded in {encoding}, and only UTF-8 is read")
    found = {row[1]: row for row in connection.execute(f'PRAGMA table_info("{name}")')}
    if not found:
        raise UnfitError(f"{file} has no table {name}: `webhookd outbox sql --engine sqlite` prints what makes it")
    shape = Shape(f'"{name}"', {name: row[2] for name, row in found.items()}, is_marked)
    mistakes = [*shape.missing("TEXT")]
    if "id" in found:
        keys = [name for name, row in found.items() if row[5]]
        is_rowid = keys == ["id"] and found["id"][2].upper() == "INTEGER"
        if keys != ["id"] and not _is_unique(connection, name):
            mistakes.append(f"column id must be unique: CREATE UNIQUE INDEX {name}_id ON {name} (id)")
        if not (is_rowid or found["id"][3]):
            mistakes.append("column id must be NOT NULL: a row without an id could not be found again")
    if mistakes:
        raise UnfitError(f"table {name}: {'; '.join(mistakes)}")
    return shape


def _is_unique(connection: sqlite3.Connection, name: str) -> bool:
    for _, index, unique, _, partial in connection.execute(f'PRAGMA index_list("{name}")').fetchall():
        columns = [row[0] for row in connection.execute("SELECT name FROM pragma_index_info(?)", (index,))]
        if unique and not partial and columns == ["id"]:
            return True
    return False
