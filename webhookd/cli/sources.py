"""`webhookd sources`: where events come from, and what became of them."""

from typing import Any

import msgspec

from webhookd.cli.client import Client, find_daemon
from webhookd.cli.given import given
from webhookd.cli.options import Json, listing, marked, show, write_json


@given(client=find_daemon)
def sources(
    client: Client,
    as_json: Json = False,
) -> None:
    """The configured sources: where each takes hooks, its last new event, and counts since the daemon started.

    Of an outbox, how it stands with it.

    webhookd sources --json
    """
    raw = client.get_raw("/api/v1/sources")
    if as_json:
        write_json(raw)
        return
    table = listing("source", "provider", "path", "last event", "accepted", "duplicates", "quarantined", "refused")
    for each in msgspec.json.decode(raw)["data"]:
        where = each["path"] or _outbox(each["outbox"])
        counts = (each["accepted"], each["duplicates"], each["quarantined"], _refused(each))
        table.add_row(*map(marked, (each["name"], each["provider"], where, each["last_event_at"], *counts)))
    show(table, "no sources: configure one as [sources.NAME], or try `webhookd serve --dev`")


def _outbox(outbox: dict[str, Any]) -> str:
    """Its state, what it waits for, and how much waits."""
    why = f": {outbox['why']}" if outbox["why"] else ""
    waiting = f" ({outbox['waiting']} rows wait)" if outbox["waiting"] else ""
    return f"{outbox['state'].replace('_', ' ')}{why}{waiting}"


def _refused(source: dict[str, Any]) -> str:
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(source["reasons"].items()))
    return f"{source['refused']}" + (f" ({reasons})" if reasons else "")
