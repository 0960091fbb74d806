"""`webhookd config`: is the configuration right, and what does it amount to."""

import msgspec
import typer

from webhookd.cli.given import given
from webhookd.cli.options import (
    ConfigFile,
    DataDirOption,
    Exit,
    Json,
    config_errors,
    fail,
    messages,
    no_daemon,
    output,
    write_json,
)
from webhookd.config import ConfigError
from webhookd.config.doubts import doubts
from webhookd.config.mistake import Found
from webhookd.config.reader import find, read
from webhookd.config.value import shown
from webhookd.config.written import written

app = typer.Typer(help="Is the configuration right, and what does it amount to.", no_args_is_help=True)


class Verdict(msgspec.Struct):
    right: bool
    mistakes: list[Found]
    warnings: list[Found]
    """What is right and likely not what was meant."""


@app.command("check")
@given(_daemon=no_daemon)
def check_config(
    _daemon: None, config_file: ConfigFile = None, data_dir: DataDirOption = None, as_json: Json = False
) -> None:
    """Find every mistake at once, each with its file, line, key and what may have been meant.

    Exit code 0 when there is none, 78 otherwise. Warnings are for what is right and likely not meant; they change nothing.

    webhookd config check -c /etc/webhookd/webhookd.toml
    """
    try:
        loaded = read(config_file, {"data_dir": data_dir})
    except ConfigError as error:
        if as_json:
            write_json(msgspec.json.encode(Verdict(right=False, mistakes=error.found, warnings=[])))
        fail(Exit.CONFIG, *error.mistakes)
    warnings = [loaded.places.found(*doubt) for doubt in doubts(loaded.config)]
    for each in warnings:
        messages.print(f"webhookd: warning: {each}", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        write_json(msgspec.json.encode(Verdict(right=True, mistakes=[], warnings=warnings)))
        return
    where, config = find(config_file) or "built-in defaults", loaded.config
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
    """The effective configuration as a TOML file: file, environment and options together, with every default.

    Where a secret is named (env:, file:, credential:) its name is shown; one that stands in the file is stars, which
    `config check` asks to be put in again.

    webhookd config show > effective.toml
    """
    with config_errors():
        loaded = read(config_file, {"data_dir": data_dir})
    if as_json:
        write_json(msgspec.json.encode(shown(loaded.config)))
    else:
        typer.echo(written(loaded.config, loaded.origins), nl=False)
