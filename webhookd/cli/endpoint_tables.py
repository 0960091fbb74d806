"""Endpoints as tables, for `endpoints` and `status`."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from webhookd.cli.options import listing, marked
from webhookd.core.story_words import failure
from webhookd.core.units import duration_text

_LISTED = ("endpoint", "state", "breaker", "managed by", "in flight", "pending", "oldest", "dead", "url")
_LATER = ("secrets", "mistakes")
_LABELS = {"in_flight_limit": "allowed now"}
_EMPTY_MEANS = {"sources": "all", "events": "all but webhookd.*"}


def listed(endpoints: Iterable[dict[str, Any]]) -> Table:
    table = listing(*_LISTED)
    for each in endpoints:
        table.add_row(
            marked(each["name"]),
            state_text(each),
            breaker_text(each),
            marked(each["managed_by"]),
            str(each["in_flight"]),
            str(each["backlog"]),
            age(each["oldest_pending_at"]),
            str(each["dead"]),
            marked(each["url"]),
        )
    return table


def shown(endpoint: dict[str, Any]) -> Table:
    """One, a line for each of its fields."""
    table = listing("", "")
    table.show_header = False
    limit, most = endpoint["in_flight_limit"], endpoint.get("max_in_flight")
    if None not in (limit, most) and limit < most:
        endpoint = {**endpoint, "in_flight_limit": f"{limit} (slow start)"}
    for name, value in endpoint.items():
        if name not in _LATER:
            table.add_row(_LABELS.get(name, name.replace("_", " ")), marked(_text(value) or _EMPTY_MEANS.get(name)))
    signs_anew = endpoint.get("signature") == "provider"
    if signs_anew:
        table.add_row("signs with", "the source's secret")
    for each in endpoint.get("secrets", ()):
        until = f", until {each['until']}" if each["until"] else ""
        table.add_row(
            "signs webhookd's own with" if signs_anew else "signs with",
            marked(f"{each['public_key'] or each['kind']}{until}"),
        )
    for each in endpoint.get("mistakes", ()):
        table.add_row("[red]mistake[/]", marked(f"{each['field']}: {each['reason']}"))
    return table


def state_text(endpoint: dict[str, Any]) -> str:
    return marked(endpoint["state"] + (f" ({endpoint['why']})" if endpoint["why"] else ""))


def breaker_text(endpoint: dict[str, Any]) -> str:
    """When it is open: how long until it lets an attempt through."""
    text = endpoint["breaker"].replace("_", " ")
    if endpoint["retry_at"] is None:
        return marked(text)
    wait_s = (datetime.fromisoformat(endpoint["retry_at"]) - datetime.now(UTC)).total_seconds()
    return f"[red]{marked(text)}[/], tries in {duration_text(max(wait_s, 0) * 1_000)}"


def age(at: str | None) -> str:
    if at is None:
        return "–"
    return duration_text((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds() * 1_000)


def _text(value: Any) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "yes" if value else "no"
        case {"at": at, "error": error, "status": status}:
            return f"{age(at)} ago, {failure(status, error)}"
        case dict():
            return ", ".join(f"{name}: {each}" for name, each in value.items()) or None
        case list():
            return ", ".join(map(str, value)) or None
        case _:
            return str(value)
