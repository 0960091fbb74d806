"""`webhookd outbox`: a table of your application's, whose rows become events."""

import asyncio
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from webhookd.cli.given import given
from webhookd.cli.options import (
    ConfigFile,
    DataDirOption,
    Exit,
    Json,
    cell,
    fail,
    no_daemon,
    output,
    read_config,
    write_json,
)
from webhookd.outboxes import table_of
from webhookd.relay.shipped import sql
from webhookd.relay.table import OutboxError, TakenElsewhereError

app = typer.Typer(help="A table of your application's, whose rows become events.", no_args_is_help=True)


class Engine(StrEnum):
    POSTGRES = "postgres"
    SQLITE = "sqlite"


class Checked(msgspec.Struct):
    source: str
    table: str
    right: bool
    reason: str | None
    """What is wrong, and what to do about it."""


@app.command("sql")
@given(_daemon=no_daemon)
def print_sql(
    _daemon: None,
    engine: Annotated[Engine, typer.Option("--engine", help="Which database your application has.")],
    as_json: Json = False,
) -> None:
    """Print the SQL that makes an outbox in your application's database. Nothing is run: read it, and run it yourself.

    It is a table, an index and, for PostgreSQL, a trigger that calls webhookd when a row is committed. Then write an event into it in the transaction that it tells of, and name the database in a source of provider "outbox".

    webhookd outbox sql --engine postgres | psql postgresql://shop@db.internal/shop

    webhookd outbox sql --engine sqlite | sqlite3 /srv/shop/shop.db
    """
    text = sql(engine.value)
    if as_json:
        write_json(msgspec.json.encode({"engine": engine.value, "sql": text}))
    else:
        typer.echo(text, nl=False)


@app.command("check")
@given(_daemon=no_daemon)
def check_outboxes(
    _daemon: None, config_file: ConfigFile = None, data_dir: DataDirOption = None, as_json: Json = False
) -> None:
    """Open each outbox that is configured, as the daemon would, and say what is wrong with it. Changes nothing.

    Exit code 0 when all can be used, 1 otherwise. A daemon may run meanwhile.

    webhookd outbox check -c /etc/webhookd/webhookd.toml
    """
    config = read_config(config_file, {"data_dir": data_dir})

    async def look() -> list[Checked]:
        found = []
        for name, settings in config.outboxes.items():
            table, reason = table_of(settings, config), None
            try:
                await table.open()
            except TakenElsewhereError:
                pass  # by the daemon, most likely
            except OutboxError as error:
                reason = str(error)
            finally:
                await table.close()
            found.append(Checked(name, settings.table, reason is None, reason))
        return found

    found = asyncio.run(look())
    if as_json:
        write_json(msgspec.json.encode({"data": found}))
    elif not found:
        output.print('no outbox is configured: one is a source of provider = "outbox"', markup=False)
    for each in found if not as_json else ():
        if each.right:
            output.print(f"{each.source}: {cell(each.table)} can be used", markup=False, highlight=False)
    if wrong := [f"{each.source}: {each.reason}" for each in found if not each.right]:
        fail(Exit.FOUND_WRONG, *wrong)
