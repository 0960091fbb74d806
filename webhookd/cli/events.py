"""`webhookd events`: what is in the log."""

from typing import Annotated, Any

import msgspec
import typer

from webhookd.cli.client import Client, find_daemon, narrowing, page, segment, tell_of_more
from webhookd.cli.following import follow
from webhookd.cli.given import given
from webhookd.cli.looking import look
from webhookd.cli.options import Json, cell, listing, marked, output, show, write_json
from webhookd.core.card_number import without_card_numbers
from webhookd.core.event import EVENT_STATES

app = typer.Typer(help="What is in the log.", no_args_is_help=True)
State = Annotated[str | None, typer.Option("--state", help=f"Only these: {', '.join(EVENT_STATES)}.")]

Sought = Annotated[
    str | None,
    typer.Option(
        "-q",
        "--q",
        help="Only what this names: an id of an event, of a delivery, at the provider; a payment; a reference.",
    ),
]


@app.command("list")
@given(client=find_daemon, narrowed=narrowing, page=page)
def list_events(
    client: Client,
    narrowed: dict[str, Any],
    page: dict[str, Any],
    state: State = None,
    q: Sought = None,
    as_json: Json = False,
) -> None:
    """The newest events first.

    webhookd events list --source stripe --type "charge.*" --since 2h

    webhookd events list -q pi_3MtwBwLkdIwHu7ix28a3tqPa
    """
    found = look(client, "/api/v1/events", page, state=state, q=q, **narrowed)
    if as_json:
        write_json(msgspec.json.encode(found))
        return
    table = listing("received", "event", "source", "type", "state", "payment", "bytes")
    for event in found["data"]:
        table.add_row(*map(marked, _row(event)))
    show(table, "no events")
    tell_of_more(found, page)


@app.command("show")
@given(client=find_daemon)
def show_event(
    event_id: Annotated[str, typer.Argument(metavar="ID", help="evt_…")],
    client: Client,
    with_body: Annotated[bool, typer.Option("--body", help="Print the provider's bytes, and nothing else.")] = False,
    as_json: Json = False,
) -> None:
    """One event with its deliveries and every attempt.

    webhookd events show evt_0000067425e8b7000000000000000001

    webhookd events show evt_0000067425e8b7000000000000000001 --body >event.json
    """
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
    follow_on: Annotated[bool, typer.Option("--follow", "-f", help="Go on as events come, until Ctrl-C.")] = False,
    as_json: Json = False,
) -> None:
    """The last events in the order they came; with --follow the coming ones too. --json gives JSON lines.

    What comes is told as it is stored; --follow goes on over a restart of the daemon, without a gap or a repeat.

    webhookd events tail --follow --type "payment_intent.*"
    """
    narrowed["state"] = state
    try:
        stream = follow(client, kinds="event", **narrowed) if follow_on else None
        # Events up to here are the list's, those behind it the stream's: ids sort as the log does.
        position = str(next(stream).position) if stream is not None else None
        for event in look(client, "/api/v1/events", {"limit": limit}, **narrowed)["data"][::-1]:
            if position is None or event["id"] <= position:
                _print(event, as_json=as_json)
        for message in stream or ():
            if message.kind == "event":
                _print(message.data, as_json=as_json)
    except KeyboardInterrupt:
        return


def _print(event: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        write_json(msgspec.json.encode(event))
    else:
        output.print("  ".join(map(cell, _row(event))), highlight=False, markup=False, soft_wrap=True)


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
        answer = cell(without_card_numbers(attempt["response"], lambda digits: f"…{digits[-4:]}"))
        output.print(
            f"  {attempt['number']:>3}  {attempt['started_at']}  {attempt['duration_ms']} ms  "
            f"{cell(attempt['status'])}  {found}  {answer[:80]}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _row(event: dict[str, Any]) -> list[Any]:
    payment = event["payment"]["id"] if event["payment"] else None
    return [event["received_at"], event["id"], event["source"], event["type"], event["state"], payment, event["size"]]
