"""`webhookd replay`: make deliveries due again, or for the first time."""

import re
import time
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from webhookd.admin.replay_request import PER_S_MAX, PER_S_MIN
from webhookd.cli.client import Client, find_daemon, moment, segment
from webhookd.cli.given import given
from webhookd.cli.looking import look
from webhookd.cli.options import Exit, Json, cell, fail, listing, marked, messages, output, show, write_json
from webhookd.core.delivery import FAILURE_WORDS
from webhookd.store.protocol.replays import SELECTED_STATES

POLL_S = 0.2
PATH = "/api/v1/replays"
LISTED_MAX = 500
"""What the API lists at a time, at most."""
Selected = dict[str, Any]
_PLACE = re.compile(r"ids\[(\d+)\]", re.ASCII)


def selected(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Of events, evt_…, or of deliveries, dlv_…")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", help="Only to this one; without --state also what was never owed to it.")
    ] = None,
    source: Annotated[str | None, typer.Option("--source", help="Only this source.")] = None,
    type_glob: Annotated[
        str | None, typer.Option("--type", help='Only event types that match, like "payment_intent.*".')
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", help=f"Only deliveries in this state: {', '.join(SELECTED_STATES)}.")
    ] = None,
    error: Annotated[
        str | None, typer.Option("--error", help=f"With --state dead: given up for this: {', '.join(FAILURE_WORDS)}.")
    ] = None,
    status: Annotated[
        int | None, typer.Option("--status", help="With --state dead: given up with this answer, like 500.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help='A day like 2026-01-31, a time like 2026-01-31T12:00:00Z, or an age like "2h".'),
    ] = None,
    until: Annotated[str | None, typer.Option("--until", help="The same; up to here.")] = None,
) -> Selected:
    """What to replay, as the API has it; empty when nothing is said."""
    narrowed = {
        "endpoint": endpoint,
        "source": source,
        "type": type_glob,
        "state": state,
        "error": error,
        "status": status,
    }
    stretch = {"since": moment(since, "--since"), "until": moment(until, "--until")}
    return {name: value for name, value in {"ids": ids or None, **narrowed, **stretch}.items() if value is not None}


