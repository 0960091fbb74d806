"""`webhookd listen`: a merchant on your desk."""

import asyncio
from typing import Annotated

import msgspec
import typer

from webhookd.cli.given import given
from webhookd.cli.options import (
    ConfigFile,
    DataDirOption,
    Exit,
    Json,
    fail,
    marked,
    messages,
    no_daemon,
    output,
    parse_duration,
    read_config,
    write_json,
)
from webhookd.clock import SystemClock
from webhookd.core.secret import Secret
from webhookd.providers.provider import Credentials, CredentialsError
from webhookd.providers.standard import Standard
from webhookd.sandbox.dev import LOCAL, dev_secrets
from webhookd.sandbox.merchant import Merchant, Visit


@given(_daemon=no_daemon)
def listen(
    _daemon: None,
    config_file: ConfigFile = None,
    data_dir: DataDirOption = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Where to listen, on 127.0.0.1.")] = 9000,
    secret: Annotated[
        str | None,
        typer.Option(
            "--secret", help="The endpoint's whsec_… or whpk_…; default: the one --dev made, if there is one."
        ),
    ] = None,
    fail_rate: Annotated[
        float, typer.Option("--fail-rate", min=0, max=1, help="The share of requests that is answered 500.")
    ] = 0.0,
    delay: Annotated[str, typer.Option("--delay", help='How long to think before each answer, like "200ms".')] = "0ms",
    as_json: Json = False,
) -> None:
    """Be a merchant: verify each request, drop repeated webhook-ids, print what comes.

    Point an endpoint at it: url = "http://127.0.0.1:9000/" with allow_networks = ["127.0.0.0/8"].

    webhookd listen --secret "$SHOP_SECRET" --fail-rate 0.3 --delay 200ms
    """
    delay_ms = parse_duration(delay, "--delay")
    checked = (
        _secret(secret)
        if secret
        else dev_secrets(read_config(config_file, {"data_dir": data_dir}).data_dir, create=False).get(LOCAL)
    )

    def told(visit: Visit) -> None:
        if as_json:
            write_json(msgspec.json.encode(visit))
        else:
            print_visit(visit)

    merchant = Merchant(SystemClock().now_ms, told, secret=checked, fail_rate=fail_rate, delay_ms=delay_ms)
    try:
        asyncio.run(_run(merchant, port, verifies=checked is not None))
    except KeyboardInterrupt:
        return


async def _run(merchant: Merchant, port: int, *, verifies: bool) -> None:
    try:
        taken = await merchant.start("127.0.0.1", port)
    except OSError as error:
        fail(Exit.FOUND_WRONG, f"cannot listen on 127.0.0.1:{port}: {error.strerror}; try --port")
    how = "" if verifies else ", without a secret: signatures are not checked"
    messages.print(f"a merchant listens on http://127.0.0.1:{taken}/{how}", highlight=False, soft_wrap=True)
    try:
        await asyncio.Event().wait()
    finally:
        await merchant.stop()


def print_visit(visit: Visit, name: str | None = None) -> None:
    """One line for a request the merchant got."""
    signed = {True: "[green]signed[/]", False: "[red]BAD SIGNATURE[/]", None: "unchecked"}[visit.verified]
    marks = "".join((" [yellow]repeated[/]" if visit.repeated else "", " [cyan]replay[/]" if visit.replay else ""))
    who = f"[bold]{name}[/] ← " if name else ""
    output.print(
        f"{who}{visit.status} {marked(visit.type)} {marked(visit.event_id)} attempt {marked(visit.attempt)}, {visit.size} bytes, {signed}{marks}",
        highlight=False,
        soft_wrap=True,
    )


def _secret(text: str) -> Secret:
    secret = Secret(text)
    try:
        Standard(Credentials([secret]))
    except CredentialsError as error:
        raise typer.BadParameter(str(error), param_hint="--secret") from None
    return secret
