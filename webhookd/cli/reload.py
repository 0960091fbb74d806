"""`webhookd reload`: the configuration read again by the running daemon."""

from typing import Any

import msgspec

from webhookd.cli.client import Client, find_daemon
from webhookd.cli.given import given
from webhookd.cli.options import Exit, Json, cell, messages, output, write_json

_NAMED_MAX = 20


@given(client=find_daemon)
def reload(client: Client, as_json: Json = False) -> None:
    """Have the daemon read its configuration again: all of it, or nothing where there is a mistake in it.

    The same as SIGHUP, and it says what came of it: exit 0 once it holds, 78 with every mistake when it was refused.

    webhookd reload
    webhookd config check && webhookd reload
    """
    found = client.post("/api/v1/reload", called=_called, refused=Exit.CONFIG)
    if as_json:
        write_json(msgspec.json.encode(found))
        return
    for what in ("sources", "endpoints"):
        output.print(_line(what, found[what]), highlight=False, markup=False, soft_wrap=True)
    if restart_needed := found["restart_needed"]:
        messages.print(
            f"webhookd: only a restart makes these hold: {', '.join(restart_needed)}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _called(field: str) -> str:
    return "the configuration" if field == "configuration" else field


def _line(what: str, changed: dict[str, Any]) -> str:
    moved = [f"{how} {_named(changed[how])}" for how in ("added", "removed", "changed") if changed[how]]
    return f"{changed['total']} {what}: {'; '.join(moved) or 'as before'}"


def _named(names: list[str]) -> str:
    shown = ", ".join(map(cell, names[:_NAMED_MAX]))
    return shown if len(names) <= _NAMED_MAX else f"{shown} and {len(names) - _NAMED_MAX} more"
