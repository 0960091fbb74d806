"""`webhookd config`: is the configuration right, and what does it amount to."""

import msgspec
import typer
from rich.pretty import pprint

from webhookd.cli.options import ConfigFile, DataDirOption, Json, output, read_config, write_json
from webhookd.config.model import shown
from webhookd.config.reader import find

app = typer.Typer(help="Is the configuration right, and what does it amount to.", no_args_is_help=True)


@app.command("check")
def check_config(config_file: ConfigFile = None, data_dir: DataDirOption = None) -> None:
    """Find every mistake at once. Exit 0 when there is none, 78 otherwise."""
    config = read_config(config_file, data_dir=data_dir)
    where = find(config_file) or "built-in defaults"
    output.print(f"{where}: right. {len(config.sources)} sources, {len(config.endpoints)} endpoints", highlight=False)


@app.command("show")
def show_config(config_file: ConfigFile = None, data_dir: DataDirOption = None, as_json: Json = False) -> None:
    """The effective configuration: file, environment and options together. Secrets are masked."""
    effective = shown(read_config(config_file, data_dir=data_dir))
    if as_json:
        write_json(msgspec.json.encode(effective))
    else:
        pprint(effective, console=output, expand_all=True)
