"""The `webhookd` command: its verbs, each from a file of its own, which is read when the verb is asked for."""

import importlib
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from webhookd import __version__


class Verb(NamedTuple):
    file: str
    what: str
    """The function, or the group of verbs."""
    about: str
    """What the list of verbs says of it: the first sentence or two of its own help, so that no file need be read."""


VERBS = {
    "serve": Verb("serve", "serve", "Receive hooks, keep them, deliver them: the daemon."),
    "listen": Verb(
        "listen", "listen", "Be a merchant: verify each request, drop repeated webhook-ids, print what comes."
    ),
    "trigger": Verb("trigger", "trigger", "Send correctly signed, realistic events, as the provider would."),
    "publish": Verb(
        "publish", "publish", "Publish an event of your own: stored, delivered and retried as a provider's is."
    ),
    "status": Verb(
        "status",
        "status",
        "Health, rates, backlog and the oldest undelivered event, by endpoint. Exit 1 when it cannot accept hooks.",
    ),
    "sources": Verb(
        "sources",
        "sources",
        "The configured sources: where each takes hooks, its last new event, and counts since the daemon started.",
    ),
    "verify": Verb(
        "verify",
        "verify",
        "Check every promise: beside a running daemon, or on a copy. Changes nothing; exit code 1 if any is broken.",
    ),
    "events": Verb("events", "app", "What is in the log."),
    "deliveries": Verb("deliveries", "app", "What is owed to whom."),
    "endpoints": Verb("endpoints", "app", "Who is delivered to."),
    "payments": Verb("payments", "app", "What the events say of each payment."),
    "tokens": Verb("tokens", "app", "Who may ask the API for what."),
    "audit": Verb("audit", "app", "Who changed what, when and from where."),
    "why": Verb(
        "why",
        "why",
        "Everything that happened to one event or delivery, in order, and what to do now. Times are UTC.",
    ),
    "reconcile": Verb(
        "reconcile",
        "reconcile",
        "Compare a provider's own export of events with the log: what is missing, different or extra.",
    ),
    "replay": Verb(
        "replay",
        "replay",
        "Make deliveries due again, with `webhookd-replay: true`; or for the first time, to an endpoint that came later.",
    ),
    "cleanup": Verb(
        "cleanup",
        "cleanup",
        "Take finished history out of the log: events with all their deliveries and attempts, never anything undelivered.",
    ),
    "backup": Verb(
        "backup",
        "backup",
        "Copy the database, beside all else that the daemon does, or without one. The copy is read back before it counts.",
    ),
    "migrate": Verb(
        "migrate",
        "migrate",
        "Bring the database up to date with this version, which `serve` does too when it starts.",
    ),
    "move": Verb(
        "move",
        "move",
        "Move the log from SQLite to PostgreSQL: all events, deliveries, attempts, endpoints, tokens, the ledger, the trail.",
    ),
    "revenue": Verb("revenue", "revenue", "Captured, refunded and disputed for each currency; days are those of UTC."),
    "ledger": Verb("ledger", "app", "What the events say about money: refunds, disputes, invoices, …"),
    "outbox": Verb("outbox", "app", "A table of your application's, whose rows become events."),
    "config": Verb("configuration", "app", "Is the configuration right, and what does it amount to."),
    "reload": Verb(
        "reload",
        "reload",
        "Have the daemon read its configuration again: all of it, or nothing where there is a mistake in it.",
    ),
}


class Verbs(TyperGroup):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._is_listing = False
        self.commands = {name: TyperCommand(name, help=verb.about) for name, verb in VERBS.items()}

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self._is_listing = True
        super().format_help(ctx, formatter)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if self._is_listing or cmd_name not in VERBS:
            return super().get_command(ctx, cmd_name)
        return read_verb(cmd_name)


def read_verb(name: str) -> Any:
    """The verb, or the group of them, from its file."""
    verb = VERBS[name]
    found = getattr(importlib.import_module(f"webhookd.cli.{verb.file}"), verb.what)
    command: Any
    if isinstance(found, typer.Typer):
        command = typer.main.get_group(found)
    else:
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(name)(found)
        command = typer.main.get_command(alone)
    command.name = name
    return command


app = typer.Typer(
    cls=Verbs,
    help="A payment-webhook gateway in one process: 200 means fsynced, kill -9 loses nothing.\n\n"
    "Start with `webhookd serve --dev`, then `webhookd trigger stripe payment_intent.succeeded`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"webhookd {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


def main() -> None:
    app()
