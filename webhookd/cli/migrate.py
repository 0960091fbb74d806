"""`webhookd migrate`: the database brought up to date, without serving."""

import asyncio
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from webhookd.cli.database import database_file, must_be_a_file
from webhookd.cli.given import given
from webhookd.cli.options import (
    ConfigFile,
    DataDirOption,
    Exit,
    Json,
    fail,
    messages,
    no_daemon,
    output,
    read_config,
    write_json,
)
from webhookd.clock import SystemClock
from webhookd.observe import logs
from webhookd.store.data_dir import DataDir, DataDirError
from webhookd.store.protocol.errors import StoreError
from webhookd.store.seal import SealError
from webhookd.store.sqlite.connection import SCHEMA_VERSION, WrongDatabaseError
from webhookd.store.sqlite.migrate import Migrated
from webhookd.upgrade import bring_up_to_date

_ANY_SIZE = 2**63


@given(_no_daemon=no_daemon)
def migrate(
    config_file: ConfigFile = None,
    data_dir: DataDirOption = None,
    compact: Annotated[
        bool, typer.Option("--compact/--no-compact", help="Also have an older file give back freed space from now on.")
    ] = True,
    as_json: Json = False,
    _no_daemon: Any = None,
) -> None:
    """Bring the database up to date with this version, which `serve` does too when it starts.

    A verified copy is made first (backups/before-schema-….db), then all is changed in one transaction: a crash leaves the old database or the new one. The daemon must not run meanwhile. A file from before schema 4 is then written anew once, so that it gets shorter when history ends; `serve` leaves that alone when the file is large.

    webhookd migrate

    webhookd migrate --no-compact --json
    """
    config = read_config(config_file, {"data_dir": data_dir}, ("server", "store"))
    must_be_a_file(config, "`webhookd serve` sees to its tables when it starts")
    database = database_file(config)
    logs.configure()
    with Progress(console=messages, transient=True, disable=not messages.is_terminal) as progress:
        bar = progress.add_task("looking", total=None)

        def told(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total or None)

        async def work() -> Migrated | None:
            with DataDir(config.data_dir) as held:
                return await bring_up_to_date(
                    held, config, SystemClock(), told, compact_up_to=_ANY_SIZE if compact else 0
                )

        try:
            migrated = asyncio.run(work())
        except (DataDirError, WrongDatabaseError, SealError) as error:
            fail(Exit.CONFIG, str(error))
        except (StoreError, OSError) as error:
            fail(Exit.FOUND_WRONG, str(error))
    if as_json:
        was, backup = (migrated.schema, str(migrated.backup)) if migrated else (SCHEMA_VERSION, None)
        write_json(msgspec.json.encode({"was": was, "schema": SCHEMA_VERSION, "backup": backup}))
    elif migrated is None:
        output.print(f"{database} has schema {SCHEMA_VERSION}: nothing to do", highlight=False, soft_wrap=True)
    else:
        text = f"{database}: schema {migrated.schema} → {SCHEMA_VERSION}; as it was: {migrated.backup}"
        output.print(text, highlight=False, soft_wrap=True)
