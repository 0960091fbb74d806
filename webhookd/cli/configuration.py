"""`webhookd config`: is the configuration right, and what does it amount to."""

import msgspec
import typer
from rich.pretty import pprint

from webhookd.cli.given import given
from webhookd.cli.options import (
    ConfigFile,
    DataDirOption,
    Exit,
    Json,
    fail,
    no_daemon,
    output,
    read_config,
    write_json,
)
from webhookd.config import ConfigError, load
from webhookd.config.reader import find
from webhookd.config.value import shown

app = typer.Typer(help="Is the configuration right, and what does it amount to.", no_args_is_help=True)


@app.command("check")
@given(_daemon=no_daemon)
def check_config(
    _daemon: None, config_file: ConfigFile = None, data_dir: DataDirOption = None, as_json: Json = False
) -> None:
    """Find every mistake at once. Exit 0 when there is none, 78 otherwise."""
    try:
        config = load(config_file, {"data_dir": data_dir})
    except ConfigError as error:
        if as_json:
            write_json(msgspec.json.encode({"right": False, "mistakes": error.mistakes}))
        fail(Exit.CONFIG, *error.mistakes)
    if as_json:
        write_json(msgspec.json.encode({"right": True, "mistakes": []}))
        return
    where = find(config_file) or "built-in defaults"
    output.print(
        f"{where}: right. {len(config.sources)} sources, {len(config.endpoints)} endpoints",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )


@app.command("show")
@given(_daemon=no_daemon)
def show_config(
    _daemon: None, config_file: ConfigFile = None, data_dir: DataDirOption = None, as_json: Json = False
) -> None:
    """The effective configuration: file, environment and options together. Secrets are masked."""
    effective = shown(read_config(config_file, {"data_dir": data_dir}))
    if as_json:
        write_json(msgspec.json.encode(effective))
    else:
        pprint(effective, console=output, expand_all=True)
