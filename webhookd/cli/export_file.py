"""A provider's own export as people have it: JSON lines, the answer of a list, or a table with ids. Read as it comes.

Nothing of it is held but what is being looked at: a file may have millions of lines. An object's bytes are those in the
file, unaltered.
"""

import csv
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import msgspec

LINE_BYTES_MAX = 65 * 2**20
"""More than any hook may have."""
DOCUMENT_BYTES_MAX = 256 * 2**20
"""Of a JSON document over several lines, which has to be held whole."""
ID_COLUMNS = ("id", "event_id", "event id", "webhook_id", "event")
TYPE_COLUMNS = ("type", "event_type", "event type")
_LISTS = ("data", "events", "items")
"""Where providers' lists have their events."""
_raw = msgspec.json.Decoder(msgspec.Raw)
_objects = msgspec.json.Decoder(list[msgspec.Raw])
_parts = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class Item(NamedTuple):
    """One event of the export, or what stands in place of one."""

    line: int
    """From 1 on; that of the document where it is one."""
    raw: bytes | None = None
    """An object's own text."""
    row: dict[str, str] | None = None
    """`id` and perhaps `type`, of a table."""
    malformed: str | None = None


class UnreadableError(Exception):
    """The file as a whole is none of these."""


class ExportFile:
    """`id_column` names the column of a table that has the ids. Raises UnreadableError."""

    def __init__(self, file: BinaryIO, id_column: str | None = None) -> None:
        self._file = file
        self._id_column = id_column
        self.bytes_read = 0
        self._line = 0
        first = self._next()
        while first is not None and not first.strip(b"\xef\xbb\xbf \t\r\n"):
            first = self._next()
        self._first = first
        self.is_table = first is not None and first.lstrip(b"\xef\xbb\xbf \t")[:1] not in (b"{", b"[")
        self._columns = self._read_columns() if self.is_table else ("", None)

    def items(self) -> Iterator[Item]:
        """Raises UnreadableError."""
        if self._first is None:
            return
        if self.is_table:
            yield from self._rows()
        elif _is_json(self._first):
            line: bytes | None = self._first
            while line is not None:
                yield from _in_line(self._line, line)
                line = self._next()
        else:
            yield from self._in_document()

    def _next(self) -> bytes | None:
        """The next line, counted. Raises UnreadableError."""
        line = self._file.readline(LINE_BYTES_MAX + 1)
        if len(line) > LINE_BYTES_MAX:
            raise UnreadableError(f"line {self._line + 1} has more than {LINE_BYTES_MAX >> 20} MiB")
        if not line:
            return None
        self._line += 1
        self.bytes_read += len(line)
        return line

    def _in_document(self) -> Iterator[Item]:
        begins, parts = self._line, [self._first or b""]
        while (line := self._next()) is not None:
            parts.append(line)
            if self.bytes_read > DOCUMENT_BYTES_MAX:
                raise UnreadableError(
                    f"a JSON document of more than {DOCUMENT_BYTES_MAX >> 20} MiB: make it JSON lines, jq -c '.data[]'"
                )
        document = b"".join(parts)
        if not _is_json(document):
            # Its first line is no JSON, nor is it all: lines, the first of which is cut, or objects over several lines.
            if not any(part.lstrip()[:1] in (b"{", b"[") and _is_json(part) for part in parts):
                raise UnreadableError("no line of it is JSON, nor is all of it: make it an object to a line, jq -c .")
            for number, part in enumerate(parts, begins):
                yield from _in_line(number, part)
            return
        yield from _in_line(begins, document)

    def _read_columns(self) -> tuple[str, str | None]:
        try:
            names = next(csv.reader([self._text(self._first or b"")], skipinitialspace=True), [])
        except csv.Error as error:
            raise UnreadableError(f"neither JSON nor a table: {error}") from None
        self._names = [name.strip() for name in names]
        known = {name.lower(): name for name in self._names}
        wanted = (self._id_column.lower(),) if self._id_column else ID_COLUMNS
        found = next((known[name] for name in wanted if name in known), None)
        if found is None:
            asked = f"a column {self._id_column}" if self._id_column else f"a column {', '.join(ID_COLUMNS)}"
            raise UnreadableError(f"neither JSON nor a table with {asked} (see --id-column)")
        return found, next((known[name] for name in TYPE_COLUMNS if name in known), None)

    def _rows(self) -> Iterator[Item]:
        id_column, type_column = self._columns
        places = {name: place for place, name in enumerate(self._names)}
        lines = iter(self._next, None)
        try:
            for cells in csv.reader((self._text(line) for line in lines if line is not None), skipinitialspace=True):
                if not cells:
                    continue
                row = {name: cells[place].strip() for name, place in places.items() if place < len(cells)}
                if not 0 < len(named := row.get(id_column, "")) <= 255:
                    yield Item(self._line, malformed=f"has no {id_column}")
                    continue
                event_type = row.get(type_column) if type_column else None
                yield Item(self._line, row={"id": named, **({"type": event_type} if event_type else {})})
        except csv.Error as error:
            raise UnreadableError(f"line {self._line}: {error}") from None

    def _text(self, line: bytes) -> str:
        return line.decode("utf-8-sig" if self._line == 1 else "utf-8", "replace")


def _in_line(number: int, line: bytes) -> Iterator[Item]:
    """An event, or all of a list."""
    text = line.strip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        return
    try:
        listed = _listed(text)
    except _ERRORS:
        yield Item(number, malformed="is no JSON")
        return
    for raw in [text] if listed is None else listed:
        if raw[:1] == b"{":
            yield Item(number, raw=raw)
        else:
            yield Item(number, malformed="is no JSON object")


def _listed(text: bytes) -> list[bytes] | None:
    """The events of a list, as it stands or as a provider's API answers one; None for an event itself."""
    if text[:1] == b"[":
        return [bytes(raw) for raw in _objects.decode(text)]
    if text[:1] != b"{":
        _raw.decode(text)
        return None
    parts = _parts.decode(text)
    if "type" in parts or "event" in parts or "event_type" in parts:
        return None
    for name in _LISTS:
        if name in parts and bytes(parts[name])[:1] == b"[":
            return [bytes(raw) for raw in _objects.decode(parts[name])]
    return None


def _is_json(text: bytes) -> bool:
    try:
        _raw.decode(text.strip(b"\xef\xbb\xbf \t\r\n"))
    except _ERRORS:
        return False
    return True
