"""`webhookd verify`: every promise checked against the database."""

from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from webhookd.cli.given import given
from webhookd.cli.options import (
    ConfigFile,
    DataDirOption,
    Exit,
    Json,
    fail,
    listing,
    marked,
    messages,
    no_daemon,
    output,
    read_config,
    show,
    write_json,
)
from webhookd.providers import reread
from webhookd.store.protocol.errors import StoreError
from webhookd.store.sqlite.audit import Finding, audit

CHECKS = ("integrity", "bodies", "deliveries", "ledger", "payments")


class Verdict(msgspec.Struct):
    checks: tuple[str, ...]
    findings: list[Finding]


@given(_no_daemon=no_daemon)
def verify(
    database: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A copy of the database; default: the one of the configuration."),
    ] = None,
    config_file: ConfigFile = None,
    data_dir: DataDirOption = None,
    as_json: Json = False,
    _no_daemon: Any = None,
) -> None:
    """Check every promise: beside a running daemon, or on a copy. Changes nothing; exit code 1 if any is broken.

    integrity   the database is whole
    bodies      every event's bytes are those that were taken in
    deliveries  each event is owed once to each endpoint that asked for it, and its attempts are all on record
    ledger      the ledger is what the log, counted again, makes it
    payments    nobody who was to hear of a captured payment was given up on, and somebody was to hear

    webhookd verify
    webhookd verify /backups/webhookd.db --json
    """
    path = database or read_config(config_file, {"data_dir": data_dir}, ("server", "store")).database
    if not path.is_file():
        fail(Exit.USAGE, f"{path}: there is no such database (see --data-dir)")
    findings: list[Finding] = []
    try:
        with Progress(console=messages, transient=True, disable=not messages.is_terminal) as progress:
            bar = progress.add_task("verifying", total=None)
            findings = list(
                audit(
                    path,
                    reread,
                    lambda what, done, total: progress.update(bar, description=what, completed=done, total=total),
                )
            )
    except StoreError as error:
        fail(Exit.FOUND_WRONG, f"{path}: {error}")
    if as_json:
        write_json(msgspec.json.encode(Verdict(CHECKS, findings)))
    elif findings:
        table = listing("check", "what", "is wrong")
        for finding in findings:
            table.add_row(*map(marked, (finding.check, finding.subject, finding.detail)))
        show(table, "")
        if any(finding.check == "payments" for finding in findings):
            messages.print(
                "payments: no fault of the database; somebody has not heard of money. `webhookd why PAYMENT` says what "
                "happened, `webhookd replay` sends it again",
                highlight=False,
                soft_wrap=True,
            )
    else:
        output.print(f"{', '.join(CHECKS)}: nothing is wrong", highlight=False, soft_wrap=True)
    if findings:
        raise typer.Exit(Exit.FOUND_WRONG)
