"""`webhookd endpoints`: who is delivered to."""

from typing import Annotated, Any

import msgspec
import typer

from webhookd.cli.client import Client, find_daemon, segment
from webhookd.cli.endpoint_settings import FIELDS, option_of, secret, settings
from webhookd.cli.endpoint_tables import listed, shown
from webhookd.cli.given import given
from webhookd.cli.options import Exit, Json, cell, marked, output, show, write_json

PATH = "/api/v1/endpoints"
PAGE = 500
SIGNS_OWN = "it signs only webhookd's own events and pings; events are signed with their source's secret"
PING_SIGNATURE = "signed as Standard Webhooks; an application that checks only the provider's signature refuses it"
app = typer.Typer(
    help="Who is delivered to.\n\nAn endpoint of the configuration is changed there; all others here, at once and for "
    "good:\n\n    webhookd endpoints add shop https://shop.example/hooks --event 'payment_intent.*' --rate-limit 50/s",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The endpoint's name.")]
Target = Annotated[str, typer.Argument(metavar="URL", help="Where events are posted to: https://…")]


@app.command("list")
@given(client=find_daemon)
def list_endpoints(
    client: Client,
    removed: Annotated[bool, typer.Option("--removed", help="Also those that are not in service any more.")] = False,
    name: Annotated[str | None, typer.Option("--name", help="Only those whose name contains this.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="Only those: active, paused or disabled.")] = None,
    as_json: Json = False,
) -> None:
    """All endpoints, how each stands, and what it is still owed.

    webhookd endpoints list --state paused
    """
    narrower = {"name": name, "state": state}
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = client.get(PATH, limit=PAGE, cursor=cursor, removed="true" if removed else None, **narrower)
        found += page["data"]
        if (cursor := page["next_cursor"]) is None:
            break
    if as_json:
        write_json(msgspec.json.encode({"data": found, "next_cursor": None}))
        return
    nothing = "no endpoint is like that" if any(narrower.values()) else "no endpoints: events are stored as unrouted"
    show(listed(found), nothing)


@app.command("show")
@given(client=find_daemon)
def show_endpoint(name: Name, client: Client, as_json: Json = False) -> None:
    """One endpoint with all its settings. Secrets are not shown; a public key is.

    webhookd endpoints show shop
    """
    found = client.get(_path(name))
    if as_json:
        write_json(msgspec.json.encode(found))
        return
    show(shown(found), "")


@app.command("add")
@given(asked=settings, signing=secret, client=find_daemon)
def add_endpoint(
    name: Name, target: Target, client: Client, asked: dict[str, Any], signing: dict[str, str], as_json: Json = False
) -> None:
    """Deliver to it from now on.

    The secret that deliveries are signed with is generated, and shown this once, unless you give one:

        webhookd endpoints add shop https://shop.example/hooks --event "payment_intent.*" --secret-file shop.secret
    """
    found = client.post(PATH, {"name": name, "url": target, **asked, **signing}, option_of)
    held = f"; it gets {_deliveries(found['held'])} held from before" if "held" in found else ""
    _said(found, f"is added{held}", as_json=as_json)


@app.command("update")
@given(asked=settings, client=find_daemon)
def update_endpoint(
    name: Name,
    client: Client,
    asked: dict[str, Any],
    target: Annotated[str | None, typer.Argument(metavar="URL", help="Where events are posted to from now on.")] = None,
    reset: Annotated[
        list[str] | None,
        typer.Option("--reset", help='A setting to take back to its default, like "rate-limit"; may be repeated.'),
    ] = None,
    as_json: Json = False,
) -> None:
    """Change what is given here, and leave the rest as it is. Lists are replaced as a whole, headers one by one.

    webhookd endpoints update shop https://new.example/hooks --max-in-flight 16 --reset rate-limit
    """
    for option in reset or ():
        if (field := FIELDS.get(f"--{option.removeprefix('--')}")) is None:
            raise typer.BadParameter(f"{option} is not one of {', '.join(FIELDS)}", param_hint="--reset")
        if field in asked:
            raise typer.BadParameter(f"{option} is given a value, too", param_hint="--reset")
        asked[field] = None
    if target is not None:
        asked["url"] = target
    if not asked:
        raise typer.BadParameter("say what is to be changed, see --help", param_hint="update")
    _said(client.change("PATCH", _path(name), asked, option_of), "is changed", as_json=as_json)


@app.command("pause")
@given(client=find_daemon)
def pause_endpoint(name: Name, client: Client, as_json: Json = False) -> None:
    """Deliver nothing to it until it is resumed. What it is owed is kept.

    webhookd endpoints pause shop
    """
    found = client.post(f"{_path(name)}/pause")
    _said(found, f"is {found['state']}, {found['backlog']} pending", as_json=as_json)


@app.command("resume")
@given(client=find_daemon)
def resume_endpoint(name: Name, client: Client, as_json: Json = False) -> None:
    """Deliver to it again, carefully at first, beginning with what has waited longest.

    Also after it answered 410 Gone or failed for too long, and to try it before its breaker would.

    webhookd endpoints resume shop
    """
    found = client.post(f"{_path(name)}/resume")
    _said(found, f"is {found['state']}, {found['backlog']} pending", as_json=as_json)


@app.command("remove")
@given(client=find_daemon)
def remove_endpoint(name: Name, client: Client, as_json: Json = False) -> None:
    """Deliver nothing more to it. What it is still owed is held, and goes on if an endpoint of this name is added.

    webhookd endpoints remove shop
    """
    found = client.change("DELETE", _path(name))
    held = f"; held for it: {_deliveries(found['backlog'])}" if found["backlog"] else ""
    _said(found, f"is removed{held}", as_json=as_json)


@app.command("rotate-secret")
@given(signing=secret, client=find_daemon)
def rotate_secret(
    name: Name,
    client: Client,
    signing: dict[str, str],
    overlap: Annotated[
        str | None,
        typer.Option("--overlap", help='How long the one before signs, too. Default: "24h"; "0s": no longer.'),
    ] = None,
    as_json: Json = False,
) -> None:
    """Sign with a new secret, and with the one before until the merchant has had the time to change it.

    webhookd endpoints rotate-secret shop --overlap 2h
    """
    body = signing if overlap is None else {**signing, "overlap": overlap}
    found = client.post(f"{_path(name)}/rotate-secret", body, option_of)
    before = [each["until"] for each in found["secrets"] if each["until"] is not None]
    also = f"; with the one before, too, until {max(before)}" if before else ""
    _said(found, f"signs with a new secret{also}", as_json=as_json)


@app.command("ping")
@given(client=find_daemon)
def ping_endpoint(name: Name, client: Client, as_json: Json = False) -> None:
    """Send it one signed event of type webhookd.ping, now, paused or not. Exit 1 when it is not answered well.

    webhookd endpoints ping shop
    """
    found = client.post(f"{_path(name)}/ping")
    if as_json:
        write_json(msgspec.json.encode(found))
    else:
        result = f"{found['status'] or 'no answer'} ({found['error'] or 'succeeded'}) in {found['duration_ms']}ms"
        output.print(f"{marked(name)}: {result}", highlight=False)
        if found["response"]:
            output.print(cell(found["response"]), markup=False, highlight=False, soft_wrap=True)
        if client.get(_path(name)).get("signature") == "provider":
            output.print(PING_SIGNATURE, highlight=False, soft_wrap=True)
    if found["error"] is not None:
        raise typer.Exit(Exit.FOUND_WRONG)


def _path(name: str) -> str:
    return f"{PATH}/{segment(name)}"


def _deliveries(count: int) -> str:
    return "1 delivery" if count == 1 else f"{count} deliveries"


def _said(found: dict[str, Any], what: str, *, as_json: bool) -> None:
    """What was done; and the secret, if there is one to be told."""
    if as_json:
        write_json(msgspec.json.encode(found))
        return
    output.print(f"{marked(found['name'])} {what}", highlight=False, soft_wrap=True)
    if "secret" in found:
        public = found["secrets"][0]["public_key"]
        what = "public key, for the merchant" if public else "secret, shown only now"
        output.print(f"{what}: {public or found['secret']}", markup=False, highlight=False, soft_wrap=True)
        if found["signature"] == "provider":
            output.print(SIGNS_OWN, highlight=False, soft_wrap=True)
