"""`webhookd ledger`: what the events say about money, beside the payments."""

import asyncio
import time
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from webhookd.cli.amounts import money_text
from webhookd.cli.client import Client, find_daemon, page, tell_of_more
from webhookd.cli.database import database_file
from webhookd.cli.given import given
from webhookd.cli.looking import look
from webhookd.cli.options import (
    ConfigFile,
    DataDirOption,
    Exit,
    Json,
    TokenFile,
    Url,
    fail,
    listing,
    marked,
    messages,
    output,
    read_config,
    show,
    write_json,
)
from webhookd.clock import SystemClock
from webhookd.config import Config
from webhookd.core.ledger import LISTS
from webhookd.observe.whereabouts import running_at
from webhookd.providers import reread
from webhookd.store.data_dir import DataDir
from webhookd.store.protocol.errors import StoreError
from webhookd.store.protocol.trail import BY_ITSELF, Deed
from webhookd.store_of import engine_of

POLL_S = 0.2
app = typer.Typer(help="What the events say about money: refunds, disputes, invoices, …", no_args_is_help=True)


@app.command("list")
@given(client=find_daemon, page=page)
def list_objects(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{', '.join(LISTS)}.")],
    client: Client,
    page: dict[str, Any],
    provider: Annotated[str | None, typer.Option("--provider", help="Only this provider.")] = None,
    status: Annotated[str | None, typer.Option("--status", help='Only in this state, like "succeeded".')] = None,
    reference: Annotated[str | None, typer.Option("--reference", help="Only with your own reference.")] = None,
    payment: Annotated[str | None, typer.Option("--payment", help="Only of this payment.")] = None,
    as_json: Json = False,
) -> None:
    """All of one kind; those that were heard of last come first. --since and --until say when it was heard of.

    webhookd ledger list refunds --since 2h

    webhookd ledger list disputes --status action_required

    webhookd ledger list refunds --payment pi_3MtwBwLkdIwHu7ix28a3tqPa
    """
    if kind not in LISTS:
        fail(Exit.USAGE, f"KIND is one of {', '.join(LISTS)}")
    narrowed = {"provider": provider, "status": status, "reference": reference, "payment": payment}
    found = look(client, f"/api/v1/{kind}", page, **narrowed)
    if as_json:
        write_json(msgspec.json.encode(found))
        return
    table = listing("occurred", "provider", "id", "status", "amount", "payment", "reference")
    for each in found["data"]:
        of_payment = each["payment"] and each["payment"]["id"]
        shown = (each["occurred_at"], each["provider"], each["id"], each["status"], money_text(each["amount"]))
        table.add_row(*map(marked, (*shown, of_payment, each["reference"])))
    show(table, f"no {kind}")
    tell_of_more(found, page)


@app.command("rebuild")
def rebuild(
    config_file: ConfigFile = None,
    data_dir: DataDirOption = None,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Count the event log again and put right what the ledger has otherwise: in the running daemon, or without one.

    After an update that understands more events than the last one, or when `webhookd verify` found the ledger wrong.

    webhookd ledger rebuild
    """
    config = read_config(config_file, {"data_dir": data_dir}, ("server", "store"))
    with Progress(console=messages, transient=True, disable=not messages.is_terminal) as progress:
        bar = progress.add_task("counting the log again", total=None)

        def told(events: int, total: int) -> None:
            progress.update(bar, completed=events, total=total or None)

        if url is None and running_at(config.data_dir) is None:
            done = _rebuild_here(config, told)
        else:
            done = _rebuild_there(Client(config_file, data_dir, url, token_file), told)
    if as_json:
        write_json(msgspec.json.encode(done))
    else:
        output.print(f"{done['events']} events counted, {done['put_right']} objects of the ledger put right")


def _rebuild_there(client: Client, told: Callable[[int, int], None]) -> dict[str, Any]:
    status: dict[str, Any] = client.post("/api/v1/ledger/rebuild")
    while status["state"] == "running":
        told(status["events"], status["total"])
        time.sleep(POLL_S)
        status = client.get("/api/v1/ledger/rebuild")
    if status["state"] != "done":
        fail(Exit.FOUND_WRONG, "the ledger was not rebuilt to its end; the daemon's log says why")
    return status


def _rebuild_here(config: Config, told: Callable[[int, int], None]) -> dict[str, Any]:
    counted = 0

    def count(events: int, total: int) -> None:
        nonlocal counted
        counted = events
        told(events, total)

    async def run() -> int:
        store = engine_of(config, SystemClock()).store
        await store.open()
        try:
            await store.trail.record(Deed(SystemClock().now_ms(), BY_ITSELF, "ledger.rebuild"))
            return await store.rebuild_ledger(reread, count)
        finally:
            await store.close()

    if config.store.url.file is not None:
        database_file(config)
    try:
        with DataDir(config.data_dir):
            put_right = asyncio.run(run())
    except StoreError as error:
        fail(Exit.FOUND_WRONG, str(error))
    return {"state": "done", "events": counted, "total": counted, "put_right": put_right}
