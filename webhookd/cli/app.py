"""The `webhookd` command: its verbs, each from a file of its own."""

from typing import Annotated

import typer

from webhookd import __version__
from webhookd.cli import audit, configuration, deliveries, endpoints, events, ledger, payments, tokens
from webhookd.cli.backup import backup
from webhookd.cli.cleanup import cleanup
from webhookd.cli.listen import listen
from webhookd.cli.migrate import migrate
from webhookd.cli.publish import publish
from webhookd.cli.reconcile import reconcile
from webhookd.cli.reload import reload
from webhookd.cli.replay import replay
from webhookd.cli.revenue import revenue
from webhookd.cli.serve import serve
from webhookd.cli.sources import sources
from webhookd.cli.status import status
from webhookd.cli.trigger import trigger
from webhookd.cli.verify import verify
from webhookd.cli.why import why

app = typer.Typer(
    help="A payment-webhook gateway in one process: 200 means fsynced, kill -9 loses nothing.\n\n"
    "Start with `webhookd serve --dev`, then `webhookd trigger stripe payment_intent.succeeded`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(serve)
app.command()(listen)
app.command()(trigger)
app.command()(publish)
app.command()(status)
app.command()(sources)
app.command()(verify)
app.add_typer(events.app, name="events")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(endpoints.app, name="endpoints")
app.add_typer(payments.app, name="payments")
app.add_typer(tokens.app, name="tokens")
app.add_typer(audit.app, name="audit")
app.command()(why)
app.command()(reconcile)
app.command()(replay)
app.command()(cleanup)
app.command()(backup)
app.command()(migrate)
app.command()(revenue)
app.add_typer(ledger.app, name="ledger")
app.add_typer(configuration.app, name="config")
app.command()(reload)


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
