"""`webhookd why`: everything that happened to one event or delivery, on one screen, in order."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from webhookd.cli.client import Client, find_daemon, segment
from webhookd.cli.given import given
from webhookd.cli.options import Exit, Json, cell, fail, listing, marked, messages, output, show, write_json
from webhookd.core.story import Answer, Attempted, Cancelled, Entry, Quarantined, Story, Subject, Unrouted, Waits
from webhookd.core.story_words import failure, words

FIRST, LAST = 2, 3
"""Attempts of one delivery that are each told; what lies between is one line."""
_TIME = slice(11, 23)
_LABELS = {"attempted": "attempt", "waits": "waits for", "moved": "money", "changed": "person"}
_HANG = 26
WORDS_MIN = 30
"""Columns that words are given beside the times, however narrow the terminal is."""


@given(client=find_daemon)
def why(
    event_id: Annotated[
        str, typer.Argument(metavar="ID", help="evt_…, dlv_…, the provider's own id of it, or of its payment.")
    ],
    client: Client,
    as_json: Json = False,
) -> None:
    """Everything that happened to one event or delivery, in order, and what to do now. Times are UTC.

    Repeats of an event with the same bytes are answered and leave nothing here; with other bytes they are told.
    Exit code 1 when the name means more than one event: then these are listed.

    webhookd why evt_0000067425e8b7000000000000000001

    webhookd why pi_3MtwBwLkdIwHu7ix28a3tqPa
    """
    raw = client.get_if_there(f"/api/v1/why/{segment(event_id)}")
    if raw is None:
        fail(
            Exit.FOUND_WRONG,
            "There is nothing with this name or id.",
            "a hook that was refused is not stored: `webhookd sources` counts those, and why; what never came, "
            "`webhookd reconcile` finds",
        )
    answer = msgspec.json.decode(raw, type=Answer)
    if as_json:
        write_json(raw)
    elif answer.story is not None:
        _tell(answer.story)
    else:
        _offer(answer.candidates)
    if answer.story is None:
        raise typer.Exit(Exit.FOUND_WRONG)


def _tell(story: Story) -> None:
    event = story.event
    _print(f"{cell(event.type)}: {cell(story.summary)}", "bold")
    _print(f"{event.id}  {cell(event.provider)} {cell(event.provider_event_id)}", "dim")
    if story.left_out:
        _print(f"{story.left_out} older attempts and deliveries are not shown", "dim")
    day = None
    for at, label, text, style in drawn(story.entries):
        if at is not None and at[:10] != day:
            day = at[:10]
            _print(day, "dim")
        _hang(f"{at[_TIME] if at else '':12}  {label:{_HANG - 14}}", cell(text), style or "")
    for advice in story.advice:
        _hang("→ ", cell(advice.text), "bold")
        if advice.command is not None:
            _print(f"  {advice.command}", "green")


def drawn(entries: Sequence[Entry]) -> Iterator[tuple[str | None, str, str, str | None]]:
    """When, what, in words, and how it looks. Of many attempts the middle ones are one line."""
    tries: dict[str, list[Attempted]] = {}
    for entry in entries:
        if isinstance(entry, Attempted):
            tries.setdefault(entry.delivery_id, []).append(entry)
    folded = {each[FIRST].delivery_id: each[FIRST:-LAST] for each in tries.values() if len(each) > FIRST + LAST + 1}
    for entry in entries:
        label = str(entry.__struct_config__.tag)
        if isinstance(entry, Attempted) and entry in (together := folded.get(entry.delivery_id, [])):
            if entry is together[0]:
                yield entry.at, "attempts", _folded(together), None
            continue
        yield entry.at, _LABELS.get(label, label), words(entry), _style(entry)


def _folded(attempts: Sequence[Attempted]) -> str:
    found = Counter(failure(each.status, each.error) if each.error else "delivered" for each in attempts)
    counted = ", ".join(f"{count} × {what}" for what, count in found.most_common(3))
    return f"{attempts[0].number} to {attempts[-1].number} to {attempts[0].endpoint}: {counted}"


def _style(entry: Entry) -> str | None:
    match entry:
        case Attempted(error=None):
            return "green"
        case Attempted(state="dead") | Quarantined() | Unrouted() | Cancelled():
            return "red"
        case Waits():
            return "yellow"
        case _:
            return None


def _hang(head: str, text: str, style: str) -> None:
    """The text beside its head, and where it is too long for a line, below itself."""
    for line in Text(text).wrap(output, max(output.width - len(head), WORDS_MIN)):
        _print(f"{head}{line.plain.rstrip()}", style)
        head = " " * len(head)


def _print(text: str, style: str) -> None:
    output.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _offer(candidates: Sequence[Subject]) -> None:
    messages.print(f"{len(candidates)} events have this name: ask for one of them", highlight=False, soft_wrap=True)
    table = listing("received", "event", "source", "type", "state")
    for each in candidates:
        table.add_row(*map(marked, (each.received_at, each.id, each.source, each.type, each.state)))
    show(table, "")
