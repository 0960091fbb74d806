"""Reads the configuration and finds every mistake in it at once, each with file, key and reason."""

import difflib
import os
import stat
import tomllib
import typing
from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from webhookd.config.model import NAME, NOT_YET, Address, Config, Duration, EndpointSettings, Size, SourceSettings
from webhookd.core.endpoint import check_pattern
from webhookd.core.secret import Secret
from webhookd.core.signature import symmetric_key
from webhookd.providers import PROVIDERS

PLACES = (Path("webhookd.toml"), Path("/etc/webhookd/webhookd.toml"))
ENVIRONMENT_PREFIX = "WEBHOOKD_"
URL_CHARS_MAX = 2048


class ConfigError(Exception):
    """The configuration cannot be used. `mistakes` holds one line for each reason."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class _FromEnvironment(str):
    """A value that came as text and may mean a number or a truth value."""

    __slots__ = ()


def find(path: Path | None) -> Path | None:
    """The file that is read: the one asked for, else the first of PLACES that is there. Raises ConfigError."""
    if path is not None:
        if not path.is_file():
            raise ConfigError([f"{path}: there is no such file"])
        return path
    return next((place for place in PLACES if place.is_file()), None)


def load(
    path: Path | None, server: Mapping[str, str | None] | None = None, environment: Mapping[str, str] = os.environ
) -> Config:
    """The configuration from the file, overridden by the environment, overridden by the `server` settings given.

    Raises ConfigError.
    """
    table: dict[str, Any] = {}
    where = "built-in defaults"
    if (found := find(path)) is not None:
        where = str(found)
        try:
            table = tomllib.loads(found.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError([f"{where}: not TOML: {error}"]) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError([f"{where}: cannot be read: {error}"]) from None
    _override(table, environment)
    given = {name: value for name, value in (server or {}).items() if value is not None}
    if given and isinstance(table.setdefault("server", {}), dict):
        table["server"].update(given)
    return from_table(table, where, environment)


def from_table(table: Mapping[str, Any], where: str, environment: Mapping[str, str] = os.environ) -> Config:
    """Raises ConfigError with all that is wrong in the table."""
    reader = _Reader(where, environment)
    config: Config | None = reader.struct(Config, table, "")
    if config is not None:
        reader.check(config)
    if reader.mistakes or config is None:
        raise ConfigError(reader.mistakes)
    return config


class _Reader:
    def __init__(self, where: str, environment: Mapping[str, str]) -> None:
        self._where = where
        self._environment = environment
        self.mistakes: list[str] = []

    def wrong(self, key: str, reason: str) -> None:
        self.mistakes.append(f"{self._where}: {key}: {reason}")

    def struct(self, kind: Any, table: Any, key: str) -> Any:
        """The struct of a table, or None when something in it is wrong; every field is looked at either way."""
        if not isinstance(table, dict):
            self.wrong(key, f"must be a table, not {_kind(table)}")
            return None
        hints = typing.get_type_hints(kind, include_extras=True)
        for name in table.keys() - hints.keys():
            self._unknown(name, hints, key)
        values = {}
        complete = True
        for each in msgspec.structs.fields(kind):
            name = f"{key}.{each.name}".lstrip(".")
            if each.name in table:
                value = self._value(hints[each.name], table[each.name], name)
                complete = complete and value is not _WRONG
                values[each.name] = value
            elif each.required:
                self.wrong(name, "is missing")
                complete = False
        return kind(**values) if complete else None

    def _value(self, kind: Any, value: Any, key: str) -> Any:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not Address:
            found = self.struct(kind, value, key)
            return _WRONG if found is None else found
        if typing.get_origin(kind) is dict:
            return self._named(typing.get_args(kind)[1], value, key)
        try:
            if kind is Address:  # a struct, which msgspec would not ask the hook about
                return self._custom(kind, value)
            strict = not isinstance(value, _FromEnvironment)
            return msgspec.convert(value, kind, dec_hook=self._custom, strict=strict)
        except (msgspec.ValidationError, ValueError) as error:
            self.wrong(key, str(error).replace(" - at `$", " - at `"))
            return _WRONG

    def _named(self, kind: Any, table: Any, key: str) -> Any:
        """A table of tables: sources and endpoints, each under its name."""
        if not isinstance(table, dict):
            self.wrong(key, f"must be a table of tables, not {_kind(table)}")
            return _WRONG
        found = {}
        for name, each in table.items():
            if not NAME.fullmatch(name):
                self.wrong(f"{key}.{name[:64]}", "a name has 1 to 64 of a-z, 0-9, _ and -")
            found[name] = self.struct(kind, each, f"{key}.{name}")
        return _WRONG if None in found.values() else found

    def _unknown(self, name: str, hints: Mapping[str, Any], key: str) -> None:
        full = f"{key}.{name}".lstrip(".")
        if name in NOT_YET.get(key.partition(".")[0], ()):
            self.wrong(full, "is not available in this version of webhookd")
            return
        near = difflib.get_close_matches(name, hints, n=1)
        self.wrong(full, "is not a setting" + (f"; did you mean {near[0]}?" if near else ""))

    def _custom(self, kind: Any, value: Any) -> Any:
        """Msgspec's hook for the types it does not know. Raises ValueError."""
        if not isinstance(value, str):
            raise ValueError(f"must be a string, not {_kind(value)}")  # noqa: TRY004 - msgspec hands on ValueError
        if kind in (Address, Duration, Size):
            return kind.parse(value)
        if kind is Secret:
            return resolve_secret(value, self._environment)
        return kind(value)

    def check(self, config: Config) -> None:
        """What no field can say alone."""
        if not config.store.url.startswith("sqlite:") or len(config.store.url) <= len("sqlite:"):
            self.wrong("store.url", 'must be "sqlite:FILE", relative to server.data_dir')
        if config.delivery.timeout < 1:
            self.wrong("delivery.timeout", "must be longer than 0")
        for text in config.delivery.allow_networks:
            try:
                ip_network(text)
            except ValueError as error:
                self.wrong("delivery.allow_networks", str(error))
        for name, source in config.sources.items():
            self._check_source(name, source)
        for name, endpoint in config.endpoints.items():
            self._check_endpoint(name, endpoint, config)

    def _check_source(self, name: str, source: SourceSettings) -> None:
        if source.provider not in PROVIDERS:
            self.wrong(f"sources.{name}.provider", f"must be one of {', '.join(PROVIDERS)}")
            return
        try:
            PROVIDERS[source.provider](source.secrets)
        except ValueError as error:
            self.wrong(f"sources.{name}.secrets", str(error))

    def _check_endpoint(self, name: str, endpoint: EndpointSettings, config: Config) -> None:
        key = f"endpoints.{name}"
        if (reason := url_mistake(endpoint.url)) is not None:
            self.wrong(f"{key}.url", reason)
        for source in endpoint.sources:
            if source not in config.sources:
                self.wrong(f"{key}.sources", f'there is no source "{source[:64]}"')
        for pattern in endpoint.events:
            try:
                check_pattern(pattern)
            except ValueError as error:
                self.wrong(f"{key}.events", str(error))
        if endpoint.secret is not None:
            try:
                symmetric_key(endpoint.secret.reveal())
            except ValueError as error:
                self.wrong(f"{key}.secret", str(error))


