"""`webhookd reconcile`: a provider's own export of events beside the log."""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, BinaryIO, cast

import msgspec
import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from webhookd.cli.client import Client, find_daemon, segment
from webhookd.cli.export_file import ExportFile, Item, UnreadableError
from webhookd.cli.given import given
from webhookd.cli.options import Exit, Json, cell, fail, messages, output
from webhookd.cli.seen import Seen
from webhookd.core.identifier import parse_event_id

BATCH_OBJECTS = 500
BATCH_BYTES = 512 * 2**10
LATE = timedelta(days=4)
"""A provider sends again for three days: so much later than it says an event may have come."""
_WORDS = ("missing", "different", "extra", "misread", "malformed", "imported", "present")


@given(client=find_daemon)
def reconcile(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Whose events they are: a configured source.")],
    client: Client,
    export: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The provider's export: JSON lines, a JSON list, or CSV. - for standard input.",
        ),
    ],
    take_in: Annotated[bool, typer.Option("--import", help="Take in what is missing.")] = False,
    id_column: Annotated[
        str | None, typer.Option("--id-column", help="Of a CSV: the column with the events' ids.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare a provider's own export of events with the log: what is missing, different or extra.

    missing     in the file, and not in the log
    different   the same event with another type, time, amount, status or body
    extra       in the log within the file's time, and not in the file
    malformed   a line that is no event; misread: an object that the provider's code does not understand

    Exit code 1 when any is missing, or cannot be told. With --import the missing ones become events as if their hooks had
    come: stored, counted in the ledger, owed to endpoints. Again, it changes nothing. A CSV can only be compared.

    webhookd reconcile stripe-live --from events.jsonl

    stripe events list --limit 100 | webhookd reconcile stripe-live --from - --import
    """
    with _opened(export) as (file, size):
        try:
            found = ExportFile(file, id_column)
            if take_in and found.is_table:
                fail(
                    Exit.USAGE,
                    "--import: a table has only the ids of events, not the events; give their objects as JSON lines",
                )
            report = _Report(as_json=as_json)
            _Reconciliation(client, source, report, take_in=take_in).run(found, size)
        except UnreadableError as error:
            fail(Exit.USAGE, f"{cell(export)}: {error}")
    report.end()
    if not report.counts.total():
        messages.print(f"webhookd: {cell(export)} holds no event: nothing was compared", markup=False, soft_wrap=True)
    if any(report.counts[word] for word in ("missing", "misread", "malformed")):
        raise typer.Exit(Exit.FOUND_WRONG)


class _Report:
    """Tells what is found as it is found: nothing is gathered but numbers."""

    def __init__(self, *, as_json: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._as_json = as_json
        self._told = 0

    def tell(self, state: str, line: int | None, found: dict[str, Any]) -> None:
        self.counts[state] += 1
        if state == "present":
            return
        if self._as_json:
            finding = {"state": state, "line": line, **{name: found.get(name) for name in _FIELDS}}
            self._write(("," if self._told else '{"findings":[') + "\n" + msgspec.json.encode(finding).decode())
        else:
            self._print(state, line, found)
        self._told += 1

    def end(self) -> None:
        counts = {word: self.counts[word] for word in _WORDS}
        if self._as_json:
            begun = "" if self._told else '{"findings":['
            self._write(f'{begun}],\n"counts":{msgspec.json.encode(counts).decode()}}}\n')
        else:
            output.print(
                ", ".join(f"{count} {word}" for word, count in counts.items()), highlight=False, soft_wrap=True
            )

    def _print(self, state: str, line: int | None, found: dict[str, Any]) -> None:
        what = found.get("provider_event_id") or found.get("reason") or ""
        parts = [f"{state:10}", cell(what), cell(found.get("type") or ""), cell(found.get("occurred_at") or "")]
        if found.get("differences"):
            parts.append(f"({', '.join(found['differences'])})")
        parts += [found["event_id"]] if found.get("event_id") else []
        parts += [f"line {line}"] if line is not None else []
        output.print("  ".join(filter(None, parts)), markup=False, highlight=False, soft_wrap=True)

    def _write(self, text: str) -> None:
        sys.stdout.write(text)


_FIELDS = ("event_id", "provider_event_id", "type", "occurred_at", "differences", "reason")


class _Reconciliation:
    def __init__(self, client: Client, source: str, report: _Report, *, take_in: bool) -> None:
        self._client = client
        self._source = source
        self._path = f"/api/v1/reconcile/{segment(source)}"
        self._report = report
        self._take_in = take_in
        self._seen = Seen()
        self._span: tuple[str, str] | None = None

    def run(self, file: ExportFile, size: int | None) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
        bars = Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal)
        with self._seen, bars as progress:
            bar = progress.add_task(f"comparing {cell(self._source)}", total=size)
            self._asked(self._path, [])  # whether there is such a source, however little the file holds
            for batch in _batches(file.items()):
                self._compare(batch)
                progress.update(bar, completed=file.bytes_read)
            progress.update(bar, description="looking for what is not in the file")
            self._tell_extra()

    def _compare(self, batch: Sequence[Item]) -> None:
        for item in batch:
            if item.malformed is not None:
                self._report.tell("malformed", item.line, {"reason": item.malformed})
        items = [item for item in batch if item.malformed is None]
        if not items:
            return
        answers = self._asked(self._path, items)
        missing = [place for place, each in enumerate(answers) if each["state"] == "missing"]
        if self._take_in and missing:
            taken = self._asked(f"{self._path}/import", [items[place] for place in missing])
            for place, each in zip(missing, taken, strict=True):
                answers[place] = each
        for item, each in zip(items, answers, strict=True):
            self._report.tell(each["state"], item.line, each)
            self._note(each)

    def _asked(self, path: str, items: Sequence[Item]) -> list[dict[str, Any]]:
        if items and items[0].row is not None:
            body = msgspec.json.encode({"ids": [item.row for item in items]})
        else:
            body = b'{"objects":[' + b",".join([item.raw or b"" for item in items]) + b"]}"
        found: list[dict[str, Any]] = self._client.post(path, body)["data"]
        return found

    def _note(self, found: dict[str, Any]) -> None:
        if found["event_id"] is not None:
            self._seen.add(parse_event_id(found["event_id"])[0])
        if (at := found["occurred_at"]) is not None:
            first, last = self._span or (at, at)
            self._span = min(first, at), max(last, at)

    def _tell_extra(self) -> None:
        """What the log has within the file's time, by the provider's clock, and the file has not."""
        if self._span is None:
            return
        first, last = self._span
        seen = self._seen.descending()
        last_seen = next(seen, -1)
        for event in self._events(first, last):
            key = parse_event_id(event["id"])[0]
            while last_seen > key:
                last_seen = next(seen, -1)
            is_of_its_time = first <= (event["occurred_at"] or event["received_at"]) <= last
            if last_seen != key and is_of_its_time and event["state"] != "quarantined":
                self._report.tell("extra", None, {**event, "event_id": event["id"]})

    def _events(self, first: str, last: str) -> Iterator[dict[str, Any]]:
        until = (datetime.fromisoformat(last) + LATE).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        narrowed = {"source": self._source, "since": first, "until": until, "limit": 500}
        cursor = None
        while True:
            page = self._client.get("/api/v1/events", cursor=cursor, **narrowed)
            yield from page["data"]
            if (cursor := page["next_cursor"]) is None:
                return


def _batches(items: Iterator[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    size = 0
    for item in items:
        if batch and (len(batch) == BATCH_OBJECTS or size + len(item.raw or b"") > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += len(item.raw or b"")
    if batch:
        yield batch


@contextmanager
def _opened(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """The file, and how long it is, if that is known."""
    if name == "-":
        yield sys.stdin.buffer, None
        return
    path = Path(name)
    try:
        with path.open("rb") as file:
            yield cast(BinaryIO, file), path.stat().st_size
    except OSError as error:
        fail(Exit.USAGE, f"{cell(name)}: {error.strerror}")
