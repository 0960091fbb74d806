"""Reads the configuration, from the file, the environment and the command line, or says all that is wrong with it."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from webhookd.config.checks import Checks
from webhookd.config.environment import override
from webhookd.config.mistake import ConfigError
from webhookd.config.model import Config
from webhookd.config.secret_text import OperatorsTexts
from webhookd.config.table import Places, TableReader
from webhookd.config.toml import read_toml

PLACES = (Path("webhookd.toml"), Path("/etc/webhookd/webhookd.toml"))


class Loaded(NamedTuple):
    config: Config
    places: Places
    """Where each setting stands."""
    origins: Mapping[str, str]
    """Those that are not from the file, each with its variable or option."""


def find(path: Path | None) -> Path | None:
    """The file that is read: the one asked for, else the first of PLACES that is there. Raises ConfigError."""
    if path is not None:
        if not path.is_file():
            raise ConfigError([f"{path}: there is no such file"])
        return path
    return next((place for place in PLACES if place.is_file()), None)


def load(
    path: Path | None,
    server: Mapping[str, str | None] | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    sections: Collection[str] | None = None,
    opened: Sequence[str] = (),
) -> Config:
    """The configuration from the file, overridden by the environment, overridden by the `server` settings given.

    Raises ConfigError.
    """
    return read(path, server, environment, sections=sections, opened=opened).config


def read(
    path: Path | None,
    server: Mapping[str, str | None] | None = None,
    environment: Mapping[str, str] = os.environ,
    *,
    sections: Collection[str] | None = None,
    opened: Sequence[str] = (),
) -> Loaded:
    """The same, and where it is from.

    `sections` are the tables that are looked at, if not all: who only asks where the daemon is need not be able to
    read its secrets. `opened` are networks that endpoints may be in beside those configured. Raises ConfigError.
    """
    table: dict[str, Any] = {}
    where, lines = "built-in defaults", None
    if (found := find(path)) is not None:
        where = str(found)
        table, lines = read_toml(found)
    origins = override(table, environment)
    given = {name: value for name, value in (server or {}).items() if value is not None}
    if given and isinstance(table.setdefault("server", {}), dict):
        table["server"].update(given)
        origins |= {f"server.{name}": "--" + name.replace("_", "-") for name in given}
    if opened and isinstance(delivery := table.setdefault("delivery", {}), dict):
        configured = delivery.get("allow_networks", [])
        delivery["allow_networks"] = [*configured, *opened] if isinstance(configured, list) else configured
    if sections is not None:
        table = {name: each for name, each in table.items() if name in sections}
    places = Places(where, lines, origins)
    return Loaded(_config(table, places, environment, is_whole=sections is None), places, origins)


def from_table(table: Mapping[str, Any], where: str, environment: Mapping[str, str] = os.environ) -> Config:
    """Raises ConfigError with all that is wrong."""
    return _config(table, Places(where), environment, is_whole=True)


def _config(table: Mapping[str, Any], places: Places, environment: Mapping[str, str], *, is_whole: bool) -> Config:
    sources = table.get("sources")
    checks = Checks(sources if isinstance(sources, dict) else {}, is_whole=is_whole)
    reader = TableReader(OperatorsTexts(environment), checks)
    config: Config | None = reader.struct(Config, table)
    if reader.mistakes or config is None:
        found = sorted((places.found(*mistake) for mistake in reader.mistakes), key=lambda each: each.line or 0)
        raise ConfigError(found)  # as they stand in the file
    return config
