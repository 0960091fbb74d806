"""`webhookd status`: is it well, and what is waiting."""

from typing import Any

import msgspec
import typer
from rich.table import Table

from webhookd.cli.client import Client, find_daemon
from webhookd.cli.endpoint_tables import listed
from webhookd.cli.given import given
from webhookd.cli.options import Exit, Json, listing, marked, output, show, write_json
from webhookd.core.units import duration_text


@given(client=find_daemon)
def status(
    client: Client,
    as_json: Json = False,
) -> None:
    """Health, rates, backlog and the oldest undelivered event, by endpoint. Exit 1 when it cannot accept hooks.

    webhookd status || echo "webhookd takes no hooks now"
    """
    found = client.get("/api/v1/status")
    found["nodes"] = client.get("/api/v1/nodes")["data"]
    if as_json:
        write_json(msgspec.json.encode(found))
    else:
        _print(client, found)
    if not found["ready"]:
        raise typer.Exit(Exit.FOUND_WRONG)


def _print(client: Client, found: dict[str, Any]) -> None:
    health = "[green]ready[/]" if found["ready"] else f"[red]not ready:[/] {found['why_not_ready']}"
    output.print(
        f"webhookd {found['version']} at {marked(client.url)}, up {duration_text(found['uptime_s'] * 1000)}: {health}",
        highlight=False,
        soft_wrap=True,
    )
    output.print(
        f"in {found['accepted_per_s']}/s, out {found['delivered_per_s']}/s over the last minute; since the start "
        f"{found['accepted']} accepted, {found['delivered']} delivered; {found['unrouted']} unrouted, "
        f"{found['quarantined']} quarantined in the log",
        highlight=False,
        soft_wrap=True,
    )
    if found["nodes"]:
        show(_nodes(found["nodes"]), "no nodes")
    show(listed(found["endpoints"]), "no endpoints: events are stored as unrouted")
    if found["more_endpoints"]:
        output.print(f"and {found['more_endpoints']} more that are owed less: webhookd endpoints list", highlight=False)
    if found["held_for_removed"]:
        output.print(f"{found['held_for_removed']} deliveries are held for removed endpoints", highlight=False)


def _nodes(nodes: list[dict[str, Any]]) -> Table:
    table = listing("node", "role", "endpoints", "version", "")
    for each in nodes:
        alive = "[green]alive[/]" if each["alive"] else f"[red]not heard of since {each['seen_at']}[/]"
        table.add_row(marked(each["name"]), each["role"], str(each["endpoints"]), marked(each["version"]), alive)
    return table