_WRONG: Any = object()


def resolve_secret(text: str, environment: Mapping[str, str]) -> Secret:
    """The secret that `env:`, `file:` or `credential:` points to, or the literal itself. Raises ValueError."""
    kind, _, name = text.partition(":")
    if kind == "env":
        if not environment.get(name):
            raise ValueError(f"the environment variable {name} is not set")
        return Secret(environment[name], text)
    if kind == "credential":
        directory = environment.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise ValueError("there is no $CREDENTIALS_DIRECTORY: systemd sets it where the unit says LoadCredential=")
        return Secret(_secret_file(Path(directory) / name, private=False), text)
    if kind == "file":
        return Secret(_secret_file(Path(name), private=True), text)
    if not text:
        raise ValueError("is empty")
    return Secret(text)


def _secret_file(path: Path, *, private: bool) -> str:
    try:
        if private and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ValueError(f"{path} can be read by others: chmod 600 it")
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if not text:
        raise ValueError(f"{path} is empty")
    return text


def url_mistake(url: str) -> str | None:
    """Why deliveries cannot go to this URL, or None. What its host resolves to is judged when it is dialled."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is not a URL"
    if len(url) > URL_CHARS_MAX or not url.isascii() or not url.isprintable() or " " in url:
        return f"must be at most {URL_CHARS_MAX} printable ASCII characters without spaces"
    if parts.scheme not in ("https", "http"):
        return "must begin with https:// (or http://, see allow_http)"
    if not parts.hostname or port == 0:
        return "has no host, or no port that can be connected to"
    if parts.username is not None or parts.fragment:
        return "must not hold a user name, a password or a #fragment"
    return None


def _override(table: dict[str, Any], environment: Mapping[str, str]) -> None:
    """`WEBHOOKD_SERVER__LISTEN=…` sets server.listen; in the names of sources and endpoints `_` stands for `-` too."""
    for variable, value in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or "__" not in variable:
            continue
        at: Any = table
        *tables, last = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        for part in tables:
            at = at.setdefault(_key(at, part), {})
            if not isinstance(at, dict):
                break
        else:
            at[_key(at, last)] = _FromEnvironment(value)


def _key(table: Mapping[str, Any], part: str) -> str:
    return next((key for key in table if key.lower().replace("-", "_") == part), part)


def _kind(value: Any) -> str:
    names = {
        bool: "a truth value",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        dict: "a table",
    }
    return names.get(type(value), type(value).__name__)
