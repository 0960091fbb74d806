"""`webhookd ledger`: what the events say about money, beside the payments."""

from typing import Annotated, Any

import msgspec
import typer

from webhookd.cli.amounts import money_text
from webhookd.cli.client import Client, find_daemon, page
from webhookd.cli.given import given
from webhookd.cli.options import Exit, Json, fail, listing, marked, show, write_json
from webhookd.core.ledger import LISTS

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
    raw = client.get_raw(f"/api/v1/{kind}", **narrowed, **page)
    if as_json:
        write_json(raw)
        return
    table = listing("occurred", "provider", "id", "status", "amount", "payment", "reference")
    for each in msgspec.json.decode(raw)["data"]:
        of_payment = each["payment"] and each["payment"]["id"]
        shown = (each["occurred_at"], each["provider"], each["id"], each["status"], money_text(each["amount"]))
        table.add_row(*map(marked, (*shown, of_payment, each["reference"])))
    show(table, f"no {kind}")
