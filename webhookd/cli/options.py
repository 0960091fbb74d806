"""Options that verbs share, and how a command ends: the exit codes of the contract."""

import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from webhookd.config import Config, ConfigError, load
from webhookd.core.units import duration_ms


class Exit(IntEnum):
    DONE = 0
    FOUND_WRONG = 1
    USAGE = 2
    UNREACHABLE = 69
    CONFIG = 78


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", help="The configuration. Default: ./webhookd.toml, then /etc/webhookd/webhookd.toml."
    ),
]
DataDirOption = Annotated[str | None, typer.Option("--data-dir", help="Overrides server.data_dir.")]
Url = Annotated[str | None, typer.Option("--url", help="The admin listener of the daemon to ask.")]
TokenFile = Annotated[Path | None, typer.Option("--token-file", help="Default: admin.token in the data directory.")]
UnusedUrl = Annotated[str | None, typer.Option("--url", hidden=True)]
UnusedTokenFile = Annotated[Path | None, typer.Option("--token-file", hidden=True)]
Json = Annotated[bool, typer.Option("--json", help="One JSON document (or JSON lines) on standard output.")]

messages = Console(stderr=True)
output = Console()


def complain(*lines: str) -> None:
    """Say on standard error what is wrong. What is quoted in it steers no terminal and begins no line."""
    for line in lines:
        messages.print(
            f"webhookd: {line if line.isprintable() else ascii(line)[1:-1]}",
            style="red" if messages.is_terminal else None,
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def fail(code: Exit, *lines: str) -> NoReturn:
    complain(*lines)
    raise typer.Exit(code)


@contextmanager
def config_errors() -> Iterator[None]:
    """Turn a ConfigError into its lines and exit code."""
    try:
        yield
    except ConfigError as error:
        fail(Exit.CONFIG, *error.mistakes)


def no_daemon(url: UnusedUrl = None, token_file: UnusedTokenFile = None) -> None:
    """What a verb is given that asks no daemon: nothing, but it takes the options that every verb takes."""


def read_config(
    path: Path | None, server: Mapping[str, str | None] | None = None, sections: Collection[str] | None = None
) -> Config:
    """The configuration, or the end of the command with all that is wrong in it."""
    with config_errors():
        return load(path, server, sections=sections)


def parse_duration(text: str, option: str) -> int:
    """Milliseconds; a wrong one is wrong usage."""
    try:
        return duration_ms(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def write_json(text: str | bytes) -> None:
    sys.stdout.write((text if isinstance(text, str) else text.decode()) + "\n")
    sys.stdout.flush()


def listing(*columns: str) -> Table:
    """A table for lists."""
    return Table(*columns, box=SIMPLE_HEAD, pad_edge=False)


def show(table: Table, otherwise: str) -> None:
    """Print it as wide as it is: an id that is cut short is of no use, and a terminal wraps or scrolls."""
    if not table.row_count:
        output.print(otherwise)
        return
    wide = Console(width=1_000)
    wide.width = max(Measurement.get(wide, wide.options, table).maximum, 20)
    wide.print(table)


def cell(value: Any) -> str:
    """A value as it is shown: what came from outside may hold control characters that must not reach the terminal."""
    text = "–" if value is None else str(value)
    return text if text.isprintable() else ascii(text)[1:-1]


def marked(value: Any) -> str:
    """The same where rich's markup is read, as in a table: a value's own brackets are no markup."""
    return escape(cell(value))
