"""Reads the configuration and finds every mistake in it at once, each with file, key and reason."""

import difflib
import os
import re
import tomllib
import typing
from collections.abc import Collection, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import msgspec

from webhookd.config.environment import FromEnvironment, override
from webhookd.config.mistake import ConfigError
from webhookd.config.model import (
    NAME,
    NOT_YET,
    Address,
    Config,
    Delivery,
    Duration,
    EndpointSettings,
    Server,
    Size,
    SourceSettings,
    Store,
)
from webhookd.config.secret_text import resolve_secret
from webhookd.core.endpoint import check_pattern, url_mistake
from webhookd.core.secret import Secret
from webhookd.core.signature import symmetric_key
from webhookd.providers import PROVIDERS
from webhookd.providers.provider import CredentialsError

PLACES = (Path("webhookd.toml"), Path("/etc/webhookd/webhookd.toml"))
BODY_BYTES_MIN, BODY_BYTES_MAX = 2**10, 64 * 2**20
_STORE_URL = re.compile(r"sqlite:[\w-][\w.-]{0,100}", re.ASCII)


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
) -> Config:
    """The configuration from the file, overridden by the environment, overridden by the `server` settings given.

    `sections` are the tables that are looked at, if not all: who only asks where the daemon is need not be able to
    read its secrets. Raises ConfigError.
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
    origins = override(table, environment)
    given = {name: value for name, value in (server or {}).items() if value is not None}
    if given and isinstance(table.setdefault("server", {}), dict):
        table["server"].update(given)
        origins |= {f"server.{name}": "--" + name.replace("_", "-") for name in given}
    if sections is not None:
        table = {name: each for name, each in table.items() if name in sections}
    return from_table(table, where, environment, origins)


def from_table(
    table: Mapping[str, Any],
    where: str,
    environment: Mapping[str, str] = os.environ,
    origins: Mapping[str, str] | None = None,
) -> Config:
    """Raises ConfigError with all that is wrong. `origins` says of keys that are not from `where` whence they are."""
    sources = table.get("sources")
    reader = _Reader(where, environment, origins or {}, sources if isinstance(sources, dict) else {})
    config: Config | None = reader.struct(Config, table, "")
    if reader.mistakes or config is None:
        raise ConfigError(reader.mistakes)
    return config


class _Reader:
    def __init__(
        self, where: str, environment: Mapping[str, str], origins: Mapping[str, str], sources: Mapping[str, Any]
    ) -> None:
        self._where = where
        self._environment = environment
        self._origins = origins
        self._sources = sources
        self.mistakes: list[str] = []

    def wrong(self, key: str, reason: str) -> None:
        self.mistakes.append(f"{self._origins.get(key, self._where)}: {key}: {reason}")

    def struct(self, kind: Any, table: Any, key: str) -> Any:
        """The struct of a table, or None when something in it is wrong; every field is looked at either way."""
        if not isinstance(table, dict):
            self.wrong(key, f"must be a table, not {_kind(table)}")
            return None
        hints = typing.get_type_hints(kind, include_extras=True)
        for name in table:
            if name not in hints:
                self._unknown(name, hints, key)
        values = {}
        complete = True
        for each in msgspec.structs.fields(kind):
            name = f"{key}.{each.name}".lstrip(".")
            if each.name in table:
                value = self._value(hints[each.name], table[each.name], name)
                if value is _WRONG:
                    complete = False
                else:
                    values[each.name] = value
            elif each.required:
                self.wrong(name, "is missing")
                complete = False
        self._check(kind, values, key, table)
        return kind(**values) if complete else None

    def _value(self, kind: Any, value: Any, key: str) -> Any:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not Address:
            found = self.struct(kind, value, key)
            return _WRONG if found is None else found
        if typing.get_origin(kind) is dict:
            return self._named(typing.get_args(kind)[1], value, key)
        if isinstance(value, list) and (item := _item(kind)) is not None:
            found = [self._value(item, each, f"{key}[{index}]") for index, each in enumerate(value)]
            if any(each is _WRONG for each in found):
                return _WRONG
        try:
            if kind is Address:  # a struct, which msgspec would not ask the hook about
                return self._custom(kind, value)
            strict = not isinstance(value, FromEnvironment)
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

    def _check(self, kind: Any, given: Mapping[str, Any], key: str, table: Mapping[str, Any]) -> None:
        """What the types do not say, of those settings of a table that are of the right type."""
        if kind is Store:
            self._check_store(given)
        elif kind is Server:
            self._check_server(given)
        elif kind is Delivery:
            self._check_delivery(given)
        elif kind is SourceSettings:
            self._check_source(given, key, table.keys() - given.keys())
        elif kind is EndpointSettings:
            self._check_endpoint(given, key)

    def _check_store(self, given: Mapping[str, Any]) -> None:
        url = given.get("url", Store().url)
        if not _STORE_URL.fullmatch(url):
            # The lock and the look at the file system are the directory's: the file must be in it.
            self.wrong("store.url", 'must be "sqlite:" and a plain file name, which is then in server.data_dir')

    def _check_server(self, given: Mapping[str, Any]) -> None:
        if not BODY_BYTES_MIN <= given.get("max_body", BODY_BYTES_MIN) <= BODY_BYTES_MAX:
            self.wrong("server.max_body", "must be from 1KiB to 64MiB, which is what may wait for a commit")

    def _check_delivery(self, given: Mapping[str, Any]) -> None:
        if given.get("timeout", 1) < 1:
            self.wrong("delivery.timeout", "must be longer than 0")
        for text in given.get("allow_networks", ()):
            try:
                ip_network(text)
            except ValueError as error:
                self.wrong("delivery.allow_networks", str(error))

    def _check_source(self, given: Mapping[str, Any], key: str, wrong: Collection[str]) -> None:
        if "provider" not in given:
            return
        if given["provider"] not in PROVIDERS:
            self.wrong(f"{key}.provider", f"must be one of {', '.join(PROVIDERS)}")
            return
        provider = PROVIDERS[given["provider"]]
        for name in given.keys() - provider.takes - {"provider"}:
            self.wrong(f"{key}.{name}", f"is not a setting of provider {given['provider']}")
        try:
            provider(SourceSettings(**given).credentials)
        except CredentialsError as error:
            if error.name not in wrong:
                self.wrong(f"{key}.{error.name}", str(error))
        except OSError as error:
            self.wrong(f"{key}.authorities", f"cannot be read: {error.strerror}")

    def _check_endpoint(self, given: Mapping[str, Any], key: str) -> None:
        if "url" in given and (reason := url_mistake(given["url"])) is not None:
            self.wrong(f"{key}.url", reason)
        for source in given.get("sources", ()):
            if source not in self._sources:
                self.wrong(f"{key}.sources", f'there is no source "{source[:64]}"')
        for pattern in given.get("events", ()):
            try:
                check_pattern(pattern)
            except ValueError as error:
                self.wrong(f"{key}.events", str(error))
        if (secret := given.get("secret")) is not None:
            try:
                symmetric_key(secret.reveal())
            except ValueError as error:
                self.wrong(f"{key}.secret", str(error))


_WRONG: Any = object()


def _item(kind: Any) -> Any:
    """The type of a list's items, or None."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None


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
