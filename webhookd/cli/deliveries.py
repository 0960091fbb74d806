"""`webhookd deliveries`: what is owed to whom."""

from typing import Annotated

import msgspec
import typer

from webhookd.cli.client import Client, moment
from webhookd.cli.events import print_delivery
from webhookd.cli.options import (
    ConfigFile,
    DataDirOption,
    Json,
    Limit,
    ProviderName,
    Since,
    SourceName,
    TokenFile,
    TypeGlob,
    Until,
    Url,
    cell,
    listing,
    show,
    write_json,
)
from webhookd.core.delivery import DELIVERY_STATES

app = typer.Typer(help="What is owed to whom.", no_args_is_help=True)


@app.command("list")
def list_deliveries(
    config_file: ConfigFile = None,
    data_dir: DataDirOption = None,
    url: Url = None,
    token_file: TokenFile = None,
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="Only to this endpoint.")] = None,
    source: SourceName = None,
    provider: ProviderName = None,
    type_glob: TypeGlob = None,
    since: Since = None,
    until: Until = None,
    state: Annotated[str | None, typer.Option("--state", help=f"Only these: {', '.join(DELIVERY_STATES)}.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """The newest first. `--state dead` are those that were given up."""
    client = Client(config_file, data_dir, url, token_file)
    raw = client.get_raw(
        "/api/v1/deliveries",
        endpoint=endpoint,
        source=source,
        provider=provider,
        type=type_glob,
        state=state,
        since=moment(since, "--since"),
        until=moment(until, "--until"),
        limit=limit,
    )
    if as_json:
        write_json(raw)
        return
    table = listing("delivery", "event", "endpoint", "state", "attempts", "last", "next attempt")
    for each in msgspec.json.decode(raw)["data"]:
        last = each["last_error"] if each["last_status"] is None else each["last_status"]
        shown = (
            each["id"],
            each["event_id"],
            each["endpoint"],
            each["state"],
            each["attempts"],
            last,
            each["next_attempt_at"],
        )
        table.add_row(*map(cell, shown))
    show(table, "no deliveries")


@app.command("show")
def show_delivery(
    delivery_id: Annotated[str, typer.Argument(metavar="ID", help="dlv_…")],
    config_file: ConfigFile = None,
    data_dir: DataDirOption = None,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """One delivery with every attempt."""
    raw = Client(config_file, data_dir, url, token_file).get_raw(f"/api/v1/deliveries/{delivery_id}")
    if as_json:
        write_json(raw)
        return
    print_delivery(msgspec.json.decode(raw))