@given(client=find_daemon, selection=selected)
def replay(
    client: Client,
    selection: Selected,
    rate: Annotated[
        str | None, typer.Option("--rate", help='Deliveries a second, like "5" or "5/s"; default: as fast as it goes.')
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count them.")] = False,
    watch: Annotated[str | None, typer.Option("--watch", metavar="ID", help="Show how far a replay is, rpl_….")] = None,
    cancel: Annotated[
        str | None, typer.Option("--cancel", metavar="ID", help="End a replay, rpl_…, before it is done.")
    ] = None,
    list_all: Annotated[bool, typer.Option("--list", help="The last replays, and how far each is.")] = False,
    as_json: Json = False,
) -> None:
    """Make deliveries due again, with `webhookd-replay: true`; or for the first time, to an endpoint that came later.

    It goes on in the daemon, over a restart too. What is pending anyway is due at once, what was removed or has no bytes any more is left alone, and an endpoint takes no more at a time than ever.

    webhookd replay evt_0d6f… dlv_0d6f…

    webhookd replay --endpoint shop --state dead --since 2h --rate 50

    webhookd replay --endpoint shop --state dead --error status --status 401

    webhookd replay --state unrouted --dry-run
    """
    ways = (watch is not None) + (cancel is not None) + list_all + bool(selection)
    if ways > 1:
        fail(Exit.USAGE, "--watch, --cancel and --list stand alone")
    if ways == 0:
        fail(
            Exit.USAGE,
            "say what to replay: IDs, or at least one of --endpoint, --source, --type, --state, --since, --until",
        )
    if list_all:
        _list(client, as_json=as_json)
        return
    came_late = False
    if cancel is not None:
        was_over = client.get(f"{PATH}/{segment(cancel)}")["state"] != "running"
        found = client.post(f"{PATH}/{segment(cancel)}/cancel")
        came_late = was_over or found["state"] == "done"
    elif watch is not None:
        found = client.get(f"{PATH}/{segment(watch)}")
    else:
        asked = {**selection, "rate": _per_s(rate), "dry_run": dry_run}
        found = client.post(PATH, asked, lambda field: _called(field, selection))
        if found["state"] == "running" and not messages.is_terminal:
            messages.print(f"replaying {found['id']}", highlight=False)
    if found["state"] == "running":
        found = _watched(client, found)
    if as_json:
        write_json(msgspec.json.encode(found))
        return
    said = ("it was over already: " if came_late else "") + _said(found)
    if found["dry_run"] and not found["total"] and selection.get("state") == "unrouted":
        said += _unrouted(client, selection)
    output.print(said, markup=False, highlight=False, soft_wrap=True)


def _list(client: Client, *, as_json: bool) -> None:
    raw = client.get_raw(PATH, limit=LISTED_MAX)
    if as_json:
        write_json(raw)
        return
    table = listing("replay", "state", "made due", "of", "a second", "begun", "of what")
    for each in msgspec.json.decode(raw)["data"]:
        total = each["total"] if each["total_is_exact"] else f"more than {each['total']}"
        meant = ", ".join(f"{name} {_meant(value)}" for name, value in each["selection"].items())
        row = (each["id"], each["state"], each["replayed"], total, each["rate"], each["created_at"], meant)
        table.add_row(*map(marked, row))
    show(table, "no replays")


def _meant(value: str | int | list[str]) -> str:
    if not isinstance(value, list):
        return str(value)
    return f"{value[0]}" + (f" and {len(value) - 1} more" if value[1:] else "")


def _watched(client: Client, found: dict[str, Any]) -> dict[str, Any]:
    """The replay when it is over, or when the person has seen enough."""
    bars = Progress(console=messages, transient=True, disable=not messages.is_terminal)
    try:
        with bars:
            bar = bars.add_task(f"replaying {found['id']}", total=found["total"] if found["total_is_exact"] else None)
            while found["state"] == "running":
                bars.update(bar, completed=found["replayed"])
                time.sleep(POLL_S)
                found = client.get(f"{PATH}/{found['id']}")
    except KeyboardInterrupt:
        pass
    return found


def _unrouted(client: Client, selection: Selected) -> str:
    """Why none of them would be replayed, if there are any."""
    narrowed = {name: selection.get(name) for name in ("source", "type", "since", "until")}
    page = look(client, "/api/v1/events", {"limit": LISTED_MAX}, state="unrouted", **narrowed)
    if not (count := len(page["data"])):
        return ""
    who = cell(selection["endpoint"]) + " does not ask" if "endpoint" in selection else "no endpoint asks"
    if count == 1 and page["next_cursor"] is None:
        return f" (1 event is unrouted; {who} for it)"
    return f" ({count}{' or more' if page['next_cursor'] else ''} events are unrouted; {who} for them)"


def _per_s(text: str | None) -> float | None:
    try:
        per_s = None if text is None else float(text.removesuffix("/s"))
    except ValueError:
        per_s = 0.0
    if per_s is not None and not PER_S_MIN <= per_s <= PER_S_MAX:
        rule = f"must be deliveries a second, like 5: from {PER_S_MIN} to {PER_S_MAX}"
        raise typer.BadParameter(rule, param_hint="--rate")
    return per_s


def _called(field: str, selection: Selected) -> str:
    """A field of the API as the person has it on the command line."""
    if place := _PLACE.fullmatch(field):
        return cell(selection["ids"][int(place[1])])
    return "ID" if field == "ids" else f"--{field}"


def _said(found: dict[str, Any]) -> str:
    count = found["total"] if found["dry_run"] else found["replayed"]
    deliveries = "1 delivery" if count == 1 else f"{count} deliveries"
    if found["dry_run"]:
        return f"{deliveries if found['total_is_exact'] else f'more than {deliveries}'} would be made due"
    if found["state"] == "running":
        return f"{deliveries} made due, and it goes on: see webhookd replay --watch {found['id']}"
    return f"{deliveries} made due" + (", then cancelled" if found["state"] == "cancelled" else "")
