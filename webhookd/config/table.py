"""Turns a table of TOML or JSON into a struct of settings, and finds every mistake in it at once."""

import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from webhookd.config.environment import FromEnvironment
from webhookd.config.lines import Path
from webhookd.config.mistake import Found, Mistake, suggestion
from webhookd.config.outbox_url import OutboxUrl
from webhookd.config.secret_text import Texts
from webhookd.config.store_url import StoreUrl
from webhookd.config.value import PARSED, Pem
from webhookd.config.wanted import kind as kind_of
from webhookd.config.wanted import wanted
from webhookd.core.secret import Secret

NAME = re.compile(r"[a-z0-9_-]{1,64}")
NAME_RULE = "a name has 1 to 64 of a-z, 0-9, _ and -"
Check = Callable[[type, dict[str, Any], str, frozenset[str]], Iterable[Mistake]]
"""What types do not say: of a kind of table, its values that are of the right type (to be replaced where another form
is what is kept), its key, and the names of those settings that were refused already.
"""
MISTAKES_MAX = 50
"""Told of one table and what is in it: a stranger's may have as many as it has bytes."""
SUGGESTIONS_MAX = 5
_URLS = (StoreUrl, OutboxUrl)
"""Texts that may hold a password."""
_WRONG: Any = object()
_TOLD_MAX = 10**12
"""A larger number is not repeated: it may have more digits than anybody reads."""


class Places:
    """Where settings stand: `where` is the file, `lines` has its keys, `origins` says whence the others are."""

    def __init__(
        self, where: str = "", lines: Mapping[Path, int] | None = None, origins: Mapping[str, str] | None = None
    ) -> None:
        self._where = where
        self._origins = origins or {}
        self._lines: dict[str, int] = {}
        for path, line in (lines or {}).items():
            self._lines.setdefault(_name(path), line)

    def found(self, key: str, reason: str) -> Found:
        """With the line of the key or, where it is missing, of what it is missing in."""
        if key in self._origins:
            return Found(self._origins[key], None, key, reason)
        above = key
        while above and above not in self._lines:
            above = above.rpartition("[" if above.endswith("]") else ".")[0]
        return Found(self._where, self._lines.get(above), key, reason)


class TableReader:
    def __init__(self, texts: Texts, check: Check) -> None:
        self._texts = texts
        self._check = check
        self._found: list[Mistake] = []
        self._untold = 0

    @property
    def mistakes(self) -> list[Mistake]:
        """The last of too many says how many more there are."""
        if not self._untold:
            return self._found
        *told, (name, reason) = self._found
        return [*told, (name, f"{reason}; and {self._untold} mistakes more")]

    def struct(self, kind: Any, table: Any, key: str = "") -> Any:
        """The struct of a table, or None when something in it is wrong; every field is looked at either way."""
        if not isinstance(table, dict):
            self._wrong(key, f"must be a table, not {kind_of(table)}")
            return None
        hints = typing.get_type_hints(kind, include_extras=True)
        for name in table:
            if name not in hints:
                self._wrong(_below(key, name), "is not a setting" + self._suggestion(name, hints))
        values: dict[str, Any] = {}
        refused = set()
        for each in msgspec.structs.fields(kind):
            if each.name in table:
                value = self._value(hints[each.name], table[each.name], _below(key, each.name))
                if value is _WRONG:
                    refused.add(each.name)
                else:
                    values[each.name] = value
            elif each.required:
                self._wrong(_below(key, each.name), "is missing")
                refused.add(each.name)
        for name, reason in self._check(kind, values, key, frozenset(refused)):
            self._wrong(_below(key, name), reason)
        return None if refused else kind(**values)

    def _value(self, kind: Any, value: Any, key: str) -> Any:
        kind, is_optional = _without_none(kind)
        if value is None and is_optional:
            return None
        if kind in PARSED or kind in (Secret, Pem, *_URLS):
            return self._text(kind, value, key)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            found = self.struct(kind, value, key)
            return _WRONG if found is None else found
        match typing.get_origin(kind):
            case origin if isinstance(origin, type) and issubclass(origin, Mapping):
                return self._named(typing.get_args(kind)[1], value, key)
            case typing.Literal if value not in (choices := typing.get_args(kind)):
                meant = suggestion(value, choices) if isinstance(value, str) else ""
                self._wrong(key, "must be " + " or ".join(f'"{choice}"' for choice in choices) + meant)
                return _WRONG
        if isinstance(value, list) and (item := _item(kind)) is not None:
            value = [self._value(item, each, f"{key}[{index}]") for index, each in enumerate(value)]
            if any(each is _WRONG for each in value):
                return _WRONG
        try:
            return msgspec.convert(value, kind, dec_hook=_as_it_is, strict=not isinstance(value, FromEnvironment))
        except msgspec.ValidationError:
            self._wrong(key, f"must be {wanted(kind)}{_instead(kind, value)}")
            return _WRONG

    def _text(self, kind: Any, value: Any, key: str) -> Any:
        if not isinstance(value, str):
            self._wrong(key, f"must be {wanted(kind)}, not {kind_of(value)}")
            return _WRONG
        try:
            if kind is Secret:
                return self._texts.secret(value)
            if kind in _URLS:
                return kind.parse(self._texts.secret(value))
            return self._texts.pem(value) if kind is Pem else kind.parse(value)
        except ValueError as error:
            self._wrong(key, str(error))
            return _WRONG

    def _named(self, kind: Any, table: Any, key: str) -> Any:
        """What stands under names that somebody chose."""
        if not isinstance(table, dict):
            self._wrong(key, f"must be a table, not {kind_of(table)}")
            return _WRONG
        found = {}
        for name, each in table.items():
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and not NAME.fullmatch(name):
                self._wrong(_below(key, name), NAME_RULE)
            found[name] = self._value(kind, each, _below(key, name))
        return _WRONG if any(each is _WRONG for each in found.values()) else found

    def _suggestion(self, name: str, known: Iterable[str]) -> str:
        return suggestion(name, known) if len(self._found) < SUGGESTIONS_MAX else ""

    def _wrong(self, key: str, reason: str) -> None:
        if len(self._found) < MISTAKES_MAX:
            self._found.append((key, reason))
        else:
            self._untold += 1


def _below(key: str, name: str) -> str:
    short = name[:64] if name.isprintable() else ascii(name[:64])[1:-1]
    return f"{key}.{short}".strip(".")


def _name(path: Path) -> str:
    """As a mistake names it."""
    name = ""
    for key in path:
        name = f"{name}[{key}]" if isinstance(key, int) else _below(name, key)
    return name


def _instead(wanted: Any, value: Any) -> str:
    """What it is, where that is worth saying: of the right kind, it is out of bounds."""
    if isinstance(value, FromEnvironment):
        return ""
    if isinstance(value, list) and _item(wanted) is not None:
        return f", not {len(value)}"
    bare = typing.get_args(wanted)[0] if typing.get_origin(wanted) is typing.Annotated else wanted
    is_out_of_bounds = type(value) is bare or (type(value) is int and bare is float)
    return f", not {value}" if is_out_of_bounds and abs(value) < _TOLD_MAX else f", not {kind_of(value)}"


def _as_it_is(kind: Any, value: Any) -> Any:
    """Msgspec's hook for types it does not know: the items of a list, which were read before."""
    if isinstance(value, kind):
        return value
    raise ValueError


def _without_none(kind: Any) -> tuple[Any, bool]:
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind, False
    (only,) = (each for each in typing.get_args(kind) if each is not types.NoneType)
    return only, True


def _item(kind: Any) -> Any:
    """The type of a list's items, or None."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None
