"""The options that say what an endpoint shall be, and the request that they make."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from webhookd.cli.options import cell

_RENAMED = {"sources": "source", "events": "event", "headers": "header"}
_SETTINGS = (
    *("sources", "events", "rate_limit", "max_in_flight", "ordering", "signature", "schedule", "timeout"),
    *("disable_after", "headers", "allow_http", "ca", "client_certificate", "client_key"),
)
FIELDS = {"--" + _RENAMED.get(field, field).replace("_", "-"): field for field in _SETTINGS}
"""The options by the fields of the API that they fill."""
_OPTIONS = {field: option for option, field in FIELDS.items()}
_OPTIONS |= {"url": "URL", "name": "NAME", "secret": "--secret-file", "overlap": "--overlap"}


def option_of(field: str) -> str:
    """The option, or argument, that a field or a part of it is given by; of a header with its name."""
    if field.startswith("headers."):
        return f"--header {cell(field.removeprefix('headers.'))}"
    return _OPTIONS.get(field.partition("[")[0].partition(".")[0], field)


def settings(
    source: Annotated[
        list[str] | None, typer.Option("--source", help="A source it wants events of; may be repeated. Default: all.")
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option("--event", help='An event type it wants, like "payment_intent.*"; may be repeated. Default: all.'),
    ] = None,
    rate_limit: Annotated[
        str | None, typer.Option("--rate-limit", help='No more attempts than this: "50/s", "3000/m".')
    ] = None,
    max_in_flight: Annotated[
        int | None, typer.Option("--max-in-flight", help="Attempts at a time. Default: 8.")
    ] = None,
    ordering: Annotated[
        str | None,
        typer.Option("--ordering", help='"payment": one at a time for each payment, in log order. Default: "none".'),
    ] = None,
    signature: Annotated[
        str | None,
        typer.Option(
            "--signature", help='"provider": signed as the provider does it. Default: "standard" (Standard Webhooks).'
        ),
    ] = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", help='The wait before each attempt: "0s,5s,5m,2h".')
    ] = None,
    timeout: Annotated[str | None, typer.Option("--timeout", help='For a whole attempt: "15s".')] = None,
    disable_after: Annotated[
        str | None, typer.Option("--disable-after", help='Failing for so long disables it: "5d", "never".')
    ] = None,
    header: Annotated[
        list[str] | None,
        typer.Option(
            "--header",
            help='Sent with each attempt: "X-Key: value"; "X-Key: @FILE" has the value from a file. May be repeated.',
        ),
    ] = None,
    allow_http: Annotated[
        bool | None, typer.Option("--allow-http/--no-allow-http", help="http:// is refused otherwise.")
    ] = None,
    ca: Annotated[
        Path | None, typer.Option("--ca", help="Certificates (PEM) to trust instead of the system's.")
    ] = None,
    client_certificate: Annotated[
        Path | None, typer.Option("--client-certificate", help="Ours (PEM), if the merchant asks for one: mTLS.")
    ] = None,
    client_key: Annotated[Path | None, typer.Option("--client-key", help="Its private key (PEM).")] = None,
) -> dict[str, Any]:
    """What was given, as the API takes it; what was not given is not there."""
    files = {"ca": ca, "client_certificate": client_certificate, "client_key": client_key}
    asked = {
        "sources": source or None,
        "events": event or None,
        "rate_limit": rate_limit,
        "max_in_flight": max_in_flight,
        "ordering": ordering,
        "signature": signature,
        "schedule": None if schedule is None else [wait.strip() for wait in schedule.split(",")],
        "timeout": timeout,
        "disable_after": disable_after,
        "headers": dict(_header(each) for each in header) if header else None,
        "allow_http": allow_http,
        **{field: read_file(path, option_of(field)) for field, path in files.items() if path is not None},
    }
    return {field: value for field, value in asked.items() if value is not None}


def secret(
    secret_file: Annotated[
        Path | None,
        typer.Option(
            "--secret-file", help="A file with the secret to sign with, - for standard input. Default: a generated one."
        ),
    ] = None,
    ask_secret: Annotated[bool, typer.Option("--ask-secret", help="Ask for the secret at the terminal.")] = False,
    ed25519: Annotated[
        bool, typer.Option("--ed25519", help="Generate a key pair: the merchant checks with the public key.")
    ] = False,
) -> dict[str, str]:
    """The same for what it signs with. There is no option for the secret itself: others see a command line."""
    if (secret_file is not None) + ask_secret + ed25519 > 1:
        raise typer.BadParameter("only one of these", param_hint="--secret-file, --ask-secret, --ed25519")
    if ed25519:
        return {"secret_kind": "ed25519"}
    if ask_secret:
        return {"secret": typer.prompt("Secret", hide_input=True, err=True).strip()}
    if secret_file is None:
        return {}
    return {"secret": sys.stdin.read().strip() if str(secret_file) == "-" else read_file(secret_file, "--secret-file")}


def read_file(path: Path, option: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise typer.BadParameter(f"{path} cannot be read: {reason}", param_hint=option) from None


def _header(text: str) -> tuple[str, str | None]:
    """Without a value it is taken away: null in a patch."""
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not colon or not name:
        raise typer.BadParameter('must be "Name: value"', param_hint="--header")
    if value.startswith("@"):
        return name, read_file(Path(value[1:]), "--header")
    return name, value or None
