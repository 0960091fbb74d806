"""`webhookd trigger`: a provider on your desk."""

import asyncio
import random
import time
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from webhookd.cli.options import (
    ConfigFile,
    DataDirOption,
    Exit,
    Json,
    UnusedTokenFile,
    cell,
    fail,
    listing,
    marked,
    messages,
    output,
    read_config,
    show,
    write_json,
)
from webhookd.config import Config
from webhookd.core.secret import Secret
from webhookd.observe.whereabouts import running_at
from webhookd.providers import PROVIDERS
from webhookd.providers.provider import CannotSignError, Credentials
from webhookd.sandbox.dev import dev_credentials, dev_secrets
from webhookd.sandbox.samples import Typed, sample, types
from webhookd.sandbox.sender import Sender, Sent

COUNT_MAX = 1_000_000
SHOWN_MAX = 10


def trigger(
    provider: Annotated[str | None, typer.Argument(metavar="PROVIDER", help=f"One of {', '.join(PROVIDERS)}.")] = None,
    event_type: Annotated[str | None, typer.Argument(metavar="TYPE", help="An event type; --list shows them.")] = None,
    config_file: ConfigFile = None,
    data_dir: DataDirOption = None,
    list_types: Annotated[bool, typer.Option("--list", help="List the types there are samples of.")] = False,
    count: Annotated[int, typer.Option("-n", min=1, max=COUNT_MAX, help="How many.")] = 1,
    rate: Annotated[
        float | None, typer.Option("--rate", min=0.01, help="So many a second; default: as fast as it goes.")
    ] = None,
    duplicates: Annotated[
        float, typer.Option("--duplicates", min=0, max=1, help="The share that is sent twice.")
    ] = 0.0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Set a field, in JSON or as text: data.object.amount=995; an id is set wherever it is.",
        ),
    ] = None,
    body_file: Annotated[
        Path | None, typer.Option("--body", exists=True, dir_okay=False, help="Send these bytes as they are.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Where to; default: the configured source of this provider.")
    ] = None,
    secret: Annotated[
        str | None, typer.Option("--secret", help="Sign with this; default: the source's first secret.")
    ] = None,
    _token_file: UnusedTokenFile = None,
    as_json: Json = False,
) -> None:
    """Send correctly signed, realistic events, as the provider would.

    webhookd trigger stripe payment_intent.succeeded
    webhookd trigger stripe charge.refunded -n 1000 --rate 50 --duplicates 0.1
    webhookd trigger --list standard
    """
    if provider is not None and provider not in PROVIDERS:
        raise typer.BadParameter(f"must be one of {', '.join(PROVIDERS)}", param_hint="PROVIDER")
    if list_types:
        _list(provider, as_json=as_json)
        return
    if provider is None or (event_type is None and body_file is None):
        raise typer.BadParameter("say which PROVIDER and which TYPE (or --body); `trigger --list` shows both")
    if event_type is not None and body_file is None and event_type not in types(provider):
        raise typer.BadParameter(f"there is no sample of {cell(event_type)[:80]}; `webhookd trigger --list {provider}`")
    if url is not None and not url.startswith(("http://", "https://")):
        raise typer.BadParameter("must begin with http:// or https://", param_hint="--url")
    changes = dict(_setting(text) for text in settings or ())
    # With both given the sources need not be looked at, nor their secrets be ours to read.
    sections = ("server",) if url and secret else None
    config = read_config(config_file, {"data_dir": data_dir}, sections)
    target, credentials = _target(config, provider, url, secret)
    dice = random.Random()  # noqa: S311 - sample ids
    try:
        signer = PROVIDERS[provider](credentials)
        signer.sign(b"", 0, "msg_1")
        if body_file is None and event_type is not None:
            sample(provider, event_type, 0, dice, changes)  # so that a wrong --set is said before anything is sent
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    except CannotSignError as error:
        fail(Exit.CONFIG, str(error))

    def body(_number: int) -> bytes:
        if body_file is not None:
            return body_file.read_bytes()
        return sample(provider, event_type or "", int(time.time()), dice, changes)

    sender = Sender(target, signer, body, lambda: int(time.time()), duplicates=duplicates)
    refused = asyncio.run(_send(sender, count, rate, target, as_json=as_json))
    if refused:
        raise typer.Exit(refused)


async def _send(sender: Sender, count: int, rate: float | None, target: str, *, as_json: bool) -> Exit:
    results: dict[str, int] = {}
    unanswered = 0
    began = time.monotonic()
    with Progress(console=messages, transient=True, disable=not messages.is_terminal or count < SHOWN_MAX) as progress:
        bar = progress.add_task("sending", total=count)
        async for sent in sender.send(count, rate):
            results[sent.result] = results.get(sent.result, 0) + 1
            unanswered += sent.status is None
            progress.update(bar, completed=sent.number + 1)
            if as_json:
                write_json(msgspec.json.encode(sent))
            elif count <= SHOWN_MAX:
                _show(sent)
    if not as_json and count > SHOWN_MAX:
        table = listing("result", "hooks")
        for result, number in sorted(results.items()):
            table.add_row(marked(result), str(number))
        output.print(
            f"{count} events to {marked(target)} in {time.monotonic() - began:.1f} s", highlight=False, soft_wrap=True
        )
        show(table, "nothing")
    if unanswered == sum(results.values()):
        fail(Exit.UNREACHABLE, f"nobody answers at {target}: is `webhookd serve` running?")
    taken = sum(results.get(result, 0) for result in ("accepted", "duplicate", "quarantined"))
    return Exit.DONE if taken == sum(results.values()) else Exit.FOUND_WRONG


def _show(sent: Sent) -> None:
    style = "green" if sent.status == 200 else "red"
    output.print(
        f"[{style}]{sent.status or '–'}[/] {marked(sent.result)} {marked(sent.event_id or '')} {sent.duration_ms:.1f} ms",
        highlight=False,
        soft_wrap=True,
    )


def _list(provider: str | None, *, as_json: bool) -> None:
    chosen = [provider] if provider else list(PROVIDERS)
    if as_json:
        write_json(msgspec.json.encode({name: types(name) for name in chosen}))
        return
    for name in chosen:
        for each in types(name):
            output.print(f"{name} {each}", highlight=False)


def _target(config: Config, provider: str, url: str | None, secret: str | None) -> tuple[str, Credentials]:
    """Where to send and what to sign with: as said, else from the configured source, else from what --dev made."""
    running = running_at(config.data_dir)
    base = running.hooks if running is not None else f"http://{config.server.listen}"
    configured = next(((name, each) for name, each in config.sources.items() if each.provider == provider), None)
    name, credentials = (configured[0], configured[1].credentials) if configured else (provider, None)
    if secret:
        credentials = dev_credentials(provider, Secret(secret))
    elif credentials is None and (made := dev_secrets(config.data_dir, create=False).get(provider)) is not None:
        credentials = dev_credentials(provider, made)
    if credentials is None:
        fail(
            Exit.CONFIG,
            f"no source of provider {provider} is configured, and no `serve --dev` has made one: say --url and --secret",
        )
    return url or f"{base}/webhooks/{name}", credentials


def _setting(text: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise typer.BadParameter("is PATH=VALUE, like data.object.amount=995", param_hint="--set")
    return path, Typed(value)
