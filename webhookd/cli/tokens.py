"""`webhookd tokens`: who may ask the API for what."""

from typing import Annotated, Any

import msgspec
import typer

from webhookd.cli.client import Client, find_daemon, segment
from webhookd.cli.given import given
from webhookd.cli.options import Json, listing, marked, output, show, write_json

PATH = "/api/v1/tokens"
PAGE = 500
_OPTIONS = {"name": "NAME", "scope": "--scope", "expires_in": "--expires-in"}
app = typer.Typer(
    help="Who may ask the API for what.\n\nThe token in DATA_DIR/admin.token is good for everything. Give others one of "
    "their own, good for no more than they need:\n\n    webhookd tokens add grafana --scope read --expires-in 90d",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="What the audit trail calls whoever has it.")]


@app.command("list")
@given(client=find_daemon)
def list_tokens(client: Client, as_json: Json = False) -> None:
    """All tokens but that of the data directory: what each is good for, how long, and when it was last used.

    webhookd tokens list
    """
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = client.get(PATH, limit=PAGE, cursor=cursor)
        found += page["data"]
        if (cursor := page["next_cursor"]) is None:
            break
    if as_json:
        write_json(msgspec.json.encode({"data": found, "next_cursor": None}))
        return
    table = listing("name", "scope", "made", "expires", "last used")
    for each in found:
        expires = f"expired {each['expires_at']}" if each["is_expired"] else each["expires_at"] or "never"
        table.add_row(*map(marked, (each["name"], each["scope"], each["created_at"], expires, each["used_at"])))
    show(table, "no tokens but the one in the data directory")


@app.command("add")
@given(client=find_daemon)
def add_token(
    name: Name,
    client: Client,
    scope: Annotated[
        str,
        typer.Option(
            "--scope",
            help='"publish": publish events, and nothing else. "read": look at everything but tokens and the audit trail. '
            '"replay": that, and deliver again. "admin": all of it.',
        ),
    ],
    expires_in: Annotated[
        str | None, typer.Option("--expires-in", help='Good for so long: "12h", "90d". Default: until it is removed.')
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a token. It is shown this once; only its hash is kept.

    webhookd tokens add shop-publisher --scope publish --expires-in 90d
    """
    asked = {"name": name, "scope": scope} | ({"expires_in": expires_in} if expires_in is not None else {})
    found = client.post(PATH, asked, lambda field: _OPTIONS.get(field, field))
    if as_json:
        write_json(msgspec.json.encode(found))
        return
    until = f" until {found['expires_at']}" if found["expires_at"] else ""
    output.print(f"{marked(name)} is good for {found['scope']}{until}", highlight=False)
    output.print(f"token, shown only now: {found['token']}", markup=False, highlight=False, soft_wrap=True)


@app.command("remove")
@given(client=find_daemon)
def remove_token(name: Name, client: Client, as_json: Json = False) -> None:
    """Nobody gets in with it from now on.

    webhookd tokens remove grafana
    """
    found = client.change("DELETE", f"{PATH}/{segment(name)}")
    if as_json:
        write_json(msgspec.json.encode(found))
        return
    used = f"last used {found['used_at']}" if found["used_at"] else "never used"
    output.print(f"{marked(name)} is removed; it was {used}", highlight=False)
