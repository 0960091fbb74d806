"""`webhookd events`: what is in the log."""

import time
from typing import Annotated, Any

import msgspec
import typer

from webhookd.cli.client import Client, find_daemon, narrowing, page, segment
from webhookd.cli.given import given
from webhookd.cli.options import Json, cell, listing, marked, output, show, write_json
from webhookd.core.event import EVENT_STATES

POLL_S = 0.5
app = typer.Typer(help="What is in the log.", no_args_is_help=True)
State = Annotated[str | None, typer.Option("--state", help=f"Only these: {', '.join(EVENT_STATES)}.")]


@app.command("list")
@given(client=find_daemon, narrowed=narrowing, page=page)
def list_events(
    client: Client,
    narrowed: dict[str, Any],
    page: dict[str, Any],
    state: State = None,
    as_json: Json = False,
) -> None:
    """The newest events first."""
    raw = client.get_raw("/api/v1/events", state=state, **narrowed, **page)
    if as_json:
        write_json(raw)
        return
    table = listing("received", "event", "source", "type", "state", "payment", "bytes")
    for event in msgspec.json.decode(raw)["data"]:
        table.add_row(*map(marked, _row(event)))
    show(table, "no events")


@app.command("show")
@given(client=find_daemon)
def show_event(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="evt_…")],
    client: Client,
    with_body: Annotated[bool, typer.Option("--body", help="Print the provider's bytes, and nothing else.")] = False,
    as_json: Json = False,
) -> None:
    """One event with its deliveries and every attempt."""
    if with_body:
        typer.get_binary_stream("stdout").write(client.get_raw(f"/api/v1/events/{segment(event_id)}/body"))
        return
    raw = client.get_raw(f"/api/v1/events/{segment(event_id)}")
    if as_json:
        write_json(raw)
        return
    event = msgspec.json.decode(raw)
    for name in (
        "id",
        "source",
        "provider",
        "provider_event_id",
        "type",
        "state",
        "received_at",
        "occurred_at",
        "size",
        "sha256",
    ):
        output.print(f"[bold]{name:18}[/] {marked(event[name])}", highlight=False, soft_wrap=True)
    for delivery in event["deliveries"]:
        print_delivery(delivery)
    if not event["deliveries"]:
        output.print("owed to nobody")


@app.command("tail")
@given(client=find_daemon, narrowed=narrowing)
def tail_events(
    client: Client,
    narrowed: dict[str, Any],
    state: State = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=500, help="How many to begin with.")] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """The last events in the order they came; with --follow the coming ones too. --json gives JSON lines."""
    narrowed["state"] = state
    page = client.get("/api/v1/events", limit=limit, **narrowed)["data"][::-1]
    last = None
    try:
        while True:
            for event in page:
                last = event["id"]
                if as_json:
                    write_json(msgspec.json.encode(event))
                else:
                    output.print("  ".join(map(cell, _row(event))), highlight=False, markup=False, soft_wrap=True)
            if not follow:
                return
            if len(page) < 500:
                time.sleep(POLL_S)
            after = {"after": last} if last else {}
            page = client.get("/api/v1/events", limit=500, **narrowed, **after)["data"]
            if not last:
                page = page[::-1]
    except KeyboardInterrupt:
        return


def print_delivery(delivery: dict[str, Any], waits: str | None = None) -> None:
    """A delivery and, where they are there, its attempts. `waits` is what it waits for, if not for its next attempt."""
    next_at = f"next attempt {delivery['next_attempt_at']}" if delivery["next_attempt_at"] else None
    then = f", {waits or next_at}" if waits or next_at else ""
    attempts = "1 attempt" if delivery["attempts"] == 1 else f"{delivery['attempts']} attempts"
    output.print(
        f"[bold]{marked(delivery['endpoint'])}[/] {marked(delivery['state'])} after {attempts}{marked(then)}  {delivery['id']}",
        highlight=False,
        soft_wrap=True,
    )
    for attempt in delivery.get("history", ()):
        found = cell(attempt["error"] or "ok")
        output.print(
            f"  {attempt['number']:>3}  {attempt['started_at']}  {attempt['duration_ms']} ms  "
            f"{cell(attempt['status'])}  {found}  {cell(attempt['response'])[:80]}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _row(event: dict[str, Any]) -> list[Any]:
    payment = event["payment"]["id"] if event["payment"] else None
    return [event["received_at"], event["id"], event["source"], event["type"], event["state"], payment, event["size"]]
