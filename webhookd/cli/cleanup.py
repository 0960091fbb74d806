"""`webhookd cleanup`: take finished history out of the log now."""

import time
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from webhookd.cli.client import Client, find_daemon
from webhookd.cli.given import given
from webhookd.cli.options import Exit, Json, fail, listing, marked, messages, output, show, write_json

POLL_S = 0.2
PATH = "/api/v1/cleanup"
COUNTED = ("events", "deliveries", "attempts", "bytes")


@given(client=find_daemon)
def cleanup(
    client: Client,
    days: Annotated[
        int | None,
        typer.Option("--days", min=0, help="Take out what was finished so long ago; 0: all that is finished."),
    ] = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Only events of this provider.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what would go.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show how far the last one is.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="End the one under way; what is gone stays gone.")] = False,
    as_json: Json = False,
) -> None:
    """Take finished history out of the log: events with all their deliveries and attempts, never anything undelivered.

    The daemon does so by itself, after the time that is configured (retention); this is for now, and for less. What the events said of money stays in the ledger, and a late repeat of one is still a duplicate. It goes on in the daemon when this command is stopped.

    webhookd cleanup --days 90 --dry-run

    webhookd cleanup --days 30 --provider stripe

    webhookd cleanup --cancel
    """
    if (days is not None) + watch + cancel != 1:
        fail(Exit.USAGE, "say how old what goes must be, like --days 30; or --watch or --cancel, which stand alone")
    if cancel:
        found = client.post(f"{PATH}/cancel")
    elif watch:
        found = client.get(PATH)
    else:
        found = client.post(PATH, {"days": days, "provider": provider, "dry_run": dry_run}, lambda field: f"--{field}")
    if cancel and found["state"] in ("done", "failed"):
        messages.print("webhookd: no cleanup is under way; this is the last one", highlight=False, soft_wrap=True)
    if found["state"] == "running":
        found = _watched(client, found)
    if as_json:
        write_json(msgspec.json.encode(found))
    else:
        _tell(found)
    if found["state"] == "failed":
        fail(Exit.FOUND_WRONG, "the cleanup was not done to its end; the daemon's log says why")


def _watched(client: Client, found: dict[str, Any]) -> dict[str, Any]:
    """The cleanup when it is over, or when the person has seen enough."""
    bars = Progress(console=messages, transient=True, disable=not messages.is_terminal)
    try:
        with bars:
            bar = bars.add_task("counting" if found["dry_run"] else "taking out", total=1.0)
            while found["state"] == "running":
                doing = f"{'counting' if found['dry_run'] else 'taking out'}: {found['gone']['events']} events"
                bars.update(bar, completed=found["progress"], description=doing)
                time.sleep(POLL_S)
                found = client.get(PATH)
    except KeyboardInterrupt:
        pass
    return found


def _tell(found: dict[str, Any]) -> None:
    if found["state"] == "never":
        output.print("there was no cleanup since the daemon started")
        return
    table = listing("provider", *COUNTED)
    for provider, gone in found["by_provider"].items():
        table.add_row(marked(provider), *(str(gone[each]) for each in COUNTED))
    if len(found["by_provider"]) > 1:
        table.add_row("all", *(str(found["gone"][each]) for each in COUNTED))
    show(table, "nothing would go" if found["dry_run"] else "nothing went")
    kept = {
        "undelivered": "of which something is undelivered",
        "recent": "settled too recently",
        "replayed": "of a replay under way",
    }
    for name, what in kept.items():
        if count := found["kept"][name]:
            output.print(f"kept: {count} {'event' if count == 1 else 'events'} {what}", highlight=False)
    if found["given_back"]:
        output.print(f"the file is {found['given_back']} bytes shorter", highlight=False)
    output.print(_said(found), highlight=False, markup=False)


def _said(found: dict[str, Any]) -> str:
    before = f"finished before {found['before']}"
    if found["state"] == "running":
        return f"{before}; it goes on: see webhookd cleanup --watch"
    if found["dry_run"]:
        return f"{before}; nothing was changed"
    return before if found["state"] == "done" else f"{before}; {found['state']} before it was done"
