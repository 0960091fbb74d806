"""`webhookd publish`: an event of your own."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from webhookd.cli.client import Client, find_daemon
from webhookd.cli.given import given
from webhookd.cli.options import Json, output, write_json

_NAMES = {"Idempotency-Key": "--idempotency-key", "type": "TYPE", "data": "--data", "timestamp": "--timestamp"}


@given(client=find_daemon)
def publish(
    event_type: Annotated[str, typer.Argument(metavar="TYPE", help="Words with dots between them: order.shipped.")],
    client: Client,
    data: Annotated[
        str,
        typer.Option(
            "--data", metavar="JSON|@FILE|-", help="What it says: JSON, a file that holds it, or - for standard input."
        ),
    ] = "{}",
    key: Annotated[
        str | None,
        typer.Option("--idempotency-key", metavar="K", help="Published once under it, however often this is run."),
    ] = None,
    timestamp: Annotated[
        str | None, typer.Option("--timestamp", metavar="TIME", help="When it happened, like 2026-01-31T12:00:00Z.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Publish an event of your own: stored, delivered and retried as a provider's is.

    webhookd publish order.shipped --data '{"order": "1001"}'
    webhookd publish order.shipped --data @order.json --idempotency-key order-1001-shipped
    """
    fields = {"type": event_type, "timestamp": timestamp, "data": _json(data)}
    body = msgspec.json.encode({name: value for name, value in fields.items() if value is not None})
    headers = {} if key is None else {"Idempotency-Key": _header(key)}
    found = client.post("/api/v1/events", body, lambda field: _NAMES.get(field, field), headers=headers)
    if as_json:
        write_json(msgspec.json.encode(found))
    else:
        output.print(f"{found['status']} {found['event_id']}", highlight=False, markup=False, soft_wrap=True)


def _json(text: str) -> msgspec.Raw:
    """As it is written: not a digit of it is changed."""
    try:
        if text == "-":
            raw = sys.stdin.buffer.read()
        else:
            raw = Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
        msgspec.json.decode(raw)
    except OSError as error:
        raise typer.BadParameter(f"cannot be read: {error.strerror}", param_hint="--data") from None
    except (ValueError, RecursionError) as error:
        raise typer.BadParameter(f"is not JSON: {error}", param_hint="--data") from None
    return msgspec.Raw(raw)


def _header(key: str) -> str:
    """What no header can hold is refused here; the rest is the daemon's to judge."""
    if not (key.isascii() and key.isprintable() and key):
        raise typer.BadParameter("must be printable ASCII characters", param_hint="--idempotency-key")
    return key
