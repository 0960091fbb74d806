"""`webhookd audit`: who changed what."""

from typing import Annotated, Any

import msgspec
import typer

from webhookd.cli.client import Client, find_daemon, page, tell_of_more
from webhookd.cli.given import given
from webhookd.cli.options import Json, listing, marked, show, write_json

app = typer.Typer(help="Who changed what, when and from where.", no_args_is_help=True)


@app.command("list")
@given(client=find_daemon, page=page)
def list_audit(
    client: Client,
    page: dict[str, Any],
    actor: Annotated[
        str | None,
        typer.Option(
            "--actor", help='Only of this token: its name, or "admin.token"; "webhookd" is what it did of itself.'
        ),
    ] = None,
    action: Annotated[str | None, typer.Option("--action", help='Only actions that match, like "endpoint.*".')] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Only to this: a name or an id.")] = None,
    as_json: Json = False,
) -> None:
    """What was changed over the API, the newest first, with what was asked for; secrets are not kept.

    webhookd audit list --action "endpoint.*" --since 7d
    """
    raw = client.get_raw("/api/v1/audit", actor=actor, action=action, subject=subject, **page)
    if as_json:
        write_json(raw)
        return
    table = listing("at", "actor", "from", "action", "subject", "asked for")
    found = msgspec.json.decode(raw)
    for each in found["data"]:
        asked = ", ".join(f"{name}={_text(value)}" for name, value in (each["detail"] or {}).items()) or None
        shown = (each["at"], each["actor"], each["address"], each["action"], each["subject"], asked)
        table.add_row(*map(marked, shown))
    show(table, "nothing was changed")
    tell_of_more(found, page)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
