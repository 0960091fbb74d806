"""`webhookd deliveries`: what is owed to whom."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import typer

from webhookd.cli.client import Client, find_daemon, narrowing, page, segment, tell_of_more
from webhookd.cli.events import Sought, print_delivery
from webhookd.cli.given import given
from webhookd.cli.looking import look
from webhookd.cli.options import Exit, Json, cell, listing, marked, messages, output, show, write_json
from webhookd.core.delivery import DELIVERY_STATES, FAILURE_WORDS

app = typer.Typer(help="What is owed to whom.", no_args_is_help=True)


@app.command("list")
@given(client=find_daemon, narrowed=narrowing, page=page)
def list_deliveries(
    client: Client,
    narrowed: dict[str, Any],
    page: dict[str, Any],
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="Only to this endpoint.")] = None,
    state: Annotated[str | None, typer.Option("--state", help=f"Only these: {', '.join(DELIVERY_STATES)}.")] = None,
    error: Annotated[
        str | None, typer.Option("--error", help=f"Only whose last attempt found: {', '.join(FAILURE_WORDS)}.")
    ] = None,
    status: Annotated[
        int | None, typer.Option("--status", help="Only whose last attempt was answered this, like 500.")
    ] = None,
    q: Sought = None,
    as_json: Json = False,
) -> None:
    """The newest first. `--state dead` are those that were given up.

    webhookd deliveries list --endpoint shop --state dead --since 2h
    """
    which = {"endpoint": endpoint, "state": state, "error": error, "status": status, "q": q}
    found = look(client, "/api/v1/deliveries", page, **which, **narrowed)
    if as_json:
        write_json(msgspec.json.encode(found))
        return
    table = listing("delivery", "event", "endpoint", "state", "attempts", "last", "next attempt")
    waits = Waits(_endpoint_of(client))
    for each in found["data"]:
        last = each["last_error"] if each["last_status"] is None else each["last_status"]
        shown = (
            each["id"],
            each["event_id"],
            each["endpoint"],
            each["state"],
            each["attempts"],
            last,
            waits(each) or each["next_attempt_at"],
        )
        table.add_row(*map(marked, shown))
    show(table, "no deliveries")
    tell_of_more(found, page)


@app.command("show")
@given(client=find_daemon)
def show_delivery(
    delivery_id: Annotated[str, typer.Argument(metavar="ID", help="dlv_…")],
    client: Client,
    as_json: Json = False,
) -> None:
    """One delivery with every attempt.

    webhookd deliveries show dlv_0000019fbd0a1c8000000001
    """
    raw = client.get_raw(f"/api/v1/deliveries/{segment(delivery_id)}")
    if as_json:
        write_json(raw)
        return
    delivery = msgspec.json.decode(raw)
    event = client.get(f"/api/v1/events/{segment(delivery['event_id'])}")
    for name, value in (("event", event["id"]), ("type", event["type"]), ("endpoint", delivery["endpoint"])):
        output.print(f"[bold]{name:18}[/] {marked(value)}", highlight=False, soft_wrap=True)
    print_delivery(delivery, Waits(_endpoint_of(client))(delivery))


@app.command("cancel")
@given(client=find_daemon)
def cancel_deliveries(
    delivery_ids: Annotated[list[str], typer.Argument(metavar="ID…", help="dlv_…")],
    client: Client,
    as_json: Json = False,
) -> None:
    """Cancel what is pending: no attempt of it starts from then on, until somebody replays it. --json gives JSON lines.

    webhookd deliveries cancel dlv_0000019fbd0a1c8000000001

    Exit 1 when one is not there or not pending any more; the others are cancelled all the same.
    """
    refused = False
    for delivery_id in delivery_ids:
        try:
            delivery = client.post(f"/api/v1/deliveries/{segment(delivery_id)}/cancel")
        except typer.Exit as ended:
            if ended.exit_code != Exit.FOUND_WRONG:
                raise
            messages.print(f"{cell(delivery_id)} was not cancelled", markup=False, highlight=False, soft_wrap=True)
            refused = True
            continue
        if as_json:
            write_json(msgspec.json.encode(delivery))
        else:
            print_delivery(delivery)
    if refused:
        raise typer.Exit(Exit.FOUND_WRONG)


def _endpoint_of(client: Client) -> Callable[[str], dict[str, Any]]:
    return lambda name: client.get(f"/api/v1/endpoints/{segment(name)}")


class Waits:
    """Why a pending delivery waits longer than for its next attempt: what its endpoint says, which is asked once."""

    def __init__(self, endpoint: Callable[[str], dict[str, Any]]) -> None:
        self._endpoint = endpoint
        self._endpoints: dict[str, dict[str, Any]] = {}

    def __call__(self, delivery: dict[str, Any]) -> str | None:
        if delivery["state"] != "pending":
            return None
        name = delivery["endpoint"]
        if name not in self._endpoints:
            self._endpoints[name] = self._endpoint(name)
        endpoint = self._endpoints[name]
        if endpoint["state"] != "active":
            return f"waits: {name} is {endpoint['state']} ({endpoint['why']})"
        if endpoint["retry_at"] is not None and endpoint["retry_at"] > (delivery["next_attempt_at"] or ""):
            return f"waits for the breaker, until {endpoint['retry_at']}"
        return None
