"""`webhookd verify`: every promise checked against the database."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from webhookd.cli.database import database_file
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
from webhookd.config.store_url import StoreUrl
from webhookd.providers import reread
from webhookd.store.protocol.errors import StoreError
from webhookd.store.sql.audit import Finding
from webhookd.store.sql.audit import Progress as Heard
from webhookd.store.sqlite.audit import audit

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
    if database is None:
        config = read_config(config_file, {"data_dir": data_dir}, ("server", "store"))
        findings = _of_postgres(config.store.url) if config.store.url.file is None else _of_file(database_file(config))
    elif not database.is_file():
        fail(Exit.USAGE, f"{database}: there is no such database (see --data-dir)")
    else:
        findings = _of_file(database)
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


def _of_file(path: Path) -> list[Finding]:
    try:
        with _watched() as progress:
            return [*audit(path, reread, progress)]
    except StoreError as error:
        fail(Exit.FOUND_WRONG, f"{path}: {error}")


def _of_postgres(url: StoreUrl) -> list[Finding]:
    from webhookd.store.postgres.audit import audit as audit_postgres  # noqa: PLC0415 - asyncpg may not be installed

    try:
        with _watched() as progress:
            return [*asyncio.run(audit_postgres(url.url.reveal(), reread, progress))]
    except StoreError as error:
        fail(Exit.FOUND_WRONG, str(error))


@contextmanager
def _watched() -> Iterator[Heard]:
    """A bar on standard error that shows how far it is."""
    with Progress(console=messages, transient=True, disable=not messages.is_terminal) as progress:
        bar = progress.add_task("verifying", total=None)
        yield lambda what, done, total: progress.update(bar, description=what, completed=done, total=total)
