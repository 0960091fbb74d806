"""`webhookd endpoints`: who is delivered to, and holding or releasing that."""

from typing import Annotated

import msgspec
import typer

from webhookd.cli.client import Client, find_daemon, segment
from webhookd.cli.given import given
from webhookd.cli.options import Json, listing, marked, output, show, write_json

app = typer.Typer(help="Who is delivered to.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The endpoint's name.")]


@app.command("list")
@given(client=find_daemon)
def list_endpoints(
    client: Client,
    as_json: Json = False,
) -> None:
    """All endpoints, with what each is still owed."""
    found = client.get("/api/v1/status")["endpoints"]
    if as_json:
        write_json(msgspec.json.encode({"data": found, "next_cursor": None}))
        return
    table = listing("endpoint", "state", "managed by", "pending", "dead", "url")
    for each in found:
        table.add_row(*(marked(each[name]) for name in ("name", "state", "managed_by", "backlog", "dead", "url")))
    show(table, "no endpoints")


@app.command("pause")
@given(client=find_daemon)
def pause_endpoint(
    name: Name,
    client: Client,
    as_json: Json = False,
) -> None:
    """Deliver nothing to it until it is resumed. What it is owed is kept."""
    _set(client, name, "pause", as_json=as_json)


@app.command("resume")
@given(client=find_daemon)
def resume_endpoint(
    name: Name,
    client: Client,
    as_json: Json = False,
) -> None:
    """Deliver to it again, beginning with what has waited longest. Also after it answered 410 Gone."""
    _set(client, name, "resume", as_json=as_json)


def _set(client: Client, name: str, verb: str, *, as_json: bool) -> None:
    found = client.post(f"/api/v1/endpoints/{segment(name)}/{verb}")
    if as_json:
        write_json(msgspec.json.encode(found))
        return
    output.print(f"{marked(found['name'])} is {found['state']}, {found['backlog']} pending", highlight=False)
